"""Every row against every other: paired differences, corrected over the family they are shown in, and tiers.

A board has one reference, but its reader may choose another. So each two rows are compared once, and the
p-values are corrected for each reference as if it were the only one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

from leaderboards.board.rows import FORMAT_DEPENDENT, AlphaChange, Comparison, FigureKey, Pair, Row, Verdict
from leaderboards.board.values import Measured, Paired
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


class Comparer:
    """Compares the rows of a board, given in its order: each two of them once, on whatever they share."""

    def __init__(self, measured: Sequence[Measured], benchmarks: Sequence[str], alpha: float) -> None:
        self._measured, self._groups = measured, [one.group for one in measured]
        self._benchmarks, self._alpha = benchmarks, alpha  # alpha: the weight of accuracy in score
        # By the positions of two rows, the first above the second; then benchmark or `macro`, and metric.
        self._found: dict[tuple[int, int, str, Metric], Difference] = {
            (first, second, where, metric): paired_difference(matrices)
            for first, second in combinations(range(len(measured)), 2)
            for where, metric, matrices in self._matrices(first, second)
        }

    def against(self, name: str, *, permuted: bool) -> dict[FigureKey, Comparison]:
        """Every row's comparisons to the entry of a name, corrected over them.

        With the paired permutation test too where `permuted`: it takes longer than all the rest.
        """
        paired = enumerate(partners(self._groups, name))
        partner_of = {row: other for row, other in paired if other is not None}
        differing = {
            (row, where, metric): difference
            for row, other in partner_of.items()
            for where in (*self._benchmarks, MACRO)
            for metric in METRICS
            if (difference := self._difference(row, other, where, metric))
        }
        corrected = _corrected(differing)
        permutations = self._permutations(partner_of) if permuted else {}
        return {
            (row, where, metric): compared(
                difference,
                corrected[row, where, metric],
                self._effect(row, partner_of[row], where, metric),
                permutations.get((row, where, metric)),
            )
            for (row, where, metric), difference in differing.items()
        }

    def all_pairs(self, metric: Metric, rows: Sequence[int]) -> tuple[Pair, ...]:
        """Each two of some rows on all benchmarks, corrected over all of these pairs."""
        keys = [(a, b, MACRO, metric) for a, b in combinations(rows, 2)]
        found = {key: self._found[key] for key in keys if key in self._found}
        corrected = holm([difference.p for difference in found.values()])
        return tuple(
            Pair(*key[:2], compared(difference, p, self._effect(*key)))
            for (key, difference), p in zip(found.items(), corrected, strict=True)
        )

    def both_differ(self) -> Callable[[int, int], bool]:
        """Whether two rows differ beyond chance both in accuracy and in format, by their positions."""
        differing = [
            {
                frozenset((pair.first, pair.second))
                for pair in self.all_pairs(metric, range(len(self._groups)))
                if pair.comparison.verdict != "not distinguishable"
            }
            for metric in _ENDS
        ]
        return lambda first, second: all(frozenset((first, second)) in each for each in differing)

    def _difference(self, row: int, other: int, where: str, metric: Metric) -> Difference | None:
        """The first row minus the other, whichever stands above."""
        if row < other:
            return self._found.get((row, other, where, metric))
        mirrored = self._found.get((other, row, where, metric))
        return mirrored and mirrored.reversed()

    def _effect(self, first: int, second: int, where: str, metric: Metric) -> float:
        found = [self._measured[row].estimates.get((where, metric)) for row in (first, second)]
        means = [estimate.mean for estimate in found if estimate]
        return cohens_h(*means) if len(means) == 2 else 0.0

    def _permutations(self, partner_of: Mapping[int, int]) -> dict[FigureKey, float]:
        """The p-values of the paired permutation test, by benchmark and over all that two rows share."""
        wanted: dict[tuple[int, Metric], dict[str, Matrix]] = {}
        for row, partner in partner_of.items():
            for where, metric, matrices in self._matrices(row, partner):
                if where != MACRO:
                    wanted.setdefault((row, metric), {})[where] = matrices[0]
        found = permutation_p_values(list(wanted.values()))
        return {
            (row, where, metric): p
            for (row, metric), of_benchmarks in zip(wanted, found, strict=True)
            for where, p in of_benchmarks.items()
        }

    def _matrices(self, first: int, second: int) -> Iterator[tuple[str, Metric, list[Matrix]]]:
        """Differences (seed pairs, questions) on what both were asked, by metrics that mean the same."""
        both = (self._groups[first], self._groups[second])
        unlike = both[0].entries[0].tagged != both[1].entries[0].tagged
        for where in (*self._benchmarks, MACRO):
            benchmarks = self._benchmarks if where == MACRO else [where]
            if not all(group.is_comparable(benchmark) for group in both for benchmark in benchmarks):
                continue
            pair = Paired.of(*both, benchmarks)
            for metric in METRICS if pair.seeds else ():
                if not (metric in FORMAT_DEPENDENT and unlike):
                    yield where, metric, pair.matrices(metric, self._alpha)


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
    """The tier of each ranked row, from 1 on, so that a rank is not taken for more than the pairs' tests say.

    The first holds every row that no other beats, the next every row that none of the rest beats, and so on:
    no two rows of a tier can be told apart, and each below the first is worse than at least one of the tier
    above it. A row with an uncertain figure holds nobody else up, as it would where a tier were all that
    cannot be told from its best.
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

    `scores` are those at `ALPHAS`, linear in α, so that two rows change places at most once; rows without are
    left out. `distinguishable` says of two positions whether the rows differ beyond chance.
    """
    ends = {row: (own[0].mean, own[-1].mean) for row, own in enumerate(scores) if own}
    changes = []
    for one, other in combinations(ends, 2):
        at_zero, at_one = (mine - theirs for mine, theirs in zip(ends[one], ends[other], strict=True))
        if at_zero * at_one < 0:
            rises, falls = (one, other) if at_one > 0 else (other, one)
            alpha = at_zero / (at_zero - at_one)
            changes.append(AlphaChange(alpha, rises, falls, distinguishable(one, other)))
    return tuple(sorted(changes, key=lambda change: change.alpha))
