"""The columns of the leaderboard's tables, shared by the terminal and Markdown."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from leaderboards.board.conclusions import flops_per_point, gained_points
from leaderboards.board.rows import Board, Cell, Row
from leaderboards.report.tables import TextTable
from leaderboards.report.wording import (
    METRIC_NAMES,
    MISSING,
    SIGNIFICANT_MARK,
    against_reference,
    bootstrap_interval,
    differs,
    duration,
    interval,
    large,
    percent,
    role_label,
    training_flops,
    value,
)
from leaderboards.results.schema import METRICS, Metric, TrainingCost


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how to word a row under it."""

    heading: str
    text: Callable[[Row], str]


def text_table(heading: str, rows: Sequence[Row], columns: Sequence[Column]) -> TextTable:
    """The columns written out, a line for each row."""
    headings = tuple(column.heading for column in columns)
    return TextTable(heading, headings, tuple(tuple(column.text(row) for column in columns) for row in rows))


def overall_columns(board: Board) -> tuple[Column, ...]:
    """The heart of the board, which fits 80 columns: rank, tier, entry, metric, Δ, format, compute."""
    return (
        Column("#", lambda row: MISSING if row.rank is None else str(row.rank)),
        Column("tier", lambda row: MISSING if row.tier is None else str(row.tier)),
        Column("entry", lambda row: role_label(row, board)),
        Column(METRIC_NAMES[board.rank_by], _macro(lambda cell: _main(cell, board))),
        Column(
            f"Δ {board.reference}",
            lambda row: against_reference(row, row.macro, board.rank_by) if row.macro else MISSING,
        ),
        Column("format", _macro(lambda cell: value(cell, "format_valid"))),
        Column("FLOPs", _cost(training_flops)),
    )


def detail_columns(board: Board) -> tuple[Column, ...]:
    """What else is worth knowing of a row: the other metrics, seeds, output length."""
    return (
        *(_metric_column(metric) for metric in METRICS if metric not in (board.rank_by, "format_valid")),
        Column("s.e.", _macro(lambda cell: percent(cell.metric(board.rank_by).estimate.se))),
        Column("bootstrap", _macro(lambda cell: bootstrap_interval(cell, board.rank_by))),
        Column("cut %", _macro(lambda cell: percent(cell.truncated))),
        Column("tokens out", _macro(lambda cell: f"{cell.output_tokens:.0f}")),
        Column("seeds", lambda row: MISSING if row.seeds == (None,) else str(len(row.seeds))),
    )


def defect_columns(board: Board) -> Iterator[Column]:
    """The number of outputs, then a column for each defect seen: how many have it, in all the row's cells."""
    seen = dict.fromkeys(defect for row in board.rows for cell in row.cells for defect, _ in cell.defects)
    yield Column("outputs", lambda row: str(sum(cell.num_outputs for cell in row.cells)))
    for defect in sorted(seen):
        yield Column(defect, partial(_defects, defect))


def _defects(defect: str, row: Row) -> str:
    return str(sum(count for cell in row.cells for name, count in cell.defects if name == defect))


def trained_rows(board: Board) -> tuple[Row, ...]:
    """The rows with a training cost, in the board's order."""
    return tuple(row for row in board.rows if row.cost)


def cost_columns(board: Board) -> tuple[Column, ...]:
    """Training compute of one seed; reference model and budget only where any row has them."""
    costs = [row.cost for row in board.rows if row.cost]
    columns = [
        Column("steps", _cost(lambda cost: f"{cost.steps:.0f}")),
        Column("tokens", _cost(lambda cost: large(cost.tokens_forward))),
        Column("with loss", _cost(lambda cost: large(cost.tokens_loss))),
        Column("FLOPs", _cost(lambda cost: large(cost.flops))),
        Column("time", _cost(lambda cost: duration(cost.wall_seconds))),
    ]
    if any(gained_points(row, board.rows) is not None for row in board.rows):
        columns.append(Column("FLOPs/point", lambda row: _per_point(row, board)))
    if any(cost.reference_tokens or cost.reference_flops for cost in costs):
        columns.append(Column("ref. tokens", _cost(lambda cost: _amount(cost.reference_tokens))))
        columns.append(Column("ref. FLOPs", _cost(lambda cost: _amount(cost.reference_flops))))
    if any(cost.budget for cost in costs):
        columns.append(Column("budget", _cost(lambda cost: cost.budget or MISSING)))
    return tuple(columns)


def _per_point(row: Row, board: Board) -> str:
    if gained_points(row, board.rows) is None:
        return MISSING
    spent = flops_per_point(row, board.rows)
    return "no gain" if spent is None else large(spent)


def _amount(number: float) -> str:
    return large(number) if number else MISSING


def benchmark_column(board: Board, benchmark: str) -> Column:
    """The ranking metric on one benchmark, marked where it differs from the reference."""

    def text(row: Row) -> str:
        cell = row.cell(benchmark)
        if cell is None:
            return MISSING
        mark = SIGNIFICANT_MARK if differs(cell, board.rank_by) else ""
        return f"{value(cell, board.rank_by)}{mark} {interval(cell, board.rank_by)}"

    return Column(benchmark, text)


def _metric_column(metric: Metric) -> Column:
    return Column(METRIC_NAMES[metric], _macro(lambda cell: value(cell, metric)))


def _main(cell: Cell, board: Board) -> str:
    return f"{value(cell, board.rank_by)} {interval(cell, board.rank_by)}"


def _macro(text: Callable[[Cell], str]) -> Callable[[Row], str]:
    return lambda row: MISSING if row.macro is None else text(row.macro)


def _cost(text: Callable[[TrainingCost], str]) -> Callable[[Row], str]:
    return lambda row: MISSING if row.cost is None else text(row.cost)
