"""Synthetic training curves for a synthetic run's entries: falling losses, and what was measured when."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from leaderboards.results.schema import Entry

NAN = math.nan


def curve_points(
    entries: Sequence[Entry], *, log_every: int = 1, validate_every: int = 46, gradients: bool = False
) -> list[dict[str, object]]:
    """A curve for every trained entry, through all its stages."""
    trained = [entry for entry in entries if entry.training and entry.seed is not None]
    return [
        point
        for index, entry in enumerate(trained)
        for point in _curve(entry, np.random.default_rng(index), log_every, validate_every, gradients)
    ]


def _curve(
    entry: Entry, rng: np.random.Generator, log_every: int, validate_every: int, gradients: bool
) -> Iterator[dict[str, object]]:
    assert entry.training is not None
    assert entry.seed is not None
    names = entry.training.stages
    per_stage = entry.training.steps // len(names)
    tokens_per_step = entry.training.tokens_forward / entry.training.steps
    key_from = per_stage if len(names) > 1 else 0 if names == ("key",) else math.inf
    for step in range(log_every, entry.training.steps + 1, log_every):
        noise = math.exp(0.15 * rng.standard_normal())
        is_key = step > key_from and names[-1] == "key"
        answer = (0.02 + 2 * math.exp(-step / 30)) * noise * (0.6 if is_key else 1)
        thinking = (0.3 + 2.5 * math.exp(-step / 25)) * noise * (1.3 if is_key else 1)
        validated = step % validate_every == 0
        yield {
            "entry": entry.name,
            "model": entry.model,
            "seed": entry.seed,
            "stage": 1 + (step - 1) // per_stage,
            "stage_name": names[(step - 1) // per_stage],
            "step": step,
            "tokens": round(step * tokens_per_step),
            "loss": answer if is_key else thinking,
            "loss_thinking": thinking,
            "loss_answer": answer,
            "loss_tags": 0.1 * answer if entry.tagged else NAN,
            "learning_rate": 1e-3,
            "accuracy": 1 - math.exp(-step / 90) if validated else NAN,
            "format_valid": 1 - math.exp(-step / 20) if validated else NAN,
            "gradient_norm": 2 * noise * math.exp(-step / 100) if gradients else NAN,
            "gradient_norm_thinking": 1.5 * noise * math.exp(-step / 90) if gradients else NAN,
            "gradient_norm_answer": 0.6 * noise * math.exp(-step / 60) if gradients else NAN,
            "gradient_norm_tags": 0.1 * noise if gradients and entry.tagged else NAN,
            "wall_seconds": 0.125 * step,
        }
