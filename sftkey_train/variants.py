"""A variant is data: tagged or not, and a list of stages. Adding one is one YAML file in `variants/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import InputError
from tasks.suggest import did_you_mean

SEGMENTS = ("prompt", "thinking_tag", "thinking", "answer_tag", "answer", "end")
"""What a token can belong to; its position here is the id that batches carry."""

RESPONSE = SEGMENTS[1:]
LOSS_PRESETS: dict[str, dict[str, float]] = {
    "response": dict.fromkeys(RESPONSE, 1.0),
    "key": dict.fromkeys(("answer_tag", "answer", "end"), 1.0),
}
"""`response`: every token after the prompt. `key`: every token after `</Thinking>` (arXiv 2512.21017), the
answer's tags and the end-of-sequence token with it; the paper leaves the last open, `end: 0` drops it."""

VARIANT_DIR = Path(__file__).parent / "variants"


@dataclass(frozen=True)
class Stage:
    """One training stage: where the loss is, and what it is.

    Attributes:
        name: What logs and figures call it.
        weights: Weight of a token's loss by its segment, in the order of `SEGMENTS`.
        objective: Name in `sftkey_train.objectives.OBJECTIVES`.
        learning_rate: Peak learning rate; the run's own for this stage's position where None.
        epochs: Passes over the data; the run's own where None.
    """

    name: str
    weights: tuple[float, ...]
    objective: str = "cross-entropy"
    learning_rate: float | None = None
    epochs: float | None = None


@dataclass(frozen=True)
class Variant:
    """A named way to fine-tune."""

    name: str
    description: str
    source: str
    tagged: bool
    stages: tuple[Stage, ...]


def variant_names() -> list[str]:
    """Names of the variants that ship with the project, in the order of their files."""
    return sorted(path.stem for path in VARIANT_DIR.glob("*.yaml"))


def load_variant(name: str) -> Variant:
    """Reads a variant by its name, or from a path that ends in `.yaml`.

    Raises:
        InputError: There is no such variant, or its file does not fit the schema.
    """
    path = Path(name) if name.endswith(".yaml") else VARIANT_DIR / f"{name}.yaml"
    if not path.is_file():
        raise InputError(f"no variant {name!r}: {did_you_mean(name, variant_names())}")
    return _parse(path)


def _parse(path: Path) -> Variant:
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    fields = _fields(data, ("name", "description", "source", "tagged", "stages"), (), str(path))
    if not isinstance(fields["tagged"], bool):
        raise InputError(f"{path}: tagged must be true or false")
    if not isinstance(fields["stages"], list) or not fields["stages"]:
        raise InputError(f"{path}: stages must be a list of at least one stage")
    stages = tuple(_stage(stage, f"{path}, stage {i}") for i, stage in enumerate(fields["stages"], 1))
    name, description, source = (str(fields[field]) for field in ("name", "description", "source"))
    return Variant(name, description, source, fields["tagged"], stages)


def _stage(data: Any, where: str) -> Stage:
    from sftkey_train.objectives import OBJECTIVES

    fields = _fields(data, ("name", "loss"), ("objective", "learning_rate", "epochs"), where)
    objective = fields.get("objective", "cross-entropy")
    if not isinstance(objective, str) or objective not in OBJECTIVES:
        raise InputError(f"{where}: no objective {objective!r}: {did_you_mean(str(objective), OBJECTIVES)}")
    return Stage(
        name=str(fields["name"]),
        weights=_weights(fields["loss"], where),
        objective=objective,
        learning_rate=_above_zero(fields, "learning_rate", where),
        epochs=_above_zero(fields, "epochs", where),
    )


def _above_zero(fields: Mapping[str, Any], name: str, where: str) -> float | None:
    """A number, also written like 5e-6, which YAML 1.1 takes for text; None where the field is missing."""
    if name not in fields:
        return None
    try:
        value = float("nan" if isinstance(fields[name], bool) else fields[name])
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 < value < float("inf"):
        raise InputError(f"{where}: {name} must be a number above 0")
    return value


def _weights(loss: Any, where: str) -> tuple[float, ...]:
    """A preset's name, or a weight for each segment that has one."""
    if isinstance(loss, str):
        if loss not in LOSS_PRESETS:
            raise InputError(f"{where}: no loss {loss!r}: {did_you_mean(loss, LOSS_PRESETS)}")
        loss = LOSS_PRESETS[loss]
    if not isinstance(loss, Mapping) or not loss:
        presets = ", ".join(LOSS_PRESETS)
        raise InputError(f"{where}: loss must be one of {presets} or a weight for each segment")
    for segment, weight in loss.items():
        if segment not in SEGMENTS:
            raise InputError(f"{where}: no segment {segment!r}: {did_you_mean(str(segment), SEGMENTS)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise InputError(f"{where}: the weight of {segment} must be a number of at least 0")
    if not any(loss.values()):
        raise InputError(f"{where}: no segment has a weight above 0, so there would be no loss")
    return tuple(float(loss.get(segment, 0.0)) for segment in SEGMENTS)


def _fields(data: Any, needed: tuple[str, ...], optional: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected {', '.join(needed)}")
    for key in data:
        if key not in needed + optional:
            raise InputError(f"{where}: unknown field {key!r}: {did_you_mean(str(key), needed + optional)}")
    for key in needed:
        if key not in data:
            raise InputError(f"{where}: {key} is missing")
    return data
