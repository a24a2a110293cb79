"""A variant is data: tagged or not, and a list of stages. Adding one is one YAML file in `variants/`.

`A+B` names a variant too: the stages of A, then those of B. `sft-tag+key-tag` is `sftkey-tag`.

A stage is of a kind. `sft`, which is meant where none is named, trains on the training records. `sample`
trains nothing: it draws responses of the model as the stages before have left it, to training questions, and
may judge them by a `reward`. `rft` trains on those samples that are right and well-formed, or where there is
a reward on the best to each question; `on-policy-key` on each with the right answer in the place of its own:
log π(a*|x, z), z the model's reasoning. Both take any stage's loss: `rft` with `loss: key` learns from the
answers of right samples alone. `dpo` prefers the right samples of a question to its wrong ones. `grpo`,
`dr-grpo` and `rloo` draw `samples` responses to each of `questions` training questions a step, from the model
as it stands, and learn from their `reward`. These four are trained by TRL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from sftkey_train.objectives import OBJECTIVES, Reference
from sftkey_train.segments import LOSS_PRESETS, SEGMENT_ID, SEGMENTS, by_segment
from sftkey_train.settings import Method
from tasks.errors import InputError, check_keys, did_you_mean
from tasks.names import BASE, check_name
from tasks.reading import read_yaml

Kind = Literal["sft", "sample", "rft", "on-policy-key", "dpo", "grpo", "dr-grpo", "rloo"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FROM_SAMPLES: tuple[Kind, ...] = ("rft", "on-policy-key", "dpo")
ONLINE: tuple[Kind, ...] = ("grpo", "dr-grpo", "rloo")
"""They draw what they learn from, step by step."""
BY_TRL: tuple[Kind, ...] = ("dpo", *ONLINE)
_SAMPLING = {"samples": 4.0, "temperature": 1.0, "top_p": 1.0}
_ONLINE = {**_SAMPLING, "samples": 8.0, "questions": 8.0, "beta": 0.0, "epsilon": 0.2}
OPTIONS: Mapping[str, Mapping[str, float]] = {
    "sample": _SAMPLING,
    "dpo": {"beta": 0.1},
    "grpo": {**_ONLINE, "normalised": 0.0},
    "dr-grpo": {**_ONLINE, "normalised": 0.0},
    "rloo": _ONLINE,
}
"""Of the kinds of stage without an objective of ours: responses to each question and how they are drawn,
questions a step, weight of the divergence from the model at the start, clipping of the ratio, and whether
rewards are normalised one by one before they are added up."""
MOST_SAMPLES = 1000
REFERENCES: tuple[Reference, ...] = ("base", "sft")
STAGE_METHODS: tuple[Method, ...] = ("lora", "dora", "rslora")
MOST_STAGES = 50
_MOST_WEIGHT = 1e6
"""Of a token's loss: what is further from 1 is lost, or becomes infinite, in single precision."""
VARIANT_DIR = Path(__file__).parent / "variants"


@dataclass(frozen=True)
class Stage:
    """One stage: where the loss is, and what it is; or how samples are drawn.

    Attributes:
        name: What logs and figures call it.
        weights: Weight of a token's loss by its segment, in the order of `SEGMENTS`.
        kind: What it trains on, or `sample`.
        objective: Name in `sftkey_train.objectives.OBJECTIVES`; the kind's where TRL trains.
        options: Every option of the objective, or of the drawing, sorted by name.
        rewards: Weight by name of what samples are judged by; one of weight 0 is logged alone.
        reference: What the objective's reference model is; None where it needs none.
        last_layers: How many of the last layers are trained, with what follows them; all where None. What
            lies below needs no backward pass.
        method: Adapters that are trained in the place of the weights, and then merged into them; the run's
            own method where None.
        learning_rate: Peak learning rate; the run's own for this stage's position where None.
        share: Share of the variant's budget; by the run's `stage2_share` where None.
    """

    name: str
    weights: tuple[float, ...]
    kind: Kind = "sft"
    objective: str = "cross-entropy"
    options: tuple[tuple[str, float], ...] = ()
    rewards: tuple[tuple[str, float], ...] = ()
    reference: Reference | None = None
    last_layers: int | None = None
    method: Method | None = None
    learning_rate: float | None = None
    share: float | None = None


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
    """Reads a variant by its name, from a path that ends in `.yaml`, or joins several with `+`.

    Raises:
        InputError: There is no such variant, its file does not fit the schema, or a tagged and an untagged
            one are joined.
    """
    path = Path(name)
    if name.endswith(".yaml") and path.is_file():
        return _parse(path)
    if "+" in name:
        return _join([load_variant(part) for part in name.split("+")])
    if name not in variant_names():  # a name is no part of a path
        raise InputError(f"no variant {name!r}: {did_you_mean(name, variant_names())}")
    return _parse(VARIANT_DIR / f"{name}.yaml")


