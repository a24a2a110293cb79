"""Builds the leaderboard: stored runs in, a `Board` out; every writer only lays it out.

Two things are never done here: comparing the format validity of an untagged entry, which is a different
thing (a final-answer line), with that of a tagged one; and calling a difference one that the paired test
does not support.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from leaderboards.board.bootstrap import with_bootstrap
from leaderboards.board.buckets import buckets_of
from leaderboards.board.cells import CellMaker, mean_cost
from leaderboards.board.comparing import Comparer
from leaderboards.board.curves import curve_of
from leaderboards.board.findings import notes, summary
from leaderboards.board.integrity import checks, warnings
from leaderboards.board.rows import (
    MACRO,
    METRICS,
    Board,
    Bucket,
    Cell,
    Comparison,
    Metric,
    Place,
    Reported,
    Row,
)
from leaderboards.board.tiers import alpha_changes, score_by_alpha, tiers
from leaderboards.report.evidence_tables import alpha_sentence
from leaderboards.report.wording import without_home
from leaderboards.results.comparability import checked_aspects
from leaderboards.results.merge import Group, merge_runs
from leaderboards.results.schema import RunResults
from leaderboards.stats import CONFIDENCE
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
    rows, groups = _ranked_rows(_RowMaker.of(groups, benchmarks, name, alpha), groups, metric)
    board = Board(
        rows=with_bootstrap(rows, groups, benchmarks, alpha),
        benchmarks=benchmarks,
        reference=name,
        rank_by=metric,
        alpha=alpha,
        confidence=CONFIDENCE,
        family_macro=0,
        family_cells=0,
        summary=(),
        notes=(),
        checks=(),
        provenance=tuple((run.source, dict(run.provenance)) for run in runs),
        reported=tuple(reported),
    )
    board = _compared(board, groups)
    return replace(
        board,
        summary=summary(board),
        notes=(*notes(board), *warnings(board, groups)),
        checks=(*alpha_sentence(board), *checks(board, groups)),
    )


def _compared(board: Board, groups: Sequence[Group]) -> Board:
    """The board with comparisons to every possible reference, those of all pairs, and what follows."""
    rows, metric, name = board.rows, board.rank_by, board.reference
    comparer = Comparer(groups, board.benchmarks, board.alpha, rows)
    found = comparer.all_differences()
    versus = {each: comparer.against(each, found) for each in dict.fromkeys(row.name for row in rows)}
    versus[name] = comparer.with_permutations(name, versus[name])
    ranked = [position for position, row in enumerate(rows) if row.rank is not None]
    pairs = comparer.all_pairs(found, metric, ranked)
    return replace(
        board,
        rows=_compared_rows(rows, versus[name], tiers(ranked, pairs)),
        family_macro=sum(where == MACRO and of == metric for _, where, of in versus[name]),
        family_cells=sum(where != MACRO and of == metric for _, where, of in versus[name]),
        pairs=pairs,
        alpha_changes=alpha_changes(rows, comparer.both_differ(found)),
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


@dataclass(frozen=True, slots=True, eq=False)
class _RowMaker:
    """What the rows of a board have in common."""

    benchmarks: tuple[str, ...]
    reference: str
    alpha: float
    buckets: Mapping[str, Mapping[tuple[str, str], tuple[Bucket, ...]]]
    any_tagged: bool

    @classmethod
    def of(
        cls, groups: Sequence[Group], benchmarks: tuple[str, ...], reference: str, alpha: float
    ) -> "_RowMaker":
        """Puts the outputs of all groups into buckets with common edges."""
        buckets = {benchmark: buckets_of(groups, benchmark) for benchmark in benchmarks}
        any_tagged = any(group.entries[0].tagged for group in groups)
        return cls(benchmarks, reference, alpha, buckets, any_tagged)

    def row(self, group: Group) -> Row:
        """A row by itself: without rank, tier, comparisons and bootstrap, which need the other rows."""
        first = group.entries[0]
        maker = CellMaker.of(group, self.alpha)
        cells = [
            replace(cell, buckets=self.buckets[benchmark].get((group.model, group.name), ()))
            for benchmark in self.benchmarks
            if (cell := maker.cell(benchmark, (benchmark,)))
        ]
        on_all = all(group.is_comparable(benchmark) for benchmark in self.benchmarks)
        own_format = self.any_tagged and not first.tagged
        return Row(
            rank=None,
            tier=None,
            name=group.name,
            model=group.model,
            role=first.role,
            seeds=tuple(entry.seed for entry in group.entries),
            tags=first.tags,
            tagged=first.tagged,
            method=first.method,
            checkpoints=tuple(without_home(entry.checkpoint) for entry in group.entries),
            is_reference=group.name == self.reference,
            macro=maker.cell(MACRO, self.benchmarks) if on_all else None,
            cells=tuple(cells),
            cost=mean_cost(group),
            curve=curve_of(group.curves),
            evaluation_seconds=sum(evaluation.wall_seconds for evaluation in group.evaluations),
            licence=first.licence,
            link=first.link,
            marks=tuple(dict.fromkeys(f"{one.benchmark}: {one.mark()}" for one in group.unlike)),
            score_by_alpha=score_by_alpha(group, self.benchmarks) if on_all and not own_format else None,
        )


def _ranked_rows(
    maker: _RowMaker, groups: Sequence[Group], metric: Metric
) -> tuple[tuple[Row, ...], tuple[Group, ...]]:
    """The rows in the board's order, and their groups in the same."""
    of_row = {(group.model, group.name): group for group in groups}
    rows = _ranked([maker.row(group) for group in groups], metric)
    return rows, tuple(of_row[row.model, row.name] for row in rows)


def _compared_rows(
    rows: Sequence[Row], comparisons: Mapping[Place, Comparison], tier_of: Mapping[int, int]
) -> tuple[Row, ...]:
    """The rows with their tiers, and their cells with the comparisons to the reference."""

    def with_comparisons(position: int, cell: Cell) -> Cell:
        metrics = (
            replace(figures, comparison=comparisons.get((position, cell.benchmark, figures.metric)))
            for figures in cell.metrics
        )
        return replace(cell, metrics=tuple(metrics))

    return tuple(
        replace(
            row,
            tier=tier_of.get(position),
            macro=row.macro and with_comparisons(position, row.macro),
            cells=tuple(with_comparisons(position, cell) for cell in row.cells),
        )
        for position, row in enumerate(rows)
    )


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
