"""What a model has room for: its tokenizer's tokens in the embedding, prompt and response in the context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.models.architecture import num_embeddings, read_json
from tasks.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt",
    "tekken.json",
)  # fmt: skip
_CONTEXT_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "n_ctx",
)
_ALREADY_SCALED = ("default", "su", "longrope", "llama3", "yarn", "proportional")
"""Kinds of RoPE scaling whose limit in config.json is the one after scaling, as vLLM reads it."""


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds the files of a tokenizer."""
    return any((folder / name).is_file() for name in _TOKENIZER_FILES)


def usable_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer.

    Raises:
        InputError: There is none, or it needs code of its own, has no fast form, or does not know an end.
    """
    from sftkey_train.model import load_tokenizer
    from sftkey_train.text import TextPath

    config = folder / "tokenizer_config.json"
    if not has_tokenizer(folder) and not config.is_file():
        raise InputError(f"{folder}: no tokenizer (tokenizer.json); save the one it was trained with there")
    try:
        tokenizer = load_tokenizer(str(folder))
    except InputError as error:
        if config.is_file() and "AutoTokenizer" in (read_json(config).get("auto_map") or {}):
            raise InputError(
                f"{config}: the tokenizer needs code of its own (auto_map), which is never run; "
                "save it as a tokenizer.json"
            ) from error
        raise
    except Exception as error:  # transformers raises whatever its converters met
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{folder}: its tokenizer cannot be loaded ({detail})") from error
    TextPath.of(tokenizer, "plain")  # refuses one that knows no end
    return tokenizer


def check_tokenizer(folder: Path) -> None:
    """Refuses a folder whose tokenizer cannot be used; see `usable_tokenizer`."""
    usable_tokenizer(folder)


def check_vocabulary(folder: Path) -> None:
    """Refuses a tokenizer with tokens that the embedding lacks; a padded embedding is fine.

    Raises:
        InputError: It is so.
    """
    check_fits(usable_tokenizer(folder), num_embeddings(folder), folder)


def check_fits(tokenizer: PreTrainedTokenizerBase, num_rows: int, folder: Path) -> None:
    """Refuses a tokenizer with tokens beyond an embedding's rows.

    Raises:
        InputError: It is so.
    """
    token, largest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if largest >= num_rows:
        raise InputError(
            f"{folder}: the tokenizer has token ids up to {largest} ({token!r}), but the embedding only "
            f"{num_rows} rows; resize the embedding, or take the tokenizer it was trained with"
        )


def context_length(config: Mapping[str, Any]) -> int | None:
    """The longest prompt and response together, in tokens, by config.json; None where it names no limit.

    A sliding window is no limit: it bounds what a token sees, not where it may stand.
    """
    inner = config.get("text_config") or config  # a model that also sees has its language model within
    limits = [int(inner[key]) for key in _CONTEXT_KEYS if inner.get(key)]
    if not limits:
        return None
    factor = max((_scaling(rope) for rope in _ropes(inner)), default=1.0)
    return int(min(limits) * factor)


def _ropes(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """RoPE settings, old key or new, for the whole model or by kind of layer."""
    for key in ("rope_parameters", "rope_scaling"):
        settings = config.get(key) or {}
        nested = [value for value in settings.values() if isinstance(value, Mapping)]
        yield from nested or [settings]


def _scaling(rope: Mapping[str, Any]) -> float:
    kind = rope.get("rope_type", rope.get("type", "default"))
    return 1.0 if kind in _ALREADY_SCALED else float(rope.get("factor") or 1.0)


def check_context(model_dir: Path, longest: int, max_model_len: int | None = None) -> None:
    """Refuses prompts that the model, or the engine as it is set, has no room for.

    Args:
        model_dir: Folder of the model.
        longest: Tokens of the longest prompt with the budget of its response.
        max_model_len: The engine's own limit.

    Raises:
        InputError: It is longer than the context.
    """
    own = context_length(read_json(model_dir / "config.json"))
    limit = min(filter(None, (own, max_model_len)), default=None)
    if limit is not None and longest > limit:
        whose = (
            f"{model_dir}: its context" if limit == own else "eval.engine_settings.max_model_len: a context"
        )
        raise InputError(
            f"{whose} of {limit} tokens is too short for a prompt and response of {longest}; lower "
            "eval.max_new_tokens or leave the benchmark out"
        )
