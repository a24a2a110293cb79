"""Builds the leaderboard: stored runs in, a `Board` out; every writer only lays it out.

Two things are never done here: comparing the format validity of an untagged entry, which is a different
thing (a final-answer line), with that of a tagged one; and calling a difference one that the paired test
does not support.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from leaderboards.cells import CellMaker, mean_cost
from leaderboards.curves import curve_of
from leaderboards.findings import notes, summary
from leaderboards.integrity import checks, warnings
from leaderboards.merge import Group, merge_runs
from leaderboards.pairing import differences, seed_pairs, seeds_on_all
from leaderboards.rows import (
    FORMAT_DEPENDENT,
    MACRO,
    METRICS,
    Board,
    Cell,
    Comparison,
    Metric,
    Row,
    Verdict,
)
from leaderboards.schema import RunResults
from leaderboards.stats import CONFIDENCE, Difference, holm, paired_difference
from tasks.errors import InputError

DEFAULT_REFERENCES = ("sft-tag-x2", "sft-tag", "sft")

_Key = tuple[int, str, Metric]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What every row is built from: the groups, whom each is compared with, and how."""

    groups: tuple[Group, ...]
    partners: tuple[Group | None, ...]
    benchmarks: tuple[str, ...]
    rank_by: Metric
    alpha: float


def build_board(
    runs: Sequence[RunResults],
    *,
    reference: str | None = None,
    rank_by: str = "accuracy",
    alpha: float = 0.7,
) -> Board:
    """Builds the leaderboard of one or several stored runs.

    Args:
        runs: the stored runs; the same checkpoint in two of them counts once.
        reference: the entry that all others are compared with; by default the compute-matched control
            `sft-tag-x2`, else `sft-tag`, else `sft`, else the first trained entry, else the first.
        rank_by: accuracy, accuracy_strict, format_valid or score; the macro average decides.
        alpha: the weight of accuracy in score = α·accuracy + (1 - α)·format_valid.

    Raises:
        InputError: an unknown reference or metric, runs that contradict each other, or a row and its
            reference that were not asked the same questions.
    """
    metric = _checked_metric(rank_by)
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha: {alpha} is outside 0 to 1; it weighs accuracy against format in the score")
    groups = merge_runs(runs)
    name = _reference_name(groups, reference)
    benchmarks = tuple(dict.fromkeys(chain.from_iterable(group.outcomes for group in groups)))
    partners = tuple(_partner(group, groups, name) for group in groups)
    plan = _Plan(groups, partners, benchmarks, metric, alpha)
    found = dict(_compare_all(plan))
    corrected = _correct(found)
    board = Board(
        rows=_ranked([_row(plan, index, name, found, corrected) for index in range(len(groups))], metric),
        benchmarks=benchmarks,
        reference=name,
        rank_by=metric,
        alpha=alpha,
        confidence=CONFIDENCE,
        family_macro=sum(where == MACRO and of == metric for _, where, of in found),
        family_cells=sum(where != MACRO and of == metric for _, where, of in found),
        summary=(),
        notes=(),
        checks=(),
        provenance=tuple((run.source, dict(run.provenance)) for run in runs),
    )
    return replace(
        board,
        summary=summary(board),
        notes=(*notes(board), *warnings(board, groups)),
        checks=checks(board, groups),
    )


def _checked_metric(name: str) -> Metric:
    for metric in METRICS:
        if metric == name:
            return metric
    raise InputError(f"rank_by: unknown metric {name!r}; choose one of {', '.join(METRICS)}")


def _reference_name(groups: Sequence[Group], asked: str | None) -> str:
    names = list(dict.fromkeys(group.name for group in groups))
    if asked is not None:
        if asked not in names:
            raise InputError(f"reference: no entry named {asked!r}; the runs hold {', '.join(names)}")
        return asked
    trained = [group.name for group in groups if group.entries[0].role == "trained"]
    return next(name for name in (*DEFAULT_REFERENCES, *trained, *names) if name in names)


def _partner(group: Group, groups: Sequence[Group], name: str) -> Group | None:
    """The reference of the same model, or the only one there is; None for the reference itself."""
    references = [other for other in groups if other.name == name]
    if group in references:
        return None
    same_model = [other for other in references if other.model == group.model]
    if same_model or len(references) == 1:
        return (same_model or references)[0]
    return None