def with_options(variant: Variant, options: Mapping[str, float]) -> Variant:
    """The variant with other values of its objectives' options, in each stage whose objective has them.

    What else is in `options` is left alone.

    Raises:
        InputError: A value is out of range.
    """
    stages = []
    for stage in variant.stages:
        own = {name: options.get(name, value) for name, value in stage.options}
        _check(own, stage.kind, stage.objective, f"{variant.name}, {stage.name}")
        stages.append(replace(stage, options=tuple(own.items())))
    return replace(variant, stages=tuple(stages))


def option_names(variant: Variant) -> list[str]:
    """Names of the options of its stages' objectives."""
    return list(dict.fromkeys(name for stage in variant.stages for name, _ in stage.options))


def _join(parts: list[Variant]) -> Variant:
    name = check_name("+".join(part.name for part in parts), "variants", what="joined")
    if len({part.tagged for part in parts}) > 1:
        raise InputError(f"variant {name!r} joins a tagged and an untagged one; its stages need one format")
    description = "; then ".join(part.description.rstrip(".") for part in parts) + "."
    stages = tuple(replace(stage, share=None) for part in parts for stage in part.stages)
    source = "; ".join(dict.fromkeys(part.source for part in parts))
    return Variant(name, description, source, parts[0].tagged, stages)


def _parse(path: Path) -> Variant:
    data = read_yaml(path, unreadable="not YAML ({error})")
    fields = _fields(data, ("name", "description", "source", "tagged", "stages"), (), str(path))
    if not isinstance(fields["tagged"], bool):
        raise InputError(f"{path}: tagged must be true or false")
    if not isinstance(fields["stages"], list) or not 0 < len(fields["stages"]) <= MOST_STAGES:
        raise InputError(f"{path}: stages must be a list of at least one stage, and at most {MOST_STAGES}")
    stages = tuple(_stage(stage, f"{path}, stage {i}") for i, stage in enumerate(fields["stages"], 1))
    shares = [stage.share for stage in stages if stage.share is not None]
    if shares and (len(shares) < len(stages) or abs(sum(shares) - 1) > 1e-6):
        raise InputError(f"{path}: the shares of the stages must add up to 1, or be left out")
    name = check_name(fields["name"], str(path), reserved=(BASE,))
    return Variant(name, str(fields["description"]), str(fields["source"]), fields["tagged"], stages)


def _stage(data: Any, where: str) -> Stage:
    kind = data.get("kind", "sft") if isinstance(data, dict) else "sft"
    if kind not in KINDS:
        raise InputError(f"{where}: no kind {kind!r}: {did_you_mean(str(kind), KINDS)}")
    if kind in OPTIONS:
        return _without_objective(data, kind, where)
    optional = (
        "kind",
        "objective",
        "options",
        "reference",
        "last_layers",
        "method",
        "learning_rate",
        "share",
    )
    fields = _fields(data, ("name", "loss"), optional, where)
    objective = fields.get("objective", "cross-entropy")
    if not isinstance(objective, str) or objective not in OBJECTIVES:
        raise InputError(f"{where}: no objective {objective!r}: {did_you_mean(str(objective), OBJECTIVES)}")
    weights = _weights(fields["loss"], where)
    if kind in FROM_SAMPLES and OBJECTIVES[objective].reference is not None:
        raise InputError(f"{where}: {objective} needs a reference model, which has not read samples")
    if OBJECTIVES[objective].reference is not None and weights[SEGMENT_ID["prompt"]]:
        raise InputError(
            f"{where}: {objective} asks its reference model about responses alone; give the prompt no weight"
        )
    return Stage(
        name=check_name(fields["name"], where),
        weights=weights,
        kind=kind,
        objective=objective,
        options=_options(fields.get("options", {}), kind, objective, where),
        reference=_reference(fields.get("reference"), objective, where),
        **_trained_part(fields, where),
        learning_rate=_above_zero(fields, "learning_rate", where),
        share=_above_zero(fields, "share", where),
    )


def _without_objective(data: Any, kind: Kind, where: str) -> Stage:
    needed = ("name", "kind", "reward") if kind in ONLINE else ("name", "kind")
    optional = ["options", "share", "reward", "learning_rate"]
    if kind == "sample":
        optional.remove("learning_rate")
    if kind == "dpo":
        optional.remove("reward")  # that of the samples
    fields = _fields(data, needed, tuple(optional), where)
    return Stage(
        name=check_name(fields["name"], where),
        weights=by_segment({}),
        kind=kind,
        objective=kind if kind in BY_TRL else "cross-entropy",
        options=_options(fields.get("options", {}), kind, kind, where),
        rewards=_rewards(fields.get("reward"), where),
        learning_rate=_above_zero(fields, "learning_rate", where),
        share=_above_zero(fields, "share", where),
    )


