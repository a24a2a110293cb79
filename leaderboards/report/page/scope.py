"""Which part of a board a page shows: all of it, one benchmark, or two entries beside each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from leaderboards.board.comparing import partners
from leaderboards.board.rows import MACRO, METRICS, Board, Comparison, Metric
from leaderboards.report.page.samples import PackedSamples

View = Literal["board", "benchmark", "comparison"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What one page shows.

    Attributes:
        view: Which kind of page.
        rows: Positions of its rows on the board.
        places: Benchmarks and `macro`, the one shown at first in front.
        references: Names of the entries that may be chosen as the reference.
        reference: The one chosen at first.
    """

    view: View
    rows: tuple[int, ...]
    places: tuple[str, ...]
    references: tuple[str, ...]
    reference: str


def whole(board: Board) -> Scope:
    """All of a board."""
    places = (MACRO, *board.benchmarks) if len(board.benchmarks) > 1 else board.benchmarks
    names = tuple(board.versus) or (board.reference,)
    return Scope("board", tuple(range(len(board.rows))), places, names, board.reference)


def of_benchmark(board: Board, benchmark: str) -> Scope:
    """The entries that were asked one benchmark, on that."""
    rows = tuple(i for i, row in enumerate(board.rows) if row.cell(benchmark))
    names = {board.rows[row].name for row in rows}
    references = tuple(name for name in board.versus if name in names)
    chosen = board.reference if board.reference in names else next(iter(references), board.reference)
    return Scope("benchmark", rows, (benchmark,), references, chosen)


def of_comparison(board: Board, entry: int, reference: int) -> Scope:
    """Two rows, the second as the reference of the first, wherever both have results."""
    places = tuple(
        place
        for place in whole(board).places
        if board.rows[entry].cell(place) and board.rows[reference].cell(place)
    )
    name = board.rows[reference].name
    return Scope("comparison", (entry, reference), places, (name,), name)


def comparisons(board: Board, most_rows: int = 8) -> Iterator[tuple[int, int]]:
    """Each (row, its reference) that gets a page: all pairs of up to `most_rows` rows, else the board's own.

    The board's reference is always the reference; of two others it is the one that stands lower.
    """
    own = partners(board.rows, board.reference)
    yield from ((row, other) for row, other in enumerate(own) if other is not None)
    if len(board.rows) > most_rows:
        return
    for row, other in combinations(range(len(board.rows)), 2):
        among = {row, other}
        if all(own[one] not in among for one in among) and (
            partners(board.rows, board.rows[other].name)[row] == other
        ):
            yield row, other


def comparison_at(board: Board, row: int, reference: str, place: str, metric: Metric) -> Comparison | None:
    """A row's comparison to the entry of a name; None where there is none."""
    return board.versus.get(reference, {}).get((row, place, metric))


def first_metrics(board: Board) -> tuple[Metric, ...]:
    """All metrics, the ranking one first."""
    return (board.rank_by, *(metric for metric in METRICS if metric != board.rank_by))


def samples_of(packed: PackedSamples, scope: Scope, board: Board) -> PackedSamples | None:
    """The samples that belong to a page; None where it has none."""
    if scope.view == "board":
        return packed
    index = dict(packed.index)
    cells = [
        cell
        for cell in _dicts(index["cells"])
        if cell["row"] in scope.rows and cell["benchmark"] in scope.places
    ]
    if not cells:
        return None
    asked = {cell["benchmark"] for cell in cells}
    known = index["benchmarks"]
    assert isinstance(known, Mapping)
    benchmarks = {name: known[name] for name in known if name in asked}
    reference = next((i for i in scope.rows if board.rows[i].name == scope.reference), scope.rows[-1])
    index |= {"cells": cells, "benchmarks": benchmarks, "reference": reference}
    names = dict.fromkeys(_chunk_names([*cells, *benchmarks.values()]))
    chunks = {name: packed.chunks[name] for name in names}
    return replace(packed, chunks=chunks, index=index)


def _dicts(found: object) -> Sequence[Mapping[str, object]]:
    assert isinstance(found, Sequence)
    return found


def _chunk_names(holders: Sequence[Mapping[str, object]]) -> Iterator[str]:
    for holder in holders:
        for field in ("verdicts", "outputs", "prompts", "questions"):
            value = holder.get(field, ())
            yield from [value] if isinstance(value, str) else _strings(value)


def _strings(found: object) -> Sequence[str]:
    assert isinstance(found, Sequence)
    return found
