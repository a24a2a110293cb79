"""Every row against every other: paired differences, corrected over the family they are shown in, and tiers.

A board has one reference, but its reader may choose another. So each two rows are compared once, and the
p-values are corrected for each reference as if it were the only one.

Tiers say which entries the data cannot tell apart, so that a rank is not taken for more. The first holds
every entry that no other beats in the corrected test of all pairs, the next every entry that none of the rest
beats, and so on: no two entries of a tier can be told apart, and each entry below the first tier is worse
than at least one of the tier above it. An entry with an uncertain figure holds nobody else up, as it would
where a tier were all that cannot be told from its best.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from leaderboards.board.rows import (
    FORMAT_DEPENDENT,
    AlphaChange,
    Comparison,
    FigureKey,
    Pair,
    Row,
    Verdict,
)
from leaderboards.board.values import Paired
from leaderboards.results.merge import Group
from leaderboards.results.schema import METRICS, Metric
from leaderboards.stats import (
    CONFIDENCE,
    MACRO,
    Difference,
    Estimate,
    Matrix,
    cohens_h,
    holm,
    paired_difference,
    permutation_p_values,
)

_ENDS: tuple[Metric, Metric] = ("accuracy", "format_valid")

Differences = Mapping[tuple[int, int, str, Metric], Difference]
"""By the positions of two rows, the first above the second; then benchmark or `macro`, and metric."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparer:
    """The groups of a board's rows in its order, and what their comparisons rest on.

    Attributes:
        groups: One a row.
        benchmarks: The board's.
        alpha: The weight of accuracy in score.
        means: What was measured, for the effect sizes.
    """

    groups: Sequence[Group]
    benchmarks: Sequence[str]
    alpha: float
    means: Mapping[FigureKey, float]

    def all_differences(self) -> Differences:
        """Each two rows on every benchmark that both were asked, and on all of them."""
        return {
            (first, second, where, metric): paired_difference(matrices)
            for first, second in combinations(range(len(self.groups)), 2)
            for where, metric, matrices in self._compared(first, second)
        }

    def against(
        self, name: str, found: Differences, permutations: Mapping[FigureKey, float] | None = None
    ) -> dict[FigureKey, Comparison]:
        """Every row's comparisons to the entry of a name, corrected over them.

        Args:
            name: of the reference.
            found: the differences of all rows.
            permutations: p-values of the permutation test, where they were made (`permutations`).
        """
        differing: dict[FigureKey, Difference] = {}
        effects: dict[FigureKey, float] = {}
        for row, other in enumerate(partners(self.groups, name)):
            if other is None:
                continue
            for where in (*self.benchmarks, MACRO):
                for metric in METRICS:
                    if difference := _oriented(found, row, other, where, metric):
                        differing[row, where, metric] = difference
                        effects[row, where, metric] = self._effect(row, other, where, metric)
        corrected = _corrected(differing)
        return {
            key: compared(difference, corrected[key], effects[key], (permutations or {}).get(key))
            for key, difference in differing.items()
        }

    def permutations(self, name: str) -> dict[FigureKey, float]:
        """The p-values of the paired permutation test against the entry of a name."""
        wanted: dict[tuple[int, Metric], dict[str, Matrix]] = {}
        for row, partner in enumerate(partners(self.groups, name)):
            if partner is not None:
                for where, metric, [matrix] in self._single(row, partner):
                    wanted.setdefault((row, metric), {})[where] = matrix
        found = permutation_p_values(list(wanted.values()))
        return {
            (row, where, metric): p
            for (row, metric), of_benchmarks in zip(wanted, found, strict=True)
            for where, p in of_benchmarks.items()
        }

    def all_pairs(self, found: Differences, metric: Metric, rows: Sequence[int]) -> tuple[Pair, ...]:
        """Each two of some rows on all benchmarks, corrected over all of these pairs."""
        pairs = [(a, b) for a, b in combinations(rows, 2) if (a, b, MACRO, metric) in found]
        corrected = holm([found[a, b, MACRO, metric].p for a, b in pairs])
        return tuple(
            Pair(a, b, compared(found[a, b, MACRO, metric], p, self._effect(a, b, MACRO, metric)))
            for (a, b), p in zip(pairs, corrected, strict=True)
        )

    def both_differ(self, found: Differences) -> Callable[[int, int], bool]:
        """Whether two rows differ beyond chance both in accuracy and in format, by their positions."""
        everyone = range(len(self.groups))
        differing = [
            {
                frozenset((pair.first, pair.second))
                for pair in self.all_pairs(found, metric, everyone)
                if pair.comparison.verdict != "not distinguishable"
            }
            for metric in _ENDS
        ]
        return lambda first, second: all(frozenset((first, second)) in each for each in differing)

    def _effect(self, first: int, second: int, where: str, metric: Metric) -> float:
        keys = [(row, where, metric) for row in (first, second)]
        means = [self.means[key] for key in keys if key in self.means]
        return cohens_h(*means) if len(means) == 2 else 0.0

    def _compared(self, first: int, second: int) -> Iterator[tuple[str, Metric, list[Matrix]]]:
        yield from self._single(first, second)
        both = (self.groups[first], self.groups[second])
        if all(group.is_comparable(benchmark) for group in both for benchmark in self.benchmarks):
            for metric, matrices in self._matrices(first, second, self.benchmarks):
                yield MACRO, metric, matrices

    def _single(self, first: int, second: int) -> Iterator[tuple[str, Metric, list[Matrix]]]:
        for benchmark in self.benchmarks:
            if all(self.groups[row].is_comparable(benchmark) for row in (first, second)):
                for metric, matrices in self._matrices(first, second, [benchmark]):
                    yield benchmark, metric, matrices

    def _matrices(
        self, first: int, second: int, benchmarks: Sequence[str]
    ) -> Iterator[tuple[Metric, list[Matrix]]]:
        """Differences of shape (seed pairs, questions), for each metric that means the same to both."""
        pair = Paired.of(self.groups[first], self.groups[second], benchmarks)
        unlike = pair.entry.entries[0].tagged != pair.other.entries[0].tagged
        for metric in METRICS if pair.seeds else ():
            if not (metric in FORMAT_DEPENDENT and unlike):
                yield metric, pair.matrices(metric, self.alpha)


