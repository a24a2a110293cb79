"""What stands in the page without a script: headlines of a part of the board, and tables as text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from leaderboards.board.rows import MACRO, Board, Comparison, Metric, Pair, Reported, Row, Verdict
from leaderboards.report.page.scope import Scope, comparison_at, first_metrics
from leaderboards.report.wording import (
    METRIC_NAMES,
    MISSING,
    VERDICT_WORDS,
    bounds,
    interval,
    label,
    p_value,
    percent,
    points,
    tested,
    value,
)

_TURNED: dict[Verdict, Verdict] = {
    "better": "worse",
    "worse": "better",
    "not distinguishable": "not distinguishable",
}
_MARKS = {"better": "▲", "worse": "▼", "not distinguishable": "≈"}


@dataclass(frozen=True, slots=True)
class TextCell:
    """What a cell says, in which kind of type, and the two rows that it compares."""

    text: str
    kind: str
    first: int
    second: int


def scoped_board(board: Board, scope: Scope) -> Board:
    """The board with the rows and benchmarks of a page; positions of rows elsewhere in it do not fit."""
    if scope.view == "board":
        return board
    benchmarks = tuple(name for name in board.benchmarks if name in scope.places)
    rows = (
        replace(
            board.rows[i],
            macro=board.rows[i].macro if MACRO in scope.places else None,
            cells=tuple(cell for cell in board.rows[i].cells if cell.benchmark in benchmarks),
        )
        for i in scope.rows
    )
    reported = _reported(board.reported, benchmarks) if scope.view == "benchmark" else ()
    return replace(board, rows=tuple(rows), benchmarks=benchmarks, reported=tuple(reported))


def _reported(entries: Sequence[Reported], benchmarks: Sequence[str]) -> Iterator[Reported]:
    for entry in entries:
        figures = tuple(figure for figure in entry.figures if figure.benchmark in benchmarks)
        if figures:
            yield replace(entry, figures=figures)


def findings(board: Board, scope: Scope) -> tuple[str, ...]:
    """The sentences at the head of a page, the headline first."""
    if scope.view == "board":
        return board.summary
    if scope.view == "comparison":
        return tuple(_sentence(board, scope.rows[0], scope, place) for place in scope.places) or (
            "The two were not evaluated on the same benchmark.",
        )
    place = scope.places[0]
    compared = [row for row in scope.rows if comparison_at(board, row, scope.reference, place, board.rank_by)]
    return (
        f"{place}: {len(scope.rows)} entries, compared with {scope.reference}.",
        *(_sentence(board, row, scope, place) for row in compared),
    )


def _sentence(board: Board, row: int, scope: Scope, place: str) -> str:
    found = comparison_at(board, row, scope.reference, place, board.rank_by)
    names = f"{label(board.rows[row], board)} {{}} {scope.reference} on {METRIC_NAMES[board.rank_by]}"
    over = f" over {len(board.benchmarks)} benchmarks" if place == MACRO else f", {place}"
    if found is None:
        return names.format("was not compared with") + over + "."
    return f"{names.format(VERDICT_WORDS[found.verdict])}{over} ({tested(found, board.confidence)})."


def plain_table(board: Board, scope: Scope) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
    """The table of the entries as it stands where no script runs: headings and lines."""
    place = scope.places[0] if scope.places else MACRO
    headings = ("entry", *(METRIC_NAMES[metric] for metric in first_metrics(board)), f"Δ {scope.reference}")
    return headings, [_plain_line(board, scope, row, place) for row in scope.rows]


def _plain_line(board: Board, scope: Scope, row: int, place: str) -> tuple[str, ...]:
    cell = board.rows[row].cell(place)
    metrics = first_metrics(board)
    texts = [f"{value(cell, metric)} {interval(cell, metric)}" for metric in metrics] if cell else []
    found = comparison_at(board, row, scope.reference, place, board.rank_by)
    return (
        label(board.rows[row], board),
        *(texts or [MISSING] * len(metrics)),
        _worded(found) if found else MISSING,
    )


def _worded(found: Comparison) -> str:
    difference = found.difference
    return f"{points(difference.mean)} [{bounds(difference.low, difference.high)}], {found.verdict}"


def pair_matrix(board: Board) -> Sequence[tuple[Row, int, Sequence[TextCell | None]]]:
    """For each ranked row its difference to every other ranked row; None on the diagonal."""
    ranked = [i for i, row in enumerate(board.rows) if row.rank is not None]
    known = {(pair.first, pair.second): pair for pair in board.pairs}
    return [
        (board.rows[row], row, [_pair_cell(known, row, other) for other in ranked])
        for row in ranked
        if len(ranked) > 1
    ]


def _pair_cell(known: dict[tuple[int, int], Pair], row: int, other: int) -> TextCell | None:
    if row == other:
        return None
    pair = known.get((row, other)) or known.get((other, row))
    if pair is None:
        return TextCell(MISSING, "", row, other)
    verdict, mean = pair.comparison.verdict, pair.comparison.difference.mean
    if pair.first != row:
        verdict, mean = _TURNED[verdict], -mean
    kind = "" if verdict == "not distinguishable" else verdict
    return TextCell(f"{_MARKS[verdict]} {points(mean)}", kind, row, other)


def statistics(board: Board, scope: Scope) -> Iterator[tuple[str, ...]]:
    """All tests of a comparison page: a line for each metric and place, headed as `STATISTICS` says."""
    row, other = scope.rows
    for metric in first_metrics(board):
        for place in scope.places:
            found = comparison_at(board, row, scope.reference, place, metric)
            if found:
                name = "macro average" if place == MACRO else place
                cells = [_of(board.rows[each], place, metric) for each in (row, other)]
                yield (f"{METRIC_NAMES[metric]}, {name}", *cells, *_tests(found))


STATISTICS = (
    *("points", "interval", "p", "Holm p", "permutation p", "McNemar p of each seed pair"),
    *("won : lost", "h", "detectable"),
)
"""Headings after the two entries' own figures."""


def _of(row: Row, place: str, metric: Metric) -> str:
    cell = row.cell(place)
    return f"{value(cell, metric)} {interval(cell, metric)}" if cell else MISSING


def _tests(found: Comparison) -> tuple[str, ...]:
    difference = found.difference
    permutation = MISSING if found.permutation_p is None else p_value(found.permutation_p)
    return (
        f"{points(difference.mean)} {_MARKS[found.verdict]} {found.verdict}",
        f"[{bounds(difference.low, difference.high)}]",
        p_value(difference.p),
        p_value(found.p_holm),
        permutation,
        ", ".join(map(p_value, difference.mcnemar_p)),
        f"{difference.gained} : {difference.lost}",
        f"{found.effect:+.2f}".replace("-", "−"),
        percent(difference.detectable),
    )
