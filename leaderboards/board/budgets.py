"""Accuracy against compute: the same rows trained with smaller shares of the budget."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from leaderboards.board.rows import Board, BudgetLine, BudgetPoint, Row
from leaderboards.results.schema import Metric, RunResults

Build = Callable[[Sequence[RunResults]], Board]


def against_compute(
    runs: Sequence[RunResults], made: Sequence[Row], metric: Metric, build: Build
) -> tuple[BudgetLine, ...]:
    """A line for each trained row of a board; none where its runs have no smaller ones.

    Args:
        runs: What the board was built from.
        made: Its rows.
        metric: The ranking metric.
        build: Makes a board of other runs in the same way.
    """
    shares = sorted({share for run in runs for share in run.smaller}, key=float)
    boards = [
        (float(share), build([one.smaller[share] for one in runs if share in one.smaller]))
        for share in shares
    ]
    if not boards:
        return ()
    by_share = [(share, {(row.model, row.name): row for row in board.rows}) for share, board in boards]
    by_share.append((1.0, {(row.model, row.name): row for row in made}))
    whole = next(
        (row.macro.metric(metric).estimate.mean for row in made if row.is_reference and row.macro), None
    )
    found = []
    for at, row in enumerate(made):
        points = tuple(_points(row, by_share, metric))
        if len(points) > 1:
            found.append(BudgetLine(at, points, None if whole is None else _needed(points, whole)))
    return tuple(found)


def _points(
    row: Row, by_share: Sequence[tuple[float, dict[tuple[str, str], Row]]], metric: Metric
) -> Iterator[BudgetPoint]:
    for share, rows in by_share:
        there = rows.get((row.model, row.name))
        if there and there.cost and there.macro:
            yield BudgetPoint(share, there.cost.total_flops, there.macro.metric(metric).estimate)


def _needed(points: Sequence[BudgetPoint], wanted: float) -> float | None:
    ordered = sorted(points, key=lambda point: point.flops)
    if ordered[0].estimate.mean >= wanted:
        return ordered[0].flops
    for before, after in pairwise(ordered):
        low, high = before.estimate.mean, after.estimate.mean
        if low < wanted <= high:
            part = (wanted - low) / (high - low)
            return math.exp(math.log(before.flops) + part * math.log(after.flops / before.flops))
    return None