def partners(groups: Sequence[Group | Row], name: str) -> tuple[int | None, ...]:
    """For each row the one of that name it is compared with: of the same model, or the only one there is."""
    references = [position for position, group in enumerate(groups) if group.name == name]

    def partner(position: int) -> int | None:
        same_model = [each for each in references if groups[each].model == groups[position].model]
        if position in references or not (same_model or len(references) == 1):
            return None
        return (same_model or references)[0]

    return tuple(partner(position) for position in range(len(groups)))


def compared(
    difference: Difference, p_holm: float, effect: float, permutation_p: float | None = None
) -> Comparison:
    """With the verdict, which goes by the corrected p-value."""
    verdict: Verdict = "not distinguishable"
    if p_holm < 1 - CONFIDENCE:
        verdict = "better" if difference.mean > 0 else "worse"
    return Comparison(difference, p_holm, verdict, effect, permutation_p)


def _oriented(found: Differences, row: int, other: int, where: str, metric: Metric) -> Difference | None:
    """The first row minus the other, whichever stands above."""
    if row < other:
        return found.get((row, other, where, metric))
    mirrored = found.get((other, row, where, metric))
    return mirrored and mirrored.reversed()


def _corrected(found: Mapping[FigureKey, Difference]) -> dict[FigureKey, float]:
    """Holm's correction, for each metric over two families: the macro averages, and all single cells."""
    corrected: dict[FigureKey, float] = {}
    for metric in METRICS:
        for is_macro in (True, False):
            family = [key for key in found if key[2] == metric and (key[1] == MACRO) == is_macro]
            adjusted = holm([found[key].p for key in family])
            corrected.update(zip(family, adjusted, strict=True))
    return corrected


def tiers(ranked: Sequence[int], pairs: Sequence[Pair]) -> dict[int, int]:
    """The tier of each row, from 1 on.

    Args:
        ranked: positions of the rows that have a rank.
        pairs: their comparisons; two rows without one are not told apart.

    Returns:
        Position -> tier.
    """
    better_than: dict[int, set[int]] = {row: set() for row in ranked}
    for pair in pairs:
        if pair.comparison.verdict == "better":
            better_than[pair.second].add(pair.first)
        elif pair.comparison.verdict == "worse":
            better_than[pair.first].add(pair.second)
    found: dict[int, int] = {}
    left, tier = set(ranked), 0
    while left:
        tier += 1
        unbeaten = {row for row in left if not better_than[row] & left}
        found |= dict.fromkeys(unbeaten, tier)
        left -= unbeaten
    return found


def alpha_changes(
    scores: Sequence[Sequence[Estimate] | None], distinguishable: Callable[[int, int], bool]
) -> tuple[AlphaChange, ...]:
    """Every α strictly between 0 and 1 at which one row passes another, by α.

    The score is linear in α, so that two rows change places at most once.

    Args:
        scores: each row's score at `ALPHAS`; rows without are left out.
        distinguishable: whether two rows, by their positions, differ beyond chance in accuracy or format.
    """
    return tuple(sorted(_changes(scores, distinguishable), key=lambda change: change.alpha))


def _changes(
    scores: Sequence[Sequence[Estimate] | None], distinguishable: Callable[[int, int], bool]
) -> Iterator[AlphaChange]:
    ends = {row: (own[0].mean, own[-1].mean) for row, own in enumerate(scores) if own}
    for (one, (format_one, accuracy_one)), (other, (format_other, accuracy_other)) in combinations(
        ends.items(), 2
    ):
        at_zero, at_one = format_one - format_other, accuracy_one - accuracy_other
        if at_zero * at_one < 0:
            rises, falls = (one, other) if at_one > 0 else (other, one)
            alpha = at_zero / (at_zero - at_one)
            yield AlphaChange(alpha, rises, falls, distinguishable(one, other))
