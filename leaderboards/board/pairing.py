"""Which values are compared with which: the metrics as matrices, and seeds and questions put in pairs."""

from collections.abc import Sequence

import numpy as np

from leaderboards.board.rows import Metric
from leaderboards.results.merge import Group
from leaderboards.results.outcomes import Outcomes, check_same_questions
from leaderboards.stats import Matrix

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


def differences(
    variant: Group,
    reference: Group,
    benchmarks: Sequence[str],
    pairs: SeedPairs,
    metric: Metric,
    alpha: float,
) -> list[Matrix]:
    """Variant minus reference per benchmark, on the same questions: arrays of shape (pairs, Q).

    Raises:
        InputError: the two were not asked the same questions.
    """
    matrices = []
    for benchmark in benchmarks:
        mine, theirs = variant.outcomes[benchmark], reference.outcomes[benchmark]
        check_same_questions(
            mine.question_ids, theirs.question_ids, (variant.name, reference.name), benchmark
        )
        left = take_seeds(mine, values(mine, metric, alpha), tuple(pair[0] for pair in pairs))
        right = take_seeds(theirs, values(theirs, metric, alpha), tuple(pair[1] for pair in pairs))
        matrices.append(np.subtract(left, right))
    return matrices
