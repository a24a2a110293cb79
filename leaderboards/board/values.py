"""What entries are measured and compared by: metrics as matrices, means of them, and seeds put in pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaderboards.board.rows import ALPHAS, FigureKey
from leaderboards.results.merge import Group
from leaderboards.results.outcomes import Outcomes, check_same_questions
from leaderboards.results.schema import METRICS, Metric
from leaderboards.stats import (
    MACRO,
    Difference,
    Estimate,
    Matrix,
    bootstrap_intervals,
    mean_interval,
    paired_difference,
)

Where = tuple[str, Metric]
"""Benchmark or `macro`, and metric."""
Seeds = tuple[int | None, ...]
SeedPairs = tuple[tuple[int | None, int | None], ...]


def values(outcomes: Outcomes, metric: Metric, alpha: float) -> Matrix:
    """One metric as an (S, Q) matrix; score = α·accuracy + (1 - α)·format_valid (arXiv 2512.21017)."""
    if metric == "score":
        return alpha * outcomes.accuracy + (1 - alpha) * outcomes.format_valid
    return getattr(outcomes, metric)


def seeds_on_all(group: Group, benchmarks: Sequence[str]) -> Seeds:
    """The seeds with results on every one of the benchmarks; empty where one benchmark is missing."""
    if any(benchmark not in group.outcomes for benchmark in benchmarks):
        return ()
    first, *others = (group.outcomes[benchmark].seeds for benchmark in benchmarks)
    return tuple(seed for seed in first if all(seed in other for other in others))


def seed_pairs(variant: Seeds, reference: Seeds) -> SeedPairs:
    """Pairs the seeds of a variant with those of the reference.

    The same seed with the same seed where both have it; a checkpoint without seeds (the base, an external
    one) with every seed of the other side; seeds that are all different, being independent draws, in
    order.
    """
    if variant == (None,) or reference == (None,):
        return tuple((mine, theirs) for mine in variant for theirs in reference)
    shared = tuple(seed for seed in variant if seed in reference)
    return tuple(zip(shared, shared, strict=True)) if shared else tuple(zip(variant, reference, strict=False))


def take_seeds(outcomes: Outcomes, matrix: Matrix, seeds: Seeds) -> Matrix:
    """The rows of an (S, Q) matrix that belong to the given seeds, in their order."""
    return matrix[[outcomes.seeds.index(seed) for seed in seeds]]


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Two entries on some benchmarks, their seeds in pairs: the one way in which entries are compared.

    What is compared is the entry minus the other, on the same questions.

    Attributes:
        entry: The first.
        other: What it is compared with.
        benchmarks: On which.
        seeds: Those with results on all the benchmarks, in pairs (`seed_pairs`); empty where there are none.
    """

    entry: Group
    other: Group
    benchmarks: Sequence[str]
    seeds: SeedPairs

    @classmethod
    def of(cls, entry: Group, other: Group, benchmarks: Sequence[str]) -> "Paired":
        """Puts their seeds in pairs."""
        seeds = seed_pairs(seeds_on_all(entry, benchmarks), seeds_on_all(other, benchmarks))
        return cls(entry, other, benchmarks, seeds)

    @property
    def sides(self) -> tuple[tuple[Group, Seeds], tuple[Group, Seeds]]:
        """The entry, then the other, each with its seeds in the order of the pairs."""
        mine, theirs = (tuple(pair[side] for pair in self.seeds) for side in (0, 1))
        return (self.entry, mine), (self.other, theirs)

    def matrices(self, metric: Metric, alpha: float = 1.0) -> list[Matrix]:
        """The differences on each benchmark: arrays of shape (pairs of seeds, questions).

        Raises:
            InputError: the two were not asked the same questions.
        """
        matrices = []
        (entry, mine), (other, theirs) = self.sides
        for benchmark in self.benchmarks:
            left, right = entry.outcomes[benchmark], other.outcomes[benchmark]
            check_same_questions(left.question_ids, right.question_ids, (entry.name, other.name), benchmark)
            left_SQ = take_seeds(left, values(left, metric, alpha), mine)
            matrices.append(np.subtract(left_SQ, take_seeds(right, values(right, metric, alpha), theirs)))
        return matrices

    def difference(self, metric: Metric, alpha: float = 1.0) -> Difference:
        """The mean over the benchmarks, with its interval and test."""
        return paired_difference(self.matrices(metric, alpha))


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What a group's row shows without any other row: rows are ranked by it.

    Attributes:
        group: Whose figures they are.
        estimates: By benchmark (or `macro`, where it can be compared on all of them) and metric.
        own_format: Whether its format validity means something else than that of tagged rows.
        score_by_alpha: Macro score at each of `ALPHAS`; None where its format means something else.
    """

    group: Group
    estimates: Mapping[Where, Estimate]
    own_format: bool
    score_by_alpha: tuple[Estimate, ...] | None

    @classmethod
    def of(cls, group: Group, benchmarks: Sequence[str], alpha: float, any_tagged: bool) -> "Measured":
        """Measures a group on the benchmarks of a board; `any_tagged`: whether any group of it is tagged."""
        on_all = all(group.is_comparable(benchmark) for benchmark in benchmarks)
        wanted = [(benchmark, (benchmark,)) for benchmark in benchmarks]
        estimates = {
            (where, metric): _estimate(group, own, metric, alpha)
            for where, own in (*wanted, *([(MACRO, benchmarks)] if on_all else []))
            if seeds_on_all(group, own)
            for metric in METRICS
        }
        untagged = not group.entries[0].tagged
        scored = on_all and seeds_on_all(group, benchmarks) and not (any_tagged and untagged)
        scores = (_estimate(group, benchmarks, "score", each) for each in ALPHAS)
        return cls(group, estimates, untagged, tuple(scores) if scored else None)


def _estimate(group: Group, benchmarks: Sequence[str], metric: Metric, alpha: float) -> Estimate:
    draws = [group.outcomes[benchmark].num_samples for benchmark in benchmarks]
    return mean_interval(list(_matrices(group, benchmarks, metric, alpha).values()), draws=draws)


def _matrices(group: Group, benchmarks: Sequence[str], metric: Metric, alpha: float) -> dict[str, Matrix]:
    """By benchmark (S, Q) of the seeds with results on all of these benchmarks."""
    seeds, outcomes = seeds_on_all(group, benchmarks), group.outcomes
    return {
        name: take_seeds(outcomes[name], values(outcomes[name], metric, alpha), seeds) for name in benchmarks
    }


def bootstrap(
    groups: Sequence[Group], benchmarks: Sequence[str], alpha: float
) -> dict[FigureKey, tuple[float, float]]:
    """The hierarchical bootstrap's intervals, beside the analytic ones, for all rows of a board at once."""
    asked = [
        (row, metric, together, wanted)
        for row, group in enumerate(groups)
        for metric in METRICS
        for together, wanted in _resampled(group, benchmarks)
    ]
    intervals = bootstrap_intervals(
        [_matrices(groups[row], together, metric, alpha) for row, metric, together, _ in asked]
    )
    return {
        (row, where, metric): of_benchmarks[where]
        for (row, metric, _, wanted), of_benchmarks in zip(asked, intervals, strict=True)
        for where in wanted
    }


def _resampled(group: Group, benchmarks: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """What is resampled together, and the intervals wanted of it.

    All benchmarks where the row has the same seeds on all of them, as nearly every row has; else each by
    itself, and all of them with the seeds that they share.
    """
    own = [benchmark for benchmark in benchmarks if benchmark in group.outcomes]
    shared = seeds_on_all(group, own)
    if all(group.outcomes[benchmark].seeds == shared for benchmark in own):
        return [(own, [*own, MACRO])]
    return [*(([one], [one]) for one in own), *([(own, [MACRO])] if shared else [])]
