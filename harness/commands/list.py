"""`harness list`: what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.progress import console
from tasks.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

    from sftkey_train.variants import Stage

_WHAT = "benchmarks, variants, objectives, rewards, tags or engines"


def list_known(what: Annotated[str, typer.Argument(help=_WHAT, metavar="WHAT")]) -> None:
    """Show what there is: benchmarks, variants, rewards, engines and the rest."""
    console().print(listing(what))


class Line(NamedTuple):
    """One row: `detail` is printed below the description, and fainter."""

    name: str
    description: str
    source: str
    detail: str = ""


def listing(what: str) -> Table:
    """A table of what there is; InputError where `what` is none of `LISTS`."""
    from rich.table import Table
    from rich.text import Text

    if what not in LISTS:
        raise InputError(f"harness list {what}: {did_you_mean(what, LISTS)}")
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column(what[:-1], no_wrap=True)
    table.add_column("description", ratio=2, overflow="fold")
    table.add_column("source", ratio=1, overflow="fold")
    for line in LISTS[what]():
        detail = (f"\n{line.detail}", "dim") if line.detail else ""
        table.add_row(Text(line.name), Text.assemble(line.description, detail), Text(line.source))
    return table


def _benchmarks() -> Iterator[Line]:
    from tasks.benchmarks import all_benchmarks

    for benchmark in all_benchmarks():
        yield Line(benchmark.name, f"{benchmark.description} ({benchmark.kind})", benchmark.source)


def _variants() -> Iterator[Line]:
    from sftkey_train.variants import load_variant, variant_names

    for name in variant_names():
        variant = load_variant(name)
        stages = ", then ".join(map(_stage, variant.stages))
        yield Line(name, variant.description, variant.source, stages)


def _stage(stage: Stage) -> str:
    """`rho-1 (share 0.6, reference sft) on response`."""
    from sftkey_train.segments import LOSS_PRESETS, SEGMENTS
    from sftkey_train.variants import OPTIONS

    if stage.kind in OPTIONS:
        rewards = "".join(f", {weight:g} × {name}" for name, weight in stage.rewards)
        return f"{stage.kind} ({_settings(dict(stage.options))}{rewards})"
    weights = {segment: weight for segment, weight in zip(SEGMENTS, stage.weights, strict=True) if weight}
    preset = next((name for name, preset in LOSS_PRESETS.items() if preset == weights), None)
    settings = _settings(dict(stage.options), stage.reference)
    learns = "" if stage.kind == "sft" else f"{stage.kind}: "
    return f"{learns}{stage.objective}{settings and f' ({settings})'} on {preset or _settings(weights)}"


def _objectives() -> Iterator[Line]:
    from sftkey_train.objectives import OBJECTIVES

    for objective in OBJECTIVES.values():
        settings = _settings(objective.options, objective.reference)
        detail = f"{objective.formula}\n{settings}" if settings else objective.formula
        yield Line(objective.name, objective.summary, objective.source, detail)


def _rewards() -> Iterator[Line]:
    from tasks.rewards import REWARDS

    for one in REWARDS.values():
        yield Line(one.name, one.summary, one.field("Source"), one.field("Formula"))


def _settings(numbers: Mapping[str, float], reference: str | None = None) -> str:
    texts = [f"{name} {value:g}" for name, value in numbers.items()]
    return ", ".join(texts + ([f"reference {reference}"] if reference else []))


def _tags() -> Iterator[Line]:
    from tasks.tags import TAG_FORMATS

    for tags in TAG_FORMATS.values():
        yield Line(tags.name, tags.description, tags.source, tags.validity)


def _engines() -> Iterator[Line]:
    from harness.engines.registry import ENGINES

    for engine in ENGINES.values():
        installed = "" if engine.installed else " Not installed."
        yield Line(engine.name, engine.description + installed, engine.source)


LISTS: dict[str, Callable[[], Iterator[Line]]] = {
    "benchmarks": _benchmarks,
    "variants": _variants,
    "objectives": _objectives,
    "rewards": _rewards,
    "tags": _tags,
    "engines": _engines,
}
