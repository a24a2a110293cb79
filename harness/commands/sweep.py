"""`harness sweep`: each variant's own settings and options, chosen on validation questions.

Every variant gets the same budget and as many trials: one that lacks a setting of the grid, as one stage
lacks a second stage's share, tries more learning rates between the same ends. The seeds are none of the
run's. Stages and completions go to the run's store, so a sweep is shared between variants and goes on
after an interruption.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from harness.commands.options import DATA, TRAINING, Given, configured, option
from harness.config import OWN_SETTINGS, Config, dump_config
from harness.files import locked
from harness.preflight import check_training
from harness.progress import Reporter, console
from leaderboards.results.schema import Tuning
from sftkey_train import distributed
from sftkey_train.objectives import OBJECTIVES
from sftkey_train.settings import TrainSettings
from sftkey_train.variants import Variant, load_variant, option_names, with_options
from tasks.checks import checked
from tasks.errors import InputError, did_you_mean
from tasks.files import write_whole
from tasks.shown import neutral

if TYPE_CHECKING:
    from rich.table import Table

Point = tuple[tuple[str, float], ...]
"""(setting, value) of one point of a variant's grid."""
CHOSEN_FILE = "chosen.yaml"
LEDGER_FILE = "sweep.json"
MOST_POINTS = 1_000
FIRST_SEED = 1000
"""Of a sweep: seeds that no run tests."""
_FEWEST_WITH_EDGE = 3
"""Of two values each is one of the ends."""
_GRID = (
    "A setting and its values, such as learning_rate=1e-5,3e-5; may be repeated. Half, once and twice the "
    "learning rate × stage2_share 0.25 and 0.5 where none is given. Options of objectives too: weight=2,5."
)


@dataclass(frozen=True)
class Tried:
    """One variant at one point, over seeds and benchmarks."""

    variant: str  # as the configuration names it
    point: Point  # the settings
    metric: float  # mean of the metric that ranks, over benchmarks and seeds, on validation questions
    format_valid: float  # likewise the share of outputs in the tag format
    chosen: bool = False  # whether it is the variant's best; of equal ones the first of the grid


@configured("grid", *TRAINING, "engine", *DATA, "limit", "out", "setting", "quick")
def sweep(given: Given, grid: Annotated[list[str] | None, option(_GRID, metavar="name=a,b")] = None) -> None:
    """Choose each variant's settings on validation questions, never on the test's."""
    if distributed.count() > 1:
        raise InputError("a sweep is one process; stages run side by side on the GPUs there are")
    config = given.config()
    wanted = parse_grid(grid) if grid else default_grid(config)
    _check_grid(config, wanted, said=bool(grid))
    check_training(config, config.load_benchmarks())
    with locked(config.out):
        tried = choose_settings(config, wanted, Reporter())
    console().print(_table(tried, config.rank_by))
    print(f"next: harness train-and-eval --config {neutral(config.out / CHOSEN_FILE)}")


def _table(tried: Sequence[Tried], metric: str) -> Table:
    """All points, the chosen ones marked."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("variant", no_wrap=True)
    shown.add_column("settings")
    shown.add_column(f"{metric} %", justify="right")
    shown.add_column("format %", justify="right")
    shown.add_column("")
    for one in tried:
        mark, style = ("chosen", "bold") if one.chosen else ("", None)
        figures = (f"{100 * one.metric:.1f}", f"{100 * one.format_valid:.1f}")
        shown.add_row(Text(neutral(one.variant)), in_words(one.point), *figures, mark, style=style)
    return shown


def parse_grid(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """`name=1e-5,3e-5` texts as a grid.

    InputError where one is not of that form, or sets what variants may not have for themselves.
    """
    grid: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        known = [*OWN_SETTINGS, *{option: 0 for each in OBJECTIVES.values() for option in each.options}]
        if name not in known:
            raise InputError(f"--grid {text}: {did_you_mean(name, known)}")
        if name in grid:
            raise InputError(f"--grid {text[:200]}: {name} stands there twice; name all its values once")
        try:
            wanted = [float(value) for value in values.split(",")]
        except ValueError as error:
            raise InputError(f"--grid {text[:200]}: expected numbers, such as {name}=1e-5,3e-5") from error
        grid[name] = tuple(dict.fromkeys(wanted))
        if len({f"{value:g}" for value in grid[name]}) < len(grid[name]):  # what a point's folder is called
            raise InputError(f"--grid {text[:200]}: two values are the same to six digits; leave one out")
    return grid


def default_grid(config: Config) -> dict[str, tuple[float, ...]]:
    """Half, once and twice the run's learning rate, and two shares for the second stage."""
    rate = config.train.learning_rate
    return {"learning_rate": (rate / 2, rate, 2 * rate), "stage2_share": (0.25, 0.5)}