def _rewards(given: Any, where: str) -> tuple[tuple[str, float], ...]:
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: reward must be names and weights (harness list rewards)")
    from tasks.rewards import RewardSum  # with the scorer, which most variants can do without

    weights = {str(name): _number(given, name) for name in given}
    RewardSum(weights).check(where)
    return tuple(sorted(weights.items()))


def _options(given: Any, kind: Kind, objective: str, where: str) -> tuple[tuple[str, float], ...]:
    """All options of an objective or of a drawing: those given, the others at their defaults."""
    options = OPTIONS.get(kind) or OBJECTIVES[objective].options
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: options must be names and numbers")
    known = "{meant}" if options else "it has none"
    check_keys(given, options, where, f"{objective} has no option {{key!r}}: {known}")
    values = {name: _number(given, name) if name in given else value for name, value in options.items()}
    _check(values, kind, objective, where)
    return tuple(sorted(values.items()))


def _check(options: Mapping[str, float], kind: Kind, objective: str, where: str) -> None:
    """InputError where a value is out of range."""
    if kind not in OPTIONS:
        OBJECTIVES[objective].check(options, where)
        return
    least = 2 if kind in ONLINE else 1  # a response is held against the others to its question
    for name in {"samples": least, "questions": 1}.keys() & options.keys():
        count, from_ = options[name], least if name == "samples" else 1
        if not (from_ <= count <= MOST_SAMPLES and count == int(count)):
            raise InputError(
                f"{where}: {name} must be a whole number from {from_} to {MOST_SAMPLES}, not {count:g}"
            )
    if "samples" in options:
        temperature, top_p = options["temperature"], options["top_p"]
        if not 0 <= temperature <= 100 or not 0 < top_p <= 1:
            raise InputError(f"{where}: temperature must be 0 to 100, and top_p above 0 and at most 1")
        if options["samples"] > 1 and temperature == 0:
            count = options["samples"]
            raise InputError(f"{where}: {count:g} samples without a temperature are one; raise it, or draw 1")
    if not 0 <= options.get("beta", 0.0) <= 100 or (kind == "dpo" and options["beta"] == 0):
        raise InputError(f"{where}: beta must be a number of at least 0 (dpo: above 0), and at most 100")
    if not 0 < options.get("epsilon", 0.2) <= 100:
        raise InputError(f"{where}: epsilon must be above 0, and at most 100")
    if options.get("normalised", 0.0) not in (0.0, 1.0):
        raise InputError(f"{where}: normalised must be 0 or 1")


def _reference(given: Any, objective: str, where: str) -> Reference | None:
    usual = OBJECTIVES[objective].reference
    if given is None:
        return usual
    if usual is None:
        raise InputError(f"{where}: {objective} needs no reference model; leave reference out")
    if given not in REFERENCES:
        raise InputError(f"{where}: no reference {given!r}: there are {', '.join(REFERENCES)}")
    return given


def _trained_part(fields: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What of the model a stage trains, where that is not all of it."""
    layers, method = fields.get("last_layers"), fields.get("method")
    if layers is not None and (isinstance(layers, bool) or not isinstance(layers, int) or layers < 1):
        raise InputError(f"{where}: last_layers must be a whole number of at least 1")
    if method is not None and method not in STAGE_METHODS:
        raise InputError(
            f"{where}: no method {method!r} of a stage: {did_you_mean(str(method), STAGE_METHODS)}"
        )
    if method is not None and layers is not None:
        raise InputError(f"{where}: adapters stand in all layers; leave last_layers or method out")
    return {"last_layers": layers, "method": method}


def _above_zero(fields: Mapping[str, Any], name: str, where: str) -> float | None:
    """A number, also written like 5e-6, which YAML 1.1 takes for text; None where the field is missing."""
    if name not in fields:
        return None
    value = _number(fields, name)
    if not 0 < value <= 1:
        raise InputError(f"{where}: {name} must be a number above 0, and at most 1")
    return value


def _number(fields: Mapping[str, Any], name: str) -> float:
    """The value as a number; not-a-number where it is none."""
    try:
        return float("nan" if isinstance(fields[name], bool) else fields[name])
    except (TypeError, ValueError):
        return float("nan")


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
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not (weight == 0 or 1 / _MOST_WEIGHT <= weight <= _MOST_WEIGHT):
            raise InputError(
                f"{where}: the weight of {segment} must be a number of at least 0, of 1e-6 to 1e6 where not 0"
            )
    if not any(loss.values()):
        raise InputError(f"{where}: no segment has a weight above 0, so there would be no loss")
    return by_segment(loss)


def _fields(data: Any, needed: tuple[str, ...], optional: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected {', '.join(needed)}")
    check_keys(data, needed + optional, where, "unknown field {key!r}: {meant}")
    if missing := [key for key in needed if key not in data]:
        raise InputError(f"{where}: {missing[0]} is missing")
    return data
