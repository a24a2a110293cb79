"""How long prompt and response together may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.models.architecture import read_json
from tasks.errors import InputError

_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "n_ctx")
_ALREADY_SCALED = ("default", "su", "longrope", "llama3", "yarn", "proportional")
"""Kinds of RoPE scaling whose limit in config.json is the one after scaling, as vLLM reads it."""


def context_length(config: Mapping[str, Any]) -> int | None:
    """The longest prompt and response together, in tokens, by config.json; None where it names no limit.

    A sliding window is no limit: it bounds what a token sees, not where it may stand.
    """
    inner = config.get("text_config") or config
    limits = [int(inner[key]) for key in _KEYS if inner.get(key)]
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
