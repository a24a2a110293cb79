"""The leaderboard on a terminal: the answer, one table, what to beware of; the rest where it is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from leaderboards.board.findings import ComputeMatch
from leaderboards.board.rows import Board, Row
from leaderboards.report import tables
from leaderboards.report.columns import (
    Column,
    benchmark_columns,
    cost_columns,
    detail_columns,
    overall_columns,
)
from leaderboards.report.findings import sentences
from leaderboards.report.tables import TextTable, text_table
from leaderboards.report.wording import legend, origins, short_legend, title

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE_CONSOLE = 120
_GAP = 2
_COMPUTE = "Training compute of one seed"
_Headed = tuple[str, Sequence[Column]]


def render(board: Board, console: Console, *, full: bool = False) -> None:
    """Prints the leaderboard.

    Args:
        board: What is printed.
        console: Where; the table has as many columns as fit.
        full: Whether benchmarks, compute, tests and all that was found follow; some from 120 columns on.
    """
    headline, *others = sentences(board.summary, board)
    for answer in (*sentences(board.claims, board), headline):
        print_paragraph(console, answer, "bold")
    console.print()
    for table in _rankings(board, console, full=full):
        console.print(_drawn(table, board.rows, board))
    for line in legend(board) if full else short_legend(board):
        print_paragraph(console, line, "dim")
    console.print()
    if full:
        _print_tables(board, console)
        for sentence in others:
            print_paragraph(console, f"- {sentence}", "")
    for table in () if full else tables.reported_tables(board):
        _print_table(table, board, console)
    compute = [found for found in board.summary if isinstance(found, ComputeMatch) and len(found.groups) > 1]
    for note in sentences((*board.notes, *([] if full else compute)), board):
        print_paragraph(console, f"! {note}", "yellow")
    for line in (*sentences(board.checks, board), *origins(board)) if full else ():
        print_paragraph(console, f"· {line}", "dim")


def _rankings(board: Board, console: Console, *, full: bool) -> list[TextTable]:
    """The table of the rows, with what fits beside its heart; in full also that by benchmark."""
    overall, wide = overall_columns(board), console.width >= WIDE_CONSOLE
    first, later = (title(board), overall[:-1]), ("By benchmark", (overall[0], overall[2]))
    benchmarks = tuple(benchmark_columns(board)) if wide else ()
    made = list(_fitted(board.rows, first, (overall[-1], *benchmarks), later, console))
    if full or len(made) == 1:
        return made
    return list(_fitted(board.rows, first, overall[-1:], later, console))[:1]  # all benchmarks, or none


def _print_tables(board: Board, console: Console) -> None:
    """What stands behind the board: details, compute, and the tests."""
    name, wide = overall_columns(board)[2], console.width >= WIDE_CONSOLE
    if wide:
        details = text_table("Details", board.rows, (name, *detail_columns(board)))
        console.print(_drawn(details, board.rows, board))
    if trained := tuple(row for row in board.rows if row.cost):
        first, later = (_COMPUTE, (name,)), (f"{_COMPUTE}, continued", (name,))
        for table in _fitted(trained, first, cost_columns(board), later, console):
            console.print(_drawn(table, trained, board))
    for table in tables.text_tables(board):
        if table.in_terminal and (wide or not table.detail):
            _print_table(table, board, console)


def _print_table(table: TextTable, board: Board, console: Console) -> None:
    console.print(_drawn(table, (), board))
    for caption in table.captions:
        print_paragraph(console, caption, "dim")
    console.print()


def _fitted(
    rows: Sequence[Row], first: _Headed, columns: Iterable[Column], later: _Headed, console: Console
) -> Iterator[TextTable]:
    """The first table with as many of the columns as fit beside it; the others in tables like `later`."""
    table, shown = text_table(first[0], rows, first[1]), first[1]
    for column in columns:
        wider = text_table(table.heading, rows, (*shown, column))
        # So many characters that no cell has to be folded.
        width = sum(_GAP + max(map(len, texts)) for texts in zip(wider.columns, *wider.lines, strict=True))
        if width > console.width:
            yield table
            shown = later[1]
            wider = text_table(later[0], rows, (*shown, column))
        table, shown = wider, (*shown, column)
    yield table


def _drawn(table: TextTable, rows: Sequence[Row], board: Board) -> Table:
    """A table, whose lines may be those of rows of the board."""
    from rich.text import Text

    drawn = ruled_table(table.columns, table.heading)
    for line, row in zip_longest(table.lines, rows):
        found = row and row.macro and row.macro.metric(board.rank_by).comparison
        style = {"better": "green", "worse": "red"}.get(found.verdict, "") if found else ""
        cells = zip(table.columns, line, strict=True)
        drawn.add_row(
            *(Text(text, style if column.startswith("Δ") else "") for column, text in cells),
            style="bold" if row and row.is_reference else "",
        )
    return drawn


def ruled_table(columns: Iterable[str], heading: str = "") -> Table:
    """A table without lines; names stand left and may be folded."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title, table.title_justify, table.title_style = Text(heading), "left", "bold"
    for column in columns:
        is_name = column in ("entry", "benchmark", "on")
        folds = is_name or column == "McNemar p"
        table.add_column(
            Text(column), justify="left" if is_name else "right", no_wrap=not folds, overflow="fold"
        )
    return table


def print_paragraph(console: Console, text: str, style: str) -> None:
    """Prints a text with a margin of one character on both sides."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Padding(Text(text, style), (0, 1)))
