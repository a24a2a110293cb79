"""What entries are measured and compared by: metrics as matrices, means of them, and seeds put in pairs.

And accuracy by length, in buckets whose edges all rows share, so that rows can be compared bucket by bucket.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.rows import ALPHAS, Bucket, BucketBy, FigureKey
from leaderboards.results.merge import Group
from leaderboards.results.outcomes import LENGTHS, Lengths, Outcomes, check_same_questions
from leaderboards.results.schema import METRICS, Metric
from leaderboards.stats import (
    MACRO,
    Difference,
    Estimate,
    Matrix,
    SeedSpread,
    bootstrap_intervals,
    mean_difference,
    mean_interval,
    paired_difference,
    seed_spread,
    wilson_interval,
)
from leaderboards.stats.mean_squares import Contents, components, distinct, sums_of

NUM_BUCKETS = 4
Measure = Metric | Literal["judge", "key", "bits", "own_bits"]
"""A metric of the board, accuracy by a judge, after the reference's reasoning accuracy or answer bits, or
answer bits after the output's own."""
Seeds = tuple[int | None, ...]
SeedPairs = tuple[tuple[int | None, int | None], ...]


def values(outcomes: Outcomes, metric: Measure, alpha: float) -> Matrix:
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


class Family(NamedTuple):
    """What the groups of a board have in common.

    `spreads` is what they say of the effect of a training seed, by benchmark (or `macro`) and metric;
    `any_tagged` whether any has a tag format.
    """

    spreads: Mapping[tuple[str, Metric], SeedSpread]
    any_tagged: bool

    @classmethod
    def of(cls, groups: Sequence[Group], benchmarks: Sequence[str], alpha: float) -> "Family":
        """Looks at all groups, on each benchmark and over all."""
        places = [(MACRO, benchmarks), *((name, (name,)) for name in benchmarks)]
        spreads = {
            (where, metric): spread_of(groups, own, metric, alpha)
            for where, own in places
            for metric in METRICS
        }
        return cls(spreads, any(group.entries[0].tagged for group in groups))


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Two entries on some benchmarks, their seeds in pairs: the one way in which entries are compared.

    What is compared is the entry minus the other, on the same questions. `seeds` pairs those with results on
    all the benchmarks (`seed_pairs`); it is empty where there are none.
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

    @property
    def num_sides(self) -> int:
        """How many of the two have several seeds, 1 where neither has."""
        return max(sum(len(set(seeds)) > 1 for _, seeds in self.sides), 1)

    def matrices(self, metric: Measure, alpha: float = 1.0) -> list[Matrix]:
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

    def difference(self, metric: Measure, alpha: float = 1.0, spread: SeedSpread | None = None) -> Difference:
        """The mean over the benchmarks, with its interval and test.

        `spread` is that of the seeds of all entries compared together; of these two alone where None.
        """
        if spread is None:
            spread = spread_of([group for group, _ in self.sides], self.benchmarks, metric, alpha)
        contents = contents_of(self.entry, self.benchmarks)
        return paired_difference(self.matrices(metric, alpha), spread, self.num_sides, contents)

    def bits_difference(self) -> Difference | None:
        """Of the answer's bits after the reference's reasoning; None where these are not known on all."""
        bits = (group.outcomes[name].bits for group, _ in self.sides for name in self.benchmarks)
        if any(bits_SQ is None or np.isnan(bits_SQ).any() for bits_SQ in bits):
            return None
        return mean_difference(self.matrices("bits"), contents_of(self.entry, self.benchmarks))

    def own_bits_difference(self) -> Difference | None:
        """Likewise after the outputs' own reasoning, of the questions where all of them reason."""
        outcomes = [group.outcomes[name] for group, _ in self.sides for name in self.benchmarks]
        if any(one.own_bits is None for one in outcomes):
            return None
        matrices, contents = self.matrices("own_bits"), contents_of(self.entry, self.benchmarks)
        known = [~np.isnan(matrix_SQ).any(axis=0) for matrix_SQ in matrices]
        if not all(known_Q.any() for known_Q in known):
            return None
        kept = [matrix_SQ[:, known_Q] for matrix_SQ, known_Q in zip(matrices, known, strict=True)]
        if contents is not None:
            contents = [own_Q[known_Q] for own_Q, known_Q in zip(contents, known, strict=True)]
        return mean_difference(kept, contents)


def spread_of(
    groups: Sequence[Group], benchmarks: Sequence[str], metric: Measure, alpha: float
) -> SeedSpread:
    """What the groups that have several seeds on all of these benchmarks say of the effect of a seed."""
    return seed_spread(
        [
            components(
                [sums_of(layout) for layout in distinct(list(matrices), contents_of(group, benchmarks))]
            )
            for group in groups
            if len(seeds_on_all(group, benchmarks)) > 1
            and (matrices := matrices_of(group, benchmarks, metric, alpha).values())
        ]
    )


