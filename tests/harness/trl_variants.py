"""Variants with stages that TRL trains, and a small run of them."""

from pathlib import Path
from typing import Any

import yaml

SETS = (
    *("train.amount=32", "train.batch_size=4", "train.learning_rate=1e-4", "train_limit=40"),
    *("train.workers=1", "limit=8", "eval.max_new_tokens=24"),
)
ONLINE = {"samples": 4, "questions": 2}


def variant(folder: Path, name: str, *stages: dict[str, Any]) -> Path:
    first = {"name": "sft", "loss": "response"}
    content = {"name": name, "description": "d", "source": "s", "tagged": True, "stages": [first, *stages]}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def online(kind: str, reward: dict[str, float], **options: float) -> dict[str, Any]:
    return {"name": kind, "kind": kind, "reward": reward, "options": {**ONLINE, **options}}


def arguments(out: Path, variants: str, *more: object) -> list[object]:
    sets = (part for one in SETS for part in ("--set", one))
    return [
        "train-and-eval", "--benchmarks", "world_number_gap1", "--variants", variants, "--seeds", 1,
        "--engine", "hf", "--out", out, *sets, *more,
    ]  # fmt: skip
