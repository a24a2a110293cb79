"""What is said of each row of the board: a heading, and the row's figure under it in words."""

from collections.abc import Callable, Iterator
from functools import partial

from leaderboards.board.conclusions import flops_per_point, gained_points
from leaderboards.board.rows import Board, Cell, Row
from leaderboards.report import wording
from leaderboards.report.wording import METRIC_NAMES, MISSING, percent
from leaderboards.results.schema import METRICS, Metric, TrainingCost

_LEAST_SPREAD = 0.05
"""How far apart, at least, seeds at the two ends of their strip are."""
Column = tuple[str, Callable[[Row], str]]
"""A heading, and how to word a row under it."""


def overall_columns(board: Board) -> tuple[Column, ...]:
    """The heart of the board: rank, tier, entry, metric, Δ, seeds, format, compute; without it 80 columns."""
    metric = board.rank_by
    spreads = [max(seeds) - min(seeds) for row in board.rows if row.macro and (seeds := _seeds(row, metric))]
    widest = max([_LEAST_SPREAD, *spreads])
    return (
        ("#", lambda row: MISSING if row.rank is None else str(row.rank)),
        ("tier", lambda row: MISSING if row.tier is None else str(row.tier)),
        ("entry", lambda row: wording.role_label(row, board)),
        _macro(METRIC_NAMES[metric], lambda cell: wording.figure(cell, metric)),
        (
            f"Δ {board.reference}",
            lambda row: wording.against_reference(row, row.macro, metric) if row.macro else MISSING,
        ),
        ("seeds", lambda row: wording.dots(_seeds(row, metric), widest)),
        _macro("format", lambda cell: wording.value(cell, "format_valid")),
        _cost("FLOPs", wording.training_flops),
    )


def _seeds(row: Row, metric: Metric) -> tuple[float, ...]:
    """The means of the row's seeds; none where it has not several."""
    means = row.macro.metric(metric).estimate.by_seed if row.macro else ()
    return means if len(means) > 1 else ()


def detail_columns(board: Board) -> tuple[Column, ...]:
    """What else is worth knowing of a row: the other metrics, output length."""
    others = [metric for metric in METRICS if metric not in (board.rank_by, "format_valid")]
    return (
        *(_macro(METRIC_NAMES[metric], partial(wording.value, metric=metric)) for metric in others),
        _macro("s.e.", lambda cell: percent(cell.metric(board.rank_by).estimate.se)),
        _macro("bootstrap", lambda cell: wording.span(cell.metric(board.rank_by).estimate.bootstrap)),
        _macro("cut %", lambda cell: percent(cell.truncated)),
        _macro("tokens out", lambda cell: f"{cell.output_tokens:.0f}"),
    )


def defect_columns(board: Board) -> Iterator[Column]:
    """The number of outputs, then a column for each defect seen: how many have it, in all the row's cells."""

    def defect_column(defect: str) -> Column:
        return defect, lambda row: str(sum(dict(cell.defects).get(defect, 0) for cell in row.cells))

    yield "outputs", lambda row: str(sum(cell.num_outputs for cell in row.cells))
    seen = {defect for row in board.rows for cell in row.cells for defect, _ in cell.defects}
    yield from map(defect_column, sorted(seen))


def cost_columns(board: Board) -> tuple[Column, ...]:
    """Training compute of one seed; reference model and budget only where any row has them."""

    def per_point(row: Row) -> str:
        if gained_points(row, board.rows) is None:
            return MISSING
        spent = flops_per_point(row, board.rows)
        return "no gain" if spent is None else wording.large(spent)

    def amount(number: float) -> str:
        return wording.large(number) if number else MISSING

    costs = [row.cost for row in board.rows if row.cost]
    columns = [
        _cost("steps", lambda cost: f"{cost.steps:.0f}"),
        _cost("tokens", lambda cost: wording.large(cost.tokens_forward)),
        _cost("with loss", lambda cost: wording.large(cost.tokens_loss)),
        _cost("FLOPs", lambda cost: wording.large(cost.flops)),
        _cost("time", lambda cost: wording.duration(cost.wall_seconds)),
    ]
    if any(gained_points(row, board.rows) is not None for row in board.rows):
        columns.append(("FLOPs/point", per_point))
    if any(cost.reference_tokens or cost.reference_flops for cost in costs):
        columns.append(_cost("ref. tokens", lambda cost: amount(cost.reference_tokens)))
        columns.append(_cost("ref. FLOPs", lambda cost: amount(cost.reference_flops)))
    if any(cost.sampled_tokens for cost in costs):
        columns.append(_cost("sampled", lambda cost: amount(cost.sampled_tokens)))
        columns.append(_cost("sampling FLOPs", lambda cost: amount(cost.sampled_flops)))
    if any(cost.budget for cost in costs):
        columns.append(_cost("budget", lambda cost: cost.budget or MISSING))
    return tuple(columns)


def benchmark_columns(board: Board) -> Iterator[Column]:
    """The ranking metric on each of several benchmarks, marked where it differs from the reference."""

    def text(row: Row, benchmark: str) -> str:
        cell, metric = row.cell(benchmark), board.rank_by
        return wording.figure(cell, metric, wording.mark(cell, metric)) if cell else MISSING

    for benchmark in board.benchmarks if len(board.benchmarks) > 1 else ():
        yield benchmark, partial(text, benchmark=benchmark)


def _macro(heading: str, text: Callable[[Cell], str]) -> Column:
    return heading, lambda row: MISSING if row.macro is None else text(row.macro)


def _cost(heading: str, text: Callable[[TrainingCost], str]) -> Column:
    return heading, lambda row: MISSING if row.cost is None else text(row.cost)
