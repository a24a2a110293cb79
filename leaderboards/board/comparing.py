"""Every row against every other: paired differences, corrected over the family that they are shown in.

A board has one reference, but its reader may choose another. So each two rows are compared once, and the
p-values are corrected for each reference as if it were the only one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from leaderboards.board.pairing import Paired
from leaderboards.board.rows import (
    FORMAT_DEPENDENT,
    MACRO,
    METRICS,
    Comparison,
    Metric,
    Pair,
    Place,
    Row,
    Verdict,
)
from leaderboards.results.merge import Group
from leaderboards.stats import (
    CONFIDENCE,
    Difference,
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
    """The rows of a board and their groups, in its order, the benchmarks, and the weight of accuracy."""

    groups: Sequence[Group]
    benchmarks: Sequence[str]
    alpha: float
    rows: Sequence[Row]

    def all_differences(self) -> Differences:
        """Each two rows on every benchmark that both were asked, and on all of them."""
        return {
            (first, second, where, metric): paired_difference(matrices)
            for first, second in combinations(range(len(self.groups)), 2)
            for where, metric, matrices in self._compared(first, second)
        }

    def against(self, name: str, found: Differences) -> dict[Place, Comparison]:
        """Every row's comparisons to the entry of a name, corrected over them."""
        differing: dict[Place, Difference] = {}
        effects: dict[Place, float] = {}
        for row, partner in enumerate(partners(self.groups, name)):
            if partner is None:
                continue
            for where, metric in ((where, metric) for where in self._places() for metric in METRICS):
                difference = oriented(found, row, partner, where, metric)
                if difference:
                    place = (row, where, metric)
                    differing[place] = difference
                    effects[place] = self._effect(row, partner, where, metric)
        corrected = _corrected(differing)
        return {
            place: compared(difference, corrected[place], effects[place])
            for place, difference in differing.items()
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

    def with_permutations(
        self, name: str, comparisons: Mapping[Place, Comparison]
    ) -> dict[Place, Comparison]:
        """The comparisons to the entry of a name, with the p-values of the paired permutation test."""
        wanted: dict[tuple[int, Metric], dict[str, Matrix]] = {}
        for row, partner in enumerate(partners(self.groups, name)):
            if partner is not None:
                for where, metric, [matrix] in self._single(row, partner):
                    wanted.setdefault((row, metric), {})[where] = matrix
        found = permutation_p_values(list(wanted.values()))
        p_values = {
            (row, where, metric): p
            for (row, metric), of_places in zip(wanted, found, strict=True)
            for where, p in of_places.items()
        }
        return {
            place: replace(comparison, permutation_p=p_values.get(place))
            for place, comparison in comparisons.items()
        }

    def _places(self) -> tuple[str, ...]:
        return (*self.benchmarks, MACRO)

    def _effect(self, first: int, second: int, where: str, metric: Metric) -> float:
        cells = [self.rows[row].cell(where) for row in (first, second)]
        means = [cell.metric(metric).estimate.mean for cell in cells if cell]
        return cohens_h(*means) if len(means) == 2 else 0.0

    def _compared(self, first: int, second: int) -> Iterator[tuple[str, Metric, list[Matrix]]]:
        yield from self._single(first, second)
        left, right = self.groups[first], self.groups[second]
        if all(group.is_comparable(benchmark) for group in (left, right) for benchmark in self.benchmarks):
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
        left, right = self.groups[first], self.groups[second]
        paired = Paired.of(left, right, benchmarks)
        unlike = left.entries[0].tagged != right.entries[0].tagged
        for metric in METRICS if paired.seeds else ():
            if not (metric in FORMAT_DEPENDENT and unlike):
                yield metric, paired.matrices(metric, self.alpha)


def partners(groups: Sequence[Group | Row], name: str) -> tuple[int | None, ...]:
    """For each row the one of that name it is compared with: of the same model, or the only one there is."""
    references = [position for position, group in enumerate(groups) if group.name == name]

    def partner(position: int) -> int | None:
        same_model = [each for each in references if groups[each].model == groups[position].model]
        if position in references or not (same_model or len(references) == 1):
            return None
        return (same_model or references)[0]

    return tuple(partner(position) for position in range(len(groups)))


def oriented(found: Differences, row: int, other: int, where: str, metric: Metric) -> Difference | None:
    """The first row minus the other, whichever stands above."""
    if row < other:
        return found.get((row, other, where, metric))
    mirrored = found.get((other, row, where, metric))
    if mirrored is None:
        return None
    return replace(
        mirrored,
        mean=-mirrored.mean,
        low=-mirrored.high,
        high=-mirrored.low,
        gained=mirrored.lost,
        lost=mirrored.gained,
    )


def compared(difference: Difference, p_holm: float, effect: float) -> Comparison:
    """With the verdict, which goes by the corrected p-value."""
    verdict: Verdict = "not distinguishable"
    if p_holm < 1 - CONFIDENCE:
        verdict = "better" if difference.mean > 0 else "worse"
    return Comparison(difference, p_holm, verdict, effect)


def _corrected(found: Mapping[Place, Difference]) -> dict[Place, float]:
    """Holm's correction, for each metric over two families: the macro averages, and all single cells."""
    corrected: dict[Place, float] = {}
    for metric in METRICS:
        for is_macro in (True, False):
            family = [place for place in found if place[2] == metric and (place[1] == MACRO) == is_macro]
            adjusted = holm([found[place].p for place in family])
            corrected.update(zip(family, adjusted, strict=True))
    return corrected