def contents_of(group: Group, benchmarks: Sequence[str]) -> list[Contents] | None:
    """Numbers of the contents of the benchmarks' questions; None where any are not known."""
    found = [group.outcomes[name].contents for name in benchmarks]
    return [one for one in found if one is not None] if all(one is not None for one in found) else None


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What a group's row shows without any other row: rows are ranked by it.

    The estimates are by benchmark (or `macro`, where it can be compared on all of them) and metric.
    `spreads` are those of the seeds of all groups. `own_format`: its format validity means something else
    than that of tagged rows. `score_by_alpha` is the
    macro score at each of `ALPHAS`; None where its format means something else.
    """

    group: Group
    estimates: Mapping[tuple[str, Metric], Estimate]
    spreads: Mapping[tuple[str, Metric], SeedSpread]
    own_format: bool
    score_by_alpha: tuple[Estimate, ...] | None

    @classmethod
    def of(cls, group: Group, benchmarks: Sequence[str], alpha: float, family: Family) -> "Measured":
        """Measures a group on the benchmarks of a board, whose groups are the family."""
        on_all = all(group.is_comparable(benchmark) for benchmark in benchmarks)
        wanted = [(benchmark, (benchmark,)) for benchmark in benchmarks]
        estimates = {
            (where, metric): _estimate(group, own, metric, alpha, family.spreads[where, metric])
            for where, own in (*wanted, *([(MACRO, benchmarks)] if on_all else []))
            if seeds_on_all(group, own)
            for metric in METRICS
        }
        untagged = not group.entries[0].tagged
        scored = on_all and seeds_on_all(group, benchmarks) and not (family.any_tagged and untagged)
        spread = family.spreads[MACRO, "score"]
        scores = (_estimate(group, benchmarks, "score", each, spread) for each in ALPHAS)
        return cls(group, estimates, family.spreads, untagged, tuple(scores) if scored else None)


def _estimate(
    group: Group, benchmarks: Sequence[str], metric: Metric, alpha: float, spread: SeedSpread
) -> Estimate:
    draws = [group.outcomes[benchmark].num_samples for benchmark in benchmarks]
    matrices = list(matrices_of(group, benchmarks, metric, alpha).values())
    return mean_interval(matrices, draws, spread, contents_of(group, benchmarks))


def matrices_of(group: Group, benchmarks: Sequence[str], metric: Measure, alpha: float) -> dict[str, Matrix]:
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
        [matrices_of(groups[row], together, metric, alpha) for row, metric, together, _ in asked]
    )
    return {
        (row, where, metric): of_benchmarks[where]
        for (row, metric, _, wanted), of_benchmarks in zip(asked, intervals, strict=True)
        for where in wanted
    }


def _resampled(group: Group, benchmarks: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    """What is resampled together, and the intervals wanted of it: nearly every row has one set of seeds."""
    own = [benchmark for benchmark in benchmarks if benchmark in group.outcomes]
    shared = seeds_on_all(group, own)
    if all(group.outcomes[benchmark].seeds == shared for benchmark in own):
        return [(own, [*own, MACRO])]
    return [*(([one], [one]) for one in own), *([(own, [MACRO])] if shared else [])]


def buckets_of(
    groups: Sequence[Group], benchmarks: Sequence[str]
) -> dict[tuple[int, str], tuple[Bucket, ...]]:
    """The buckets of each row, by its position, on each benchmark; their edges are quartiles of all outputs.

    Reasoning is that of the output, which the row chose to write: a row that is right where it reasons long
    may just reason long where the question is hard. The answer is the reference's, the same for all rows.
    """
    buckets: dict[tuple[int, str], tuple[Bucket, ...]] = {}
    for benchmark in benchmarks:
        outcomes = ((row, group.outcomes.get(benchmark)) for row, group in enumerate(groups))
        lengths = {row: one.lengths for row, one in outcomes if one and one.lengths}
        edges = {by: _edges([found.chars[by] for found in lengths.values()]) for by in LENGTHS}
        buckets |= {(row, benchmark): tuple(_buckets(found, edges)) for row, found in lengths.items()}
    return buckets


def _buckets(lengths: Lengths, edges: Mapping[BucketBy, Matrix]) -> Iterator[Bucket]:
    for by, length_N in lengths.chars.items():
        # One bucket says nothing that the accuracy itself does not.
        if len(edges[by]) > 1:
            number_N = np.searchsorted(edges[by], length_N, side="right") - 1
            number_N[np.isnan(length_N)] = -1  # NaN sorts behind everything, which is no length
            for number, low in enumerate(edges[by].tolist()):
                if (here_N := number_N == number).any():
                    yield _bucket(by, int(low), length_N[here_N], lengths, here_N)


def _bucket(by: BucketBy, low: int, length_M: Matrix, lengths: Lengths, here_N: NDArray[np.bool_]) -> Bucket:
    """Its interval counts the questions alone: the seeds' outputs for one question are not independent."""
    mean = float(lengths.right_N[here_N].mean())
    num_questions = len(np.unique(lengths.question_N[here_N]))
    interval = wilson_interval(mean, num_questions)
    return Bucket(
        by=by,
        low=low,
        high=int(length_M.max()),
        num_outputs=int(here_N.sum()),
        num_questions=num_questions,
        accuracy=Estimate(mean, *interval, num_questions, 1),
    )


def _edges(lengths: Sequence[Matrix]) -> Matrix:
    """The lowest length of each bucket: quartiles of all outputs, fewer where many are equally long."""
    known = np.concatenate([np.empty(0), *(each[~np.isnan(each)] for each in lengths)])
    if not len(known):
        return known
    return np.unique(np.quantile(known, np.arange(NUM_BUCKETS) / NUM_BUCKETS, method="inverted_cdf"))
