"""The interface of an engine: what it is asked, what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

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
