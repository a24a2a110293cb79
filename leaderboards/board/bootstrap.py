"""Puts the hierarchical bootstrap's intervals beside the analytic ones, for all rows of a board at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from leaderboards.board.pairing import seeds_on_all, take_seeds, values
from leaderboards.board.rows import MACRO, METRICS, Cell, Metric, Place, Row
from leaderboards.results.merge import Group
from leaderboards.stats import Matrix, bootstrap_intervals


def with_bootstrap(
    rows: Sequence[Row], groups: Sequence[Group], benchmarks: Sequence[str], alpha: float
) -> tuple[Row, ...]:
    """The rows, in whose order the groups are, with a bootstrap interval in every estimate."""
    asked = [(row, item) for row, group in enumerate(groups) for item in _asked(group, benchmarks, alpha)]
    intervals = bootstrap_intervals([matrices for _, (_, _, matrices) in asked])
    found: dict[Place, tuple[float, float]] = {}
    for (row, (metric, places, _)), of_places in zip(asked, intervals, strict=True):
        found |= {(row, where, metric): of_places[where] for where in places}
    return tuple(
        replace(
            row,
            macro=row.macro and _with_intervals(position, row.macro, found),
            cells=tuple(_with_intervals(position, cell, found) for cell in row.cells),
        )
        for position, row in enumerate(rows)
    )


def _asked(
    group: Group, benchmarks: Sequence[str], alpha: float
) -> Iterator[tuple[Metric, tuple[str, ...], dict[str, Matrix]]]:
    """What is resampled together, and the intervals wanted of it.

    All benchmarks where the row has the same seeds on all of them, as nearly every row has; else each by
    itself, and all of them with the seeds that they share.
    """
    own = [benchmark for benchmark in benchmarks if benchmark in group.outcomes]
    shared = seeds_on_all(group, own)
    alike = all(group.outcomes[benchmark].seeds == shared for benchmark in own)
    sets = [(own, (*own, MACRO))] if alike else [([one], (one,)) for one in own]
    if not alike and shared:
        sets.append((own, (MACRO,)))
    for metric in METRICS:
        for names, places in sets:
            outcomes = {name: group.outcomes[name] for name in names}
            seeds = seeds_on_all(group, names)
            yield (
                metric,
                tuple(places),
                {name: take_seeds(one, values(one, metric, alpha), seeds) for name, one in outcomes.items()},
            )


def _with_intervals(position: int, cell: Cell, found: Mapping[Place, tuple[float, float]]) -> Cell:
    metrics = (
        replace(
            figures,
            estimate=replace(
                figures.estimate, bootstrap=found.get((position, cell.benchmark, figures.metric))
            ),
        )
        for figures in cell.metrics
    )
    return replace(cell, metrics=tuple(metrics))
