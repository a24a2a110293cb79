"""The leaderboard on a terminal: one compact table at 80 columns; benchmarks and details too when wider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaderboards.columns import Column, benchmark_column, cost_columns, detail_columns, overall_columns
from leaderboards.rows import Board, Row
from leaderboards.wording import legend, title

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE_CONSOLE = 120
_GAP = 2


def render(board: Board, console: Console) -> None:
    """Prints the leaderboard; from 120 columns on also by benchmark, and with details and costs."""
    overall = overall_columns(board)
    tables = [(title(board), overall)]
    if console.width >= WIDE_CONSOLE:
        tables = _with_benchmarks(board, overall, console.width)
        tables.append(("Details and training cost", (overall[1], *detail_columns(board), *cost_columns())))
    for heading, columns in tables:
        console.print(_table(board, columns, heading))
    _print_words(board, console)


def _with_benchmarks(
    board: Board, overall: tuple[Column, ...], width: int
) -> list[tuple[str, tuple[Column, ...]]]:
    """The overall table with as many benchmarks as fit beside it; the others in tables of their own."""
    tables = [(title(board), overall)]
    for benchmark in board.benchmarks if len(board.benchmarks) > 1 else ():
        column = benchmark_column(board, benchmark)
        heading, columns = tables[-1]
        if sum(_width(board, each) for each in (*columns, column)) <= width:
            tables[-1] = (heading, (*columns, column))
        else:
            tables.append(("By benchmark", (*overall[:2], column)))
    return tables


def _width(board: Board, column: Column) -> int:
    return _GAP + max(len(column.heading), *(len(column.text(row)) for row in board.rows))


def _table(board: Board, columns: Sequence[Column], heading: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title, table.title_justify, table.title_style = Text(heading), "left", "bold"
    for column in columns:
        is_name = column.heading == "entry"
        table.add_column(
            Text(column.heading),
            justify="left" if is_name else "right",
            no_wrap=not is_name,
            overflow="fold",
        )
    for row in board.rows:
        styles = [_style(row, board) if column.heading.startswith("Δ") else "" for column in columns]
        cells = [Text(column.text(row), style) for column, style in zip(columns, styles, strict=True)]
        table.add_row(*cells, style="bold" if row.is_reference else "")
    return table


def _style(row: Row, board: Board) -> str:
    comparison = row.macro.metric(board.rank_by).comparison if row.macro else None
    verdict = comparison.verdict if comparison else "not distinguishable"
    return {"better": "green", "worse": "red", "not distinguishable": ""}[verdict]


def _print_words(board: Board, console: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    def paragraph(text: str, style: str) -> None:
        console.print(Padding(Text(text, style=style), (0, 1)))

    for line in legend(board):
        paragraph(line, "dim")
    console.print()
    headline, *sentences = board.summary
    paragraph(headline, "bold")
    for sentence in sentences:
        paragraph(f"- {sentence}", "")
    for note in board.notes:
        paragraph(f"! {note}", "yellow")
