"""Every row against every other: paired differences, corrected over one family, and tiers.

A board has one reference, but its reader may choose another, and reads tiers and sentences beside the stars.
So each two rows are compared once over all benchmarks, all these pairs are one family, and whatever is said
of two rows is that one verdict. Single benchmarks are a family apart, for each reference.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations

from leaderboards.board.rows import FORMAT_DEPENDENT, AlphaChange, Comparison, FigureKey, Pair, Row, Verdict
from leaderboards.board.values import Family, Measured, Paired
from leaderboards.results.merge import Group
from leaderboards.results.schema import METRICS, Metric
from leaderboards.stats import (
    CONFIDENCE,
    MACRO,
    Difference,
    Estimate,
    cohens_h,
    holm,
    shaffer,
)

_PairKey = tuple[int, int, str, Metric]
"""Two rows by their positions, benchmark or `macro`, and metric."""
_ENDS: tuple[Metric, Metric] = ("accuracy", "format_valid")


class Comparer:
    """Compares the rows of a board, given in its order: each two of them once, on whatever they share."""

    def __init__(
        self,
        measured: Sequence[Measured],
        benchmarks: Sequence[str],
        alpha: float,  # the weight of accuracy in score
        family: Family,
        margin: float,  # of equivalence, a share of 1
    ) -> None:
        self._measured, self._groups = measured, [one.group for one in measured]
        self._benchmarks, self._alpha, self._margin = benchmarks, alpha, margin
        # By the positions of two rows, the first above the second; then benchmark or `macro`, and metric.
        self._found: dict[_PairKey, Difference] = {
            (first, second, where, metric): pair.difference(metric, alpha, family.spreads[where, metric])
            for first, second in combinations(range(len(measured)), 2)
            for where, metric, pair in self._pairs(first, second)
        }
        self._of_macro = {metric: self._all_pairs(metric) for metric in METRICS}

    def against(self, name: str) -> dict[FigureKey, Comparison]:
        """Every row's comparisons to the entry of a name; those over all benchmarks are those of `pairs`."""
        paired = enumerate(partners(self._groups, name))
        partner_of = {row: other for row, other in paired if other is not None}
        keys = [
            (row, where, metric)
            for row, other in partner_of.items()
            for where in (*self._benchmarks, MACRO)
            for metric in METRICS
            if (*sorted((row, other)), where, metric) in self._found
        ]
        of_cells = {
            key: comparison
            for metric in METRICS
            for key, comparison in self._of_cells(partner_of, [key for key in keys if key[2] == metric])
        }
        # With one benchmark its figures are those over all, and so are the claims.
        alone = len(self._benchmarks) == 1
        return {
            key: self._seen_from(key[0], partner_of[key[0]], key[2])
            if key[1] == MACRO or alone
            else of_cells[key]
            for key in keys
        }

    def pairs(self, metric: Metric) -> tuple[Pair, ...]:
        """Each two rows over all benchmarks: the one family of which stars, tiers and sentences speak."""
        return tuple(Pair(*rows, comparison) for rows, comparison in self._of_macro[metric].items())

    def both_differ(self) -> Callable[[int, int], bool]:
        """Whether two rows differ beyond chance both in accuracy and in format, by their positions."""
        differing = [
            {rows for rows, found in self._of_macro[metric].items() if found.verdict in ("better", "worse")}
            for metric in _ENDS
        ]
        return lambda first, second: all(tuple(sorted((first, second))) in each for each in differing)

    def _all_pairs(self, metric: Metric) -> dict[tuple[int, int], Comparison]:
        """Corrected by what may be alike at once, where every two rows can be compared, else by Holm."""
        found = {key[:2]: one for key, one in self._found.items() if key[2:] == (MACRO, metric)}
        rows = {row for pair in found for row in pair}
        whole = len(found) == len(rows) * (len(rows) - 1) // 2
        correct = partial(shaffer, num_variants=len(rows)) if whole else holm
        judged = self._judged({(*pair, MACRO, metric): one for pair, one in found.items()}, correct)
        return {key[:2]: one for key, one in judged.items()}

    def _of_cells(
        self, partner_of: Mapping[int, int], keys: Sequence[FigureKey]
    ) -> Iterator[tuple[FigureKey, Comparison]]:
        """The comparisons to one reference on single benchmarks, a family by themselves."""
        cells = {key: (key[0], partner_of[key[0]], *key[1:]) for key in keys if key[1] != MACRO}
        judged = self._judged({of: self._difference(*of) for of in cells.values()}, holm)
        yield from ((key, judged[of]) for key, of in cells.items())

    def _judged(
        self,
        found: Mapping[_PairKey, Difference],
        correct: Callable[[Sequence[float]], tuple[float, ...]],
    ) -> dict[_PairKey, Comparison]:
        """The verdicts on a family; where nothing is known of other seeds a test counts, and finds nothing.

        Differences and equivalences are corrected apart from each other.
        """
        tested = list(found.items())
        p_values = correct([one.p if one.known else 1.0 for _, one in tested])
        alike = holm([one.equivalence_p(self._margin) if one.known else 1.0 for _, one in tested])
        return {
            key: compared(one, p, self._effect(*key), p_equivalent=q, family=len(tested))
            for (key, one), p, q in zip(tested, p_values, alike, strict=True)
        }

    def _seen_from(self, row: int, other: int, metric: Metric) -> Comparison:
        """The comparison over all benchmarks, seen from the first."""
        if row < other:
            return self._of_macro[metric][row, other]
        return self._of_macro[metric][other, row].reversed()

    def _difference(self, row: int, other: int, where: str, metric: Metric) -> Difference:
        """The first row minus the other, whichever stands above."""
        if row < other:
            return self._found[row, other, where, metric]
        return self._found[other, row, where, metric].reversed()

    def _effect(self, first: int, second: int, where: str, metric: Metric) -> float:
        found = [self._measured[row].estimates.get((where, metric)) for row in (first, second)]
        means = [estimate.mean for estimate in found if estimate]
        return cohens_h(*means) if len(means) == 2 else 0.0

    def _pairs(self, first: int, second: int) -> Iterator[tuple[str, Metric, Paired]]:
        """The two rows on what both were asked, by metrics that mean the same."""
        both = (self._groups[first], self._groups[second])
        unlike = both[0].entries[0].tagged != both[1].entries[0].tagged
        for where in (*self._benchmarks, MACRO):
            benchmarks = self._benchmarks if where == MACRO else [where]
            if not all(group.is_comparable(benchmark) for group in both for benchmark in benchmarks):
                continue
            pair = Paired.of(*both, benchmarks)
            for metric in METRICS if pair.seeds else ():
                if not (metric in FORMAT_DEPENDENT and unlike):
                    yield where, metric, pair


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
    difference: Difference, p_holm: float, effect: float, p_equivalent: float = 1.0, family: int = 1
) -> Comparison:
    """With the verdict, which goes by the corrected p-values, and what a family of this size can find."""
    level = 1 - CONFIDENCE
    verdict: Verdict = "undecided"
    if p_holm < level:
        verdict = "better" if difference.mean > 0 else "worse"
    elif p_equivalent < level:
        verdict = "equivalent"
    return Comparison(difference, p_holm, verdict, effect, difference.detectable(level / family), family)


def tiers(ranked: Sequence[int], pairs: Sequence[Pair]) -> dict[int, int]:
    """The tier of each ranked row, from 1 on, so that a rank is not taken for more than the pairs' tests say.

    The first holds every row that no other beats, the next every row that none of the rest beats, and so on:
    no two rows of a tier can be told apart, and each below the first is worse than at least one of the tier
    above it. A row with an uncertain figure holds nobody else up, as it would where a tier were all that
    cannot be told from its best. A row of which nothing is known for other seeds has no tier.
    """
    known = [pair for pair in pairs if pair.comparison.difference.known]
    placed = set(ranked) & {row for pair in known for row in (pair.first, pair.second)}
    better_than: dict[int, set[int]] = {row: set() for row in placed}
    for pair in (pair for pair in known if {pair.first, pair.second} <= placed):
        if pair.comparison.verdict == "better":
            better_than[pair.second].add(pair.first)
        elif pair.comparison.verdict == "worse":
            better_than[pair.first].add(pair.second)
    found: dict[int, int] = {}
    left, tier = placed, 0
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
