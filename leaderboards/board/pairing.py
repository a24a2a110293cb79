"""Which values are compared with which: the metrics as matrices, and seeds and questions put in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaderboards.results.merge import Group
from leaderboards.results.outcomes import Outcomes, check_same_questions
from leaderboards.results.schema import Metric
from leaderboards.stats import Difference, Matrix, paired_difference

Seeds = tuple[int | None, ...]
SeedPairs = tuple[tuple[int | None, int | None], ...]


def values(outcomes: Outcomes, metric: Metric, alpha: float) -> Matrix:
    """One metric as an (S, Q) matrix; score = α·accuracy + (1 - α)·format_valid (arXiv 2512.21017)."""
    if metric == "accuracy":
        return outcomes.accuracy
    if metric == "accuracy_strict":
        return outcomes.accuracy_strict
    if metric == "format_valid":
        return outcomes.format_valid
    return alpha * outcomes.accuracy + (1 - alpha) * outcomes.format_valid


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

    def matrices(self, metric: Metric, alpha: float = 1.0) -> list[Matrix]:
        """The differences on each benchmark: arrays of shape (pairs of seeds, questions).

        Raises:
            InputError: the two were not asked the same questions.
        """
        matrices = []
        mine, theirs = (tuple(pair[side] for pair in self.seeds) for side in (0, 1))
        for benchmark in self.benchmarks:
            left, right = self.entry.outcomes[benchmark], self.other.outcomes[benchmark]
            names = (self.entry.name, self.other.name)
            check_same_questions(left.question_ids, right.question_ids, names, benchmark)
            left_SQ = take_seeds(left, values(left, metric, alpha), mine)
            matrices.append(np.subtract(left_SQ, take_seeds(right, values(right, metric, alpha), theirs)))
        return matrices

    def difference(self, metric: Metric, alpha: float = 1.0) -> Difference:
        """The mean over the benchmarks, with its interval and test."""
        return paired_difference(self.matrices(metric, alpha))
