"""Builds the leaderboard: stored runs in, a `Board` out; every writer only lays it out.

Everything is measured and compared first; then each row, and the board, is made once, whole. The format
validity of an untagged entry, which is another thing, is never compared with that of a tagged one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

from leaderboards.board import conclusions
from leaderboards.board.cells import CellMaker, buckets_of, mean_cost, votes_of, without_home
from leaderboards.board.comparing import Comparer, alpha_changes, tiers
from leaderboards.board.curves import curve_of
from leaderboards.board.rows import FORMAT_DEPENDENT, Board, Comparison, FigureKey, Row
from leaderboards.board.values import Measured, bootstrap
from leaderboards.results.comparability import checked_aspects
from leaderboards.results.merge import Group, merge_runs
from leaderboards.results.reported import Reported
from leaderboards.results.schema import METRICS, Metric, RunResults
from leaderboards.stats import CONFIDENCE, MACRO
from tasks.errors import InputError

DEFAULT_REFERENCES = ("sft-tag-x2", "sft-tag", "sft")


def build_board(
    runs: Sequence[RunResults],
    *,
    reference: str | None = None,
    rank_by: str = "accuracy",
    alpha: float = 0.7,
    allow_different: Collection[str] = (),
    reported: Sequence[Reported] = (),
) -> Board:
    """Builds the leaderboard of one or several stored runs.

    Args:
        runs: the stored runs; the same checkpoint in two of them counts once.
        reference: the entry that all others are compared with; by default the compute-matched control
            `sft-tag-x2`, else `sft-tag`, else `sft`, else the first trained entry, else the first.
        rank_by: accuracy, accuracy_strict, format_valid or score; the macro average decides.
        alpha: the weight of accuracy in score = α·accuracy + (1 - α)·format_valid.
        allow_different: in what results may differ (data, prompt, generation, scorer) and be shown marked.
        reported: figures that others report, to be shown beside the rows.

    Raises:
        InputError: an unknown reference or metric, runs that contradict each other or are not comparable, or
            a row and its reference that were not asked the same questions.
    """
    metric = _checked_metric(rank_by)
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha: {alpha} is outside 0 to 1; it weighs accuracy against format in the score")
    groups = merge_runs(runs, checked_aspects(allow_different))
    name = _reference_name(groups, reference)
    benchmarks = tuple(dict.fromkeys(chain.from_iterable(group.outcomes for group in groups)))
    any_tagged = any(group.entries[0].tagged for group in groups)
    measured, ranks = _ranked([Measured.of(group, benchmarks, alpha, any_tagged) for group in groups], metric)
    groups = tuple(each.group for each in measured)
    comparer = Comparer(measured, benchmarks, alpha)
    versus = {
        other: comparer.against(other, permuted=other == name)
        for other in dict.fromkeys(group.name for group in groups)
    }
    ranked = [row for row, rank in enumerate(ranks) if rank is not None]
    pairs = comparer.all_pairs(metric, ranked)
    changes = alpha_changes([one.score_by_alpha for one in measured], comparer.both_differ())
    rows = tuple(_rows(measured, ranks, tiers(ranked, pairs), versus[name], benchmarks, alpha, name))
    return Board(
        rows=rows,
        benchmarks=benchmarks,
        reference=name,
        rank_by=metric,
        alpha=alpha,
        confidence=CONFIDENCE,
        family_macro=sum(where == MACRO and of == metric for _, where, of in versus[name]),
        family_cells=sum(where != MACRO and of == metric for _, where, of in versus[name]),
        summary=conclusions.summary(rows, metric),
        notes=conclusions.cautions(rows, groups, benchmarks, metric),
        checks=conclusions.checks(rows, groups, benchmarks, changes),
        provenance=tuple((run.source, dict(run.provenance)) for run in runs),
        pairs=pairs,
        alpha_changes=changes,
        reported=tuple(reported),
        versus=versus,
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


def _ranked(
    measured: Sequence[Measured], metric: Metric
) -> tuple[tuple[Measured, ...], tuple[int | None, ...]]:
    """Best macro average first, with ranks; those whose figure means something else come last, unranked."""

    def has_mean(one: Measured) -> bool:
        return (MACRO, metric) in one.estimates

    def own_format(one: Measured) -> bool:
        return metric in FORMAT_DEPENDENT and one.own_format

    any_comparable = any(has_mean(one) and not own_format(one) for one in measured)

    def comparable(one: Measured) -> bool:
        return has_mean(one) and not (any_comparable and own_format(one))

    def mean(one: Measured) -> float:
        return one.estimates[MACRO, metric].mean if has_mean(one) else -1.0

    ordered = sorted(measured, key=lambda one: (not comparable(one), -mean(one)))
    better = [sum(comparable(other) and mean(other) > mean(one) for other in measured) for one in ordered]
    ranks = (ahead + 1 if comparable(one) else None for one, ahead in zip(ordered, better, strict=True))
    return tuple(ordered), tuple(ranks)


def _rows(
    measured: Sequence[Measured],
    ranks: Sequence[int | None],
    tier_of: Mapping[int, int],
    compared: Mapping[FigureKey, Comparison],
    benchmarks: tuple[str, ...],
    alpha: float,
    reference: str,
) -> Iterator[Row]:
    groups = [one.group for one in measured]
    intervals, buckets = bootstrap(groups, benchmarks, alpha), buckets_of(groups, benchmarks)
    for row, group in enumerate(groups):
        maker = CellMaker(row, measured[row], intervals, compared, buckets, votes_of(group))
        cells = (maker.cell(benchmark, (benchmark,)) for benchmark in benchmarks)
        first = group.entries[0]
        yield Row(
            rank=ranks[row],
            tier=tier_of.get(row),
            name=group.name,
            model=group.model,
            role=first.role,
            seeds=tuple(entry.seed for entry in group.entries),
            tags=first.tags,
            tagged=first.tagged,
            method=first.method,
            checkpoints=tuple(without_home(entry.checkpoint) for entry in group.entries),
            is_reference=group.name == reference,
            macro=maker.cell(MACRO, benchmarks),
            cells=tuple(cell for cell in cells if cell),
            cost=mean_cost(group),
            curve=curve_of(group.curves),
            evaluation_seconds=sum(evaluation.wall_seconds for evaluation in group.evaluations),
            licence=first.licence,
            link=first.link,
            marks=tuple(dict.fromkeys(f"{one.benchmark}: {one.mark()}" for one in group.unlike)),
            score_by_alpha=measured[row].score_by_alpha,
        )