def _compare_all(plan: _Plan) -> Iterator[tuple[_Key, Difference]]:
    """Every difference that may be shown: by row, benchmark (or macro) and metric."""
    for index, (group, partner) in enumerate(zip(plan.groups, plan.partners, strict=True)):
        if partner is None:
            continue
        shared = [b for b in plan.benchmarks if b in group.outcomes and b in partner.outcomes]
        places: list[tuple[str, tuple[str, ...]]] = [(benchmark, (benchmark,)) for benchmark in shared]
        if len(shared) == len(plan.benchmarks):
            places.append((MACRO, plan.benchmarks))
        for where, benchmarks in places:
            pairs = seed_pairs(seeds_on_all(group, benchmarks), seeds_on_all(partner, benchmarks))
            for metric in METRICS if pairs else ():
                if metric in FORMAT_DEPENDENT and group.entries[0].tagged != partner.entries[0].tagged:
                    continue
                matrices = differences(group, partner, benchmarks, pairs, metric, plan.alpha)
                yield (index, where, metric), paired_difference(matrices)


def _correct(found: Mapping[_Key, Difference]) -> dict[_Key, float]:
    """Holm's correction, for each metric over two families: the macro averages, and all single cells."""
    corrected: dict[_Key, float] = {}
    for metric in METRICS:
        for is_macro in (True, False):
            family = [key for key in found if key[2] == metric and (key[1] == MACRO) == is_macro]
            adjusted = holm([found[key].p for key in family])
            corrected.update(zip(family, adjusted, strict=True))
    return corrected


def _row(
    plan: _Plan,
    index: int,
    reference: str,
    found: Mapping[_Key, Difference],
    corrected: Mapping[_Key, float],
) -> Row:
    group = plan.groups[index]
    first = group.entries[0]
    maker = CellMaker.of(group, plan.alpha)

    def cell(where: str, benchmarks: tuple[str, ...]) -> Cell | None:
        comparisons = {
            metric: _comparison(found[index, where, metric], corrected[index, where, metric])
            for metric in METRICS
            if (index, where, metric) in found
        }
        return maker.cell(where, benchmarks, comparisons)

    cells = [cell(benchmark, (benchmark,)) for benchmark in plan.benchmarks]
    return Row(
        rank=None,
        name=group.name,
        model=group.model,
        role=first.role,
        seeds=tuple(entry.seed for entry in group.entries),
        tags=first.tags,
        tagged=first.tagged,
        method=first.method,
        checkpoints=tuple(entry.checkpoint for entry in group.entries),
        is_reference=group.name == reference,
        macro=cell(MACRO, plan.benchmarks),
        cells=tuple(cell for cell in cells if cell is not None),
        cost=mean_cost(group),
        curve=curve_of(group.curves),
        evaluation_seconds=sum(evaluation.wall_seconds for evaluation in group.evaluations),
        licence=first.licence,
        link=first.link,
    )


def _comparison(difference: Difference, p_holm: float) -> Comparison:
    verdict: Verdict = "not distinguishable"
    if p_holm < 1 - CONFIDENCE:
        verdict = "better" if difference.mean > 0 else "worse"
    return Comparison(difference, p_holm, verdict)


def _ranked(rows: Sequence[Row], metric: Metric) -> tuple[Row, ...]:
    """Best macro average first; rows whose figure means something else come last, without a rank."""
    any_comparable = any(row.macro and not row.macro.metric(metric).own_format for row in rows)

    def comparable(row: Row) -> bool:
        return row.macro is not None and not (any_comparable and row.macro.metric(metric).own_format)

    def mean(row: Row) -> float:
        return row.macro.metric(metric).estimate.mean if row.macro else -1.0

    ordered = sorted(rows, key=lambda row: (not comparable(row), -mean(row)))
    better = [sum(comparable(other) and mean(other) > mean(row) for other in rows) for row in ordered]
    return tuple(
        replace(row, rank=ahead + 1 if comparable(row) else None)
        for row, ahead in zip(ordered, better, strict=True)
    )
