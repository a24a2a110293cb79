"""The interface of an engine: what it is started with, what it is asked, what it answers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import Field

from tasks.checks import MOST, Count, CountOrNone
from tasks.errors import InputError
from tasks.secrets import note_secret, note_url, one_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is started with.

    Attributes:
        dtype: `auto` is bfloat16 on a GPU, and float32 on a CPU, where it gives transformers' greedy tokens.
        max_model_len: Longest prompt and response together, in tokens; the model's own limit where None.
        max_num_seqs: Responses generated at once.
        kv_cache_gib: Memory for keys and values on a CPU.
        gpu_memory_utilization: Share of a GPU's memory that vLLM takes; what is not weights is for keys and
            values.
        adapters: LoRA adapters are served by vLLM `beside` their base, all in one queue, or `merged` into it
            and take turns. `auto` is beside on a GPU, and merged on a CPU, for which vLLM has no kernels of
            its own for adapters.
        data_parallel: Processes that each hold the model and share the requests; one per GPU where None.
    """

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_model_len: CountOrNone = None
    max_num_seqs: Count = 256
    kv_cache_gib: Annotated[float, Field(ge=0.01, le=MOST, allow_inf_nan=False)] = 2.0
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.92
    adapters: Literal["auto", "beside", "merged"] = "auto"
    data_parallel: CountOrNone = None

    def dtype_on(self, device: str) -> str:
        """The dtype on `cpu` or `cuda`, with `auto` decided."""
        return self.dtype if self.dtype != "auto" else "float32" if device == "cpu" else "bfloat16"


@dataclass(frozen=True)
class ServerSettings:
    """A server that speaks OpenAI's protocol, and how hard it may be asked.

    Attributes:
        url: Its address, such as `http://localhost:8000/v1`; that in OPENAI_BASE_URL where None.
        key_variable: The environment variable that holds the key; the key itself stands in no file.
        concurrency: Requests under way at once.
        requests_per_minute: At most so many, those that are tried again among them; no limit where None.
        timeout_seconds: For a whole answer, after which a request is tried again.
        max_retries: How often that is done; the waits double up to 8 s, or are what the server asks for.
        extra: Further fields of every request, such as `{reasoning_effort: low}`; null takes a field out.
    """

    url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    concurrency: Annotated[int, Field(gt=0, le=10_000)] = 32
    requests_per_minute: Annotated[float | None, Field(ge=0.01, le=MOST, allow_inf_nan=False)] = None
    timeout_seconds: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = 600.0
    max_retries: Annotated[int, Field(ge=0, le=10_000)] = 8
    extra: dict[str, Any] = field(default_factory=dict)


def server_url(settings: ServerSettings) -> str:
    """The server's address up to and with `/v1`, as `http://localhost:8000/v1`.

    An address that names the endpoint too, as lm-eval's `base_url` does, or that stops at the port, is
    understood. InputError where no address is given, or it is none, or a secret stands in it.
    """
    url = settings.url or os.environ.get("OPENAI_BASE_URL", "")
    if not url:
        raise InputError(
            "no server: set its url, such as http://localhost:8000/v1, or OPENAI_BASE_URL "
            "(OpenAI's own is https://api.openai.com/v1)"
        )
    note_url(url)
    if re.search(r"[@?#]", url):
        host = url.rpartition("@")[2].removeprefix("http://").removeprefix("https://")
        raise InputError(
            f"the url of {one_line(re.split('[/?#]', host)[0], 80)} holds more than host and path; a key "
            f"belongs in the environment variable {settings.key_variable}"
        )
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # no port, or no address in brackets
        whole = False
    if not whole or not re.fullmatch("[!-~]+", url):
        raise InputError(f"{one_line(url)}: not the url of a server; write it as http://localhost:8000/v1")
    path = parts.path.rstrip("/")
    path = path.removesuffix("/chat/completions").removesuffix("/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def api_key(settings: ServerSettings) -> str:
    """The key; a word that is none where the environment holds none, since many servers want none.

    InputError where what should be a variable's name is none, and may be the key itself.
    """
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", settings.key_variable):
        raise InputError(
            "key_variable takes the name of an environment variable, such as OPENAI_API_KEY, never a key"
        )
    key = os.environ.get(settings.key_variable, "").strip()  # what comes from a file may end its line
    note_secret(key)
    if not re.fullmatch("[!-~]*", key):
        raise InputError(f"the environment variable {settings.key_variable} holds signs that no key has")
    return key or "none"


@dataclass(frozen=True)
class Sampling:
    """How a response is drawn."""

    max_new_tokens: int  # token budget; a response that reaches it is truncated
    stop: tuple[str, ...] = ()  # strings that end a response; they are not part of it
    stop_ids: tuple[int, ...] = ()  # tokens that end a response
    temperature: float = 0.0  # 0 for greedy decoding
    top_p: float = 1.0  # nucleus
    seed: int = 0  # of the draw; no effect on greedy decoding
    n: int = 1  # responses drawn for the prompt; response i is drawn with seed + i


@dataclass(frozen=True)
class Request:
    """A prompt to answer."""

    # Token ids; its text for an engine that tokenises by itself (`Engine.wants_text`).
    prompt: tuple[int, ...] | str
    sampling: Sampling  # how its responses are drawn
    # Folder of the LoRA adapter, one of those loaded, that answers; None for the model alone.
    adapter: Path | None = None
    # Where there are any, these tokens are not generated but measured: the completion's text is then their
    # -log2 p after the prompt, in bits. Only for an engine that `measures`, and with greedy sampling.
    continuation: tuple[int, ...] = ()


@dataclass(frozen=True)
class Completion:
    """One response."""

    text: str  # without special tokens and without the stop string
    finish_reason: str  # `stop`, `length` where the token budget ran out, `measured` for a continuation
    num_prompt_tokens: int  # tokens of the prompt
    num_output_tokens: int  # tokens generated
    ids: tuple[int, ...] = field(default=(), compare=False)  # these, from vLLM as it draws; not stored


def measured(bits: float, request: Request) -> Completion:
    """What an engine says of a request with a continuation; the figure is kept to the last digit."""
    return Completion(repr(bits), "measured", len(request.prompt), 0)


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], stop: Sequence[str]) -> str:
    """The text of a response, up to its first stop string: one decoder for all engines.

    Engines that decode as they go may write bytes that form no character otherwise than at the end.
    """
    text = str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return cut(text, stop)


def cut(text: str, stop: Sequence[str]) -> str:
    """A text up to the first of the strings that end it."""
    return text[: min((at for end in stop if (at := text.find(end)) >= 0), default=None)]


class Engine(Protocol):
    """Generates with one model at a time, and with the LoRA adapters on it."""

    name: str  # as `harness list engines` shows it
    version: str  # of what generates
    dtype: str  # in which numbers
    wants_text: bool  # prompts are texts, which it tokenises by itself, rather than token ids
    measures: bool  # takes requests with a continuation, unless adapters are loaded beside their base

    def refusal(self, adapter_dir: Path) -> str | None:
        """Why this engine cannot serve an adapter beside its base; None where it can."""

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Makes this folder's model the one that generates, and lets requests name these adapters on it."""

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Yields (index of the request, its n completions) as each is finished, in any order."""

    def close(self) -> None:
        """Frees the model and its memory."""
