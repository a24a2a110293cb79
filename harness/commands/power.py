"""`harness power`: how many seeds and questions a difference needs, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.commands.options import option
from harness.progress import console
from leaderboards.report.wording import METRIC_NAMES, MISSING, duration, large, percent
from tasks.errors import InputError
from tasks.shown import neutral, printable

if TYPE_CHECKING:
    from leaderboards.results.merge import Group
    from leaderboards.stats.power import Design

SEEDS = (2, 3, 5, 10, 20)
TIMES = (0.5, 1.0, 2.0, 4.0)
MOST_SEEDS = 100
_LEVEL = 0.05
_RUN = "Folder of a finished run, the pilot; without one, what is assumed below."
_CLAIM = "Which two are to be told apart; by default sftkey-tag and its compute-matched control."
_QUESTIONS = "Assumed: questions of each benchmark."
_CORRECTED = "As one of all pairs of the board, not as a declared claim."


class Cost(NamedTuple):
    """What one seed of both variants took: to train, and to answer all questions once."""

    flops: float
    train_seconds: float
    eval_seconds: float

    def worded(self, seeds: int, times: float) -> str:
        """Of so many seeds, with times the questions."""
        seconds = seeds * (self.train_seconds + times * self.eval_seconds)
        return f"{large(seeds * self.flops)} FLOPs of training, {duration(seconds)} on this machine"


def power_command(
    run_dir: Annotated[Path | None, typer.Argument(help=_RUN, metavar="[RUN_DIR]")] = None,
    difference: Annotated[float, typer.Option(help="Points that are to be found.")] = 2.0,
    claim: Annotated[str | None, option(_CLAIM, metavar='"A > B on METRIC"')] = None,
    corrected: Annotated[bool, typer.Option("--corrected", help=_CORRECTED)] = False,
    questions: Annotated[str, typer.Option(help=_QUESTIONS, metavar="N,…")] = "1319",
    differ: Annotated[float, typer.Option(help="Assumed: % of questions only one of two has right.")] = 20.0,
    lasting: Annotated[float, typer.Option(help="Assumed: % of these that other seeds share.")] = 30.0,
    seed_sd: Annotated[float, typer.Option(help="Assumed: points that seeds deviate (s.d.).")] = 1.0,
) -> None:
    """Say how many seeds and questions it takes to find a difference, and what they cost."""
    if not 0 < difference < 100:
        raise InputError(f"--difference {difference:g}: choose points above 0 and below 100")
    if run_dir is None:
        if claim or corrected:
            raise InputError(f"{'--claim' if claim else '--corrected'}: needs a run; name its folder")
        design, cost, alpha = _assumed(questions, differ, lasting, seed_sd), None, _LEVEL
        about = (
            f"assumed: {differ:g} % of the questions are right for one of the two alone, {lasting:g} % of "
            f"these with other seeds too, and seeds have a standard deviation of {seed_sd:g} points"
        )
    else:
        design, about, cost, alpha = _pilot(run_dir, claim, corrected)
    print(f"{about}\npoints of true difference that are found four times in five at {100 * alpha:.2g} %:")
    _print_table(design, difference / 100, alpha)
    total = int(design.sizes_B.sum())
    for times in TIMES[1:]:
        seeds = design.seeds_for(difference / 100, times, alpha, MOST_SEEDS)
        needed = f"{seeds} seeds of each" if seeds else f"more than {MOST_SEEDS} seeds of each"
        price = f": {cost.worded(seeds, times)}" if cost and seeds else ""
        print(f"{difference:g} points with {times * total:,.0f} questions: {needed}{price}")


def _print_table(design: Design, wanted: float, alpha: float) -> None:
    from rich.text import Text

    from leaderboards.report.terminal import ruled_table

    total = float(design.sizes_B.sum())
    table = ruled_table(("seeds", *(f"{times * total:,.0f} questions" for times in TIMES)))
    for seeds in SEEDS:
        found = [design.detectable(seeds, times, alpha) for times in TIMES]
        cells = [
            Text(MISSING if each is None else percent(each), "green" if each and each <= wanted else "")
            for each in found
        ]
        table.add_row(str(seeds), *cells)
    console().print(table)


def _assumed(questions: str, differ: float, lasting: float, seed_sd: float) -> Design:
    from leaderboards.stats.power import Design

    sizes = [int(part) if part.strip().isdecimal() else 0 for part in questions.split(",")]
    if min(sizes) < 2:
        raise InputError(f"--questions {questions}: write numbers from 2 on, such as 500,1319")
    for name, value in (("differ", differ), ("lasting", lasting)):
        if not 0 < value < 100:
            raise InputError(f"--{name} {value:g}: choose a number above 0 and below 100")
    if not 0 <= seed_sd < 50:
        raise InputError(f"--seed-sd {seed_sd:g}: choose points from 0 to 50")
    return Design.assumed(sizes, differ / 100, lasting / 100, seed_sd / 100)


def _pilot(run_dir: Path, text: str | None, corrected: bool) -> tuple[Design, str, Cost, float]:
    from harness.config import stored_config
    from leaderboards import read_outcomes
    from leaderboards.board.claim_text import DEFAULT, parse_claim
    from leaderboards.board.claims import paired
    from leaderboards.board.values import contents_of, seeds_on_all, spread_of
    from leaderboards.results.merge import merge_runs
    from leaderboards.stats.power import Design

    run = read_outcomes(run_dir)
    groups, alpha = merge_runs([run]), stored_config(run).alpha
    claim = parse_claim(text or DEFAULT)
    _, pair = next(paired(claim, groups, list(groups[0].outcomes)))
    if len(pair.seeds) < 2:
        raise InputError(
            f"{run_dir}: {claim.first} and {claim.second} have {len(pair.seeds)} seeds in common; train 2 or "
            "more"
        )
    asked = pair.benchmarks
    design = Design.of(
        pair.matrices(claim.metric, alpha),
        spread_of(groups, asked, claim.metric, alpha),
        sum(len(seeds_on_all(group, asked)) > 1 for group in groups),
        pair.num_sides,
        contents_of(pair.entry, asked),
    )
    level = _LEVEL / (len(groups) * (len(groups) - 1) // 2) if corrected else _LEVEL
    about = (
        f"{claim.first} and {claim.second} on {METRIC_NAMES[claim.metric]}, from {len(pair.seeds)} seeds and "
        f"{sum(design.sizes_B):,.0f} questions of {run_dir}"
    )
    return design, neutral(printable(about)), _cost((pair.entry, pair.other), asked), level


def _cost(sides: Sequence[Group], benchmarks: Sequence[str]) -> Cost:
    """Means over the seeds of the pilot, summed over the two variants."""
    flops = train = evaluation = 0.0
    for group in sides:
        trained = [entry.training for entry in group.entries if entry.training]
        own = [one for one in group.evaluations if one.benchmark in benchmarks]
        flops += sum(each.total_flops for each in trained) / max(len(trained), 1)
        train += sum(each.wall_seconds for each in trained) / max(len(trained), 1)
        evaluation += sum(each.wall_seconds for each in own) / len(group.entries)
    return Cost(flops, train, evaluation)