def _check_grid(config: Config, grid: Mapping[str, Sequence[float]], *, said: bool) -> None:
    """Refuses (InputError) values that no run may have, too many of them, and what no variant takes."""
    number = math.prod(map(len, grid.values()))
    if number > MOST_POINTS:
        raise InputError(f"--grid: {number:,} points for each variant; at most {MOST_POINTS:,} are tried")
    variants = [load_variant(name) for name in config.variants]
    for name, value in ((name, value) for name, values in grid.items() for value in values):
        if name in OWN_SETTINGS:
            checked(TrainSettings, {name: value}, "--grid", "--grid ")
        for variant in variants:
            with_options(variant, {name: value})
    taken = {name for variant in variants for name in grid if _takes(variant, name)}
    if said and (idle := [name for name in grid if name not in taken]):
        names = ", ".join(config.variants)
        raise InputError(f"--grid {idle[0]}: changes nothing in {names}, whose stages set it or lack it")


def _takes(variant: Variant, setting: str) -> bool:
    """Whether a setting says anything of a variant, whose stages may have their own."""
    first, *later = variant.stages
    if setting == "learning_rate":
        return first.learning_rate is None
    if setting == "second_learning_rate":
        return any(stage.learning_rate is None for stage in later)
    if setting == "stage2_share":
        return any(stage.share is None for stage in later)
    return setting in OWN_SETTINGS or setting in option_names(variant)


def points_of(variant: Variant, grid: Mapping[str, Sequence[float]], trials: int = 0) -> list[Point]:
    """The points of a variant's grid, in the order of the grid.

    Where they are fewer than `trials`, learning rates are added between the grid's ends, evenly in their
    logarithm, as far as the other settings' values divide the number.
    """
    own = {name: tuple(values) for name, values in grid.items() if _takes(variant, name)}
    if rates := own.get("learning_rate"):
        wanted = trials // math.prod(len(values) for name, values in own.items() if name != "learning_rate")
        if wanted > len(rates) > 1:
            low, high = math.log(min(rates)), math.log(max(rates))
            between = (low + (high - low) * i / (wanted - 1) for i in range(wanted))
            own["learning_rate"] = tuple(float(f"{math.exp(rate):.6g}") for rate in between)
    return [tuple(zip(own, values, strict=True)) for values in itertools.product(*own.values())]


