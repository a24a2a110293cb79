"""Saves within a stage, from which a killed stage goes on: transformers' checkpoints, and what they lack."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from sftkey_train.telemetry import StepMetrics

PROGRESS = "sftkey_progress.json"
"""Written last: a save that has it is whole."""


@dataclass(frozen=True)
class Progress:
    """How far a stage had come.

    Attributes:
        history: Lines of history so far.
        tokens_forward: Tokens that had passed through the model.
        tokens_loss: Of these, tokens that carried loss.
        loss_sum: Losses of the steps since the last line of history, added up.
        wall_seconds: Spent training.
    """

    history: tuple[StepMetrics, ...]
    tokens_forward: int
    tokens_loss: int
    loss_sum: float
    wall_seconds: float


def complete(scratch: Path, step: int, progress: Progress) -> None:
    """Makes the save of a step whole, and drops the ones before it."""
    saved = scratch / f"checkpoint-{step}"
    part = saved / f"{PROGRESS}.part"
    part.write_text(json.dumps(asdict(progress)), encoding="utf-8")  # NaN is read back as such
    part.replace(saved / PROGRESS)
    for other in scratch.glob("checkpoint-*"):
        if other != saved:
            shutil.rmtree(other)


def latest(scratch: Path) -> Path | None:
    """The last whole save in a folder."""
    whole = [path.parent for path in scratch.glob(f"checkpoint-*/{PROGRESS}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def read(saved: Path) -> Progress:
    """Reads how far a whole save had come."""
    data = json.loads((saved / PROGRESS).read_text(encoding="utf-8"))
    history = tuple(StepMetrics(**line) for line in data.pop("history"))
    return Progress(history, **data)
