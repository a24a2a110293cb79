"""The leaderboard on a terminal: two compact tables at 80 columns; benchmarks and details when wider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaderboards.board.rows import Board, Row
from leaderboards.report.columns import (
    Column,
    benchmark_column,
    cost_columns,
    detail_columns,
    overall_columns,
    trained_rows,
)
from leaderboards.report.findings import sentences
from leaderboards.report.tables import TextTable, text_tables
from leaderboards.report.wording import legend, origins, title

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE_CONSOLE = 120
_GAP = 2


@dataclass(frozen=True, slots=True)
class _Table:
    heading: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]

    def with_column(self, column: Column) -> _Table:
        return _Table(self.heading, self.rows, (*self.columns, column))

    def width(self) -> int:
        """Characters at which no cell has to be folded."""
        return sum(_GAP + max(len(text) for text in self._texts(column)) for column in self.columns)

    def _texts(self, column: Column) -> Iterator[str]:
        yield column.heading
        yield from (column.text(row) for row in self.rows)


def render(board: Board, console: Console) -> None:
    """Prints the leaderboard and its compute; from 120 columns on also by benchmark, and with details."""
    rank, tier, name, *others = overall_columns(board)
    tables = [_Table(title(board), board.rows, (rank, tier, name, *others))]
    if console.width >= WIDE_CONSOLE:
        benchmarks = board.benchmarks if len(board.benchmarks) > 1 else ()
        by_benchmark = [benchmark_column(board, benchmark) for benchmark in benchmarks]
        tables = _fitted(tables[0], by_benchmark, _Table("By benchmark", board.rows, (rank, name)), console)
        tables.append(_Table("Details", board.rows, (name, *detail_columns(board))))
    if trained := trained_rows(board):
        compute = _Table("Training compute of one seed", trained, (name,))
        rest = _Table(f"{compute.heading}, continued", trained, (name,))
        tables += _fitted(compute, cost_columns(board), rest, console)
    for table in tables:
        console.print(_drawn(table, board))
    for more in text_tables(board):
        if more.in_terminal and (console.width >= WIDE_CONSOLE or not more.detail):
            console.print(_drawn_text(more))
            for caption in more.captions:
                _paragraph(console, caption, "dim")
            console.print()
    _print_words(board, console)


def _fitted(first: _Table, columns: Iterable[Column], later: _Table, console: Console) -> list[_Table]:
    """The first table with as many of the columns as fit beside it; the others in tables like `later`."""
    tables = [first]
    for column in columns:
        table = tables[-1].with_column(column)
        if table.width() <= console.width:
            tables[-1] = table
        else:
            tables.append(later.with_column(column))
    return tables


def _drawn(each: _Table, board: Board) -> Table:
    from rich.text import Text

    table = _empty(each.heading, [column.heading for column in each.columns])
    for row in each.rows:
        styles = [_style(row, board) if column.heading.startswith("Δ") else "" for column in each.columns]
        cells = [Text(column.text(row), style) for column, style in zip(each.columns, styles, strict=True)]
        table.add_row(*cells, style="bold" if row.is_reference else "")
    return table


def _drawn_text(each: TextTable) -> Table:
    from rich.text import Text

    table = _empty(each.heading, each.columns)
    for line in each.lines:
        table.add_row(*(Text(text) for text in line))
    return table


def _empty(heading: str, columns: Sequence[str]) -> Table:
    """A table without lines; names stand left and may be folded."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title, table.title_justify, table.title_style = Text(heading), "left", "bold"
    for column in columns:
        is_name = column in ("entry", "benchmark")
        table.add_column(
            Text(column), justify="left" if is_name else "right", no_wrap=not is_name, overflow="fold"
        )
    return table


def _style(row: Row, board: Board) -> str:
    comparison = row.macro.metric(board.rank_by).comparison if row.macro else None
    verdict = comparison.verdict if comparison else "not distinguishable"
    return {"better": "green", "worse": "red", "not distinguishable": ""}[verdict]


def _paragraph(console: Console, text: str, style: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console.print(Padding(Text(text, style=style), (0, 1)))


def _print_words(board: Board, console: Console) -> None:
    for line in legend(board):
        _paragraph(console, line, "dim")
    console.print()
    headline, *others = sentences(board.summary, board)
    _paragraph(console, headline, "bold")
    for sentence in others:
        _paragraph(console, f"- {sentence}", "")
    for note in sentences(board.notes, board):
        _paragraph(console, f"! {note}", "yellow")
    for line in (*sentences(board.checks, board), *origins(board)):
        _paragraph(console, f"· {line}", "dim")