def choose_settings(config: Config, grid: Mapping[str, Sequence[float]], reporter: Reporter) -> list[Tried]:
    """Trains and evaluates every variant at every point, and writes the choice beside the run.

    `sweep.json` holds all points; `chosen.yaml` is the run's configuration with each variant's best, ready
    for `harness train-and-eval --config`. InputError where no benchmark has validation records.
    """
    benchmarks = [one.name for one in config.load_benchmarks() if one.has_validation]
    if not benchmarks:
        raise InputError(
            f"{', '.join(config.benchmarks)}: no validation or training records to choose on; add a "
            "benchmark that has some"
        )
    left_out = [name for name in config.benchmarks if name not in benchmarks]
    if left_out:
        reporter.line(f"no validation records in {', '.join(left_out)}: not looked at")
    variants_at: dict[Point, list[str]] = {}
    trials = max(len(points_of(load_variant(name), grid)) for name in config.variants)
    for name in config.variants:
        for point in points_of(load_variant(name), grid, trials):
            variants_at.setdefault(point, []).append(name)
    tried: list[Tried] = []
    for number, (point, names) in enumerate(variants_at.items(), 1):
        reporter.line(f"point {number} of {len(variants_at)}: {in_words(point)} for {', '.join(names)}")
        tried += _try(config, point, names, benchmarks, reporter)
    tried = _choose(tried, config.variants)
    points = [dataclasses.asdict(one) | {"point": dict(one.point)} for one in tried]
    write_whole(config.out / LEDGER_FILE, json.dumps(points, indent=1) + "\n")
    best = {one.variant: one for one in tried if one.chosen}
    tuned = {name: _tuning(one, tried, config.seeds) for name, one in best.items()}
    for name, tuning in tuned.items():
        if tuning.edges:
            edges = ", ".join(tuning.edges)
            reporter.line(f"{name}: the best {edges} is the grid's last; a wider grid may hold a better one")
    chosen = dataclasses.replace(
        config, per_variant={name: dict(one.point) for name, one in best.items()}, tuned=tuned
    )
    write_whole(config.out / CHOSEN_FILE, dump_config(chosen))
    return tried


def _tuning(best: Tried, tried: Sequence[Tried], seeds: int) -> Tuning:
    """What the leaderboard says of how a variant's settings were chosen."""
    own = [one for one in tried if one.variant == best.variant]
    values = {name: sorted({dict(one.point)[name] for one in own}) for name, _ in best.point}
    edges = (
        name
        for name, value in best.point
        if len(values[name]) >= _FEWEST_WITH_EDGE and value in (values[name][0], values[name][-1])
    )
    gain = best.metric - sum(one.metric for one in own) / len(own)
    return Tuning(len(own), seeds, round(gain, 6), tuple(edges))


def in_words(point: Point) -> str:
    """A point as a person reads it."""
    return ", ".join(f"{name} {value:g}" for name, value in point) or "the run's settings"


def _try(
    config: Config, point: Point, names: Sequence[str], benchmarks: Sequence[str], reporter: Reporter
) -> list[Tried]:
    """The variants at one point, on validation questions."""
    from harness.plan import make_plan
    from harness.run import evaluate, train
    from leaderboards import read_results

    label = "_".join(f"{name}={value:g}" for name, value in point) or "own"
    here = dataclasses.replace(
        config,
        variants=tuple(names),
        first_seed=FIRST_SEED,
        benchmarks=tuple(benchmarks),
        per_variant={name: dict(point) for name in names},
        out=config.out / "sweep" / label,
        store=config.store_dir,
        eval=dataclasses.replace(config.eval, split="validation", key=False),
        reference=None,
        claims=(),
        until_decided=False,
        tuned={},
    )
    plan = make_plan(here)
    train(plan, reporter)
    evaluate(plan, reporter)
    samples = read_results(here.out).samples
    metrics = list(dict.fromkeys((config.rank_by, "format_valid")))
    by_benchmark = samples.groupby(["entry", "benchmark"])[metrics].mean()
    means = by_benchmark.groupby("entry").mean().to_dict("index")
    return [
        Tried(name, point, means[variant.name][config.rank_by], means[variant.name]["format_valid"])
        for name, variant in zip(names, plan.variants, strict=True)
    ]


def _choose(tried: Sequence[Tried], order: Sequence[str]) -> list[Tried]:
    """The same in the order of the variants, each one's best marked: of equal ones the first."""
    best = [max((one for one in tried if one.variant == name), key=lambda one: one.metric) for name in order]
    marked = [dataclasses.replace(one, chosen=one in best) for one in tried]
    return sorted(marked, key=lambda one: order.index(one.variant))
