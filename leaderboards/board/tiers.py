"""Tiers: entries that the data cannot tell apart stand together, so that a rank is not taken for more.

The first tier holds every entry that no other beats in the corrected test of all pairs, the next every entry
that none of the rest beats, and so on: no two entries of a tier can be told apart, and each entry below the
first tier is worse than at least one of the tier above it. An entry with an uncertain figure holds nobody
else up, as it would where a tier were all that cannot be told from its best.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from leaderboards.board.pairing import seeds_on_all, take_seeds, values
from leaderboards.board.rows import ALPHAS, AlphaChange, Pair, Row
from leaderboards.results.merge import Group
from leaderboards.stats import Estimate, mean_interval


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


def score_by_alpha(group: Group, benchmarks: Sequence[str]) -> tuple[Estimate, ...] | None:
    """The macro score at each of `ALPHAS`; None where a benchmark is missing."""
    seeds = seeds_on_all(group, benchmarks)
    if not seeds:
        return None
    outcomes = [group.outcomes[benchmark] for benchmark in benchmarks]
    draws = [one.num_samples for one in outcomes]
    return tuple(
        mean_interval([take_seeds(one, values(one, "score", alpha), seeds) for one in outcomes], draws=draws)
        for alpha in ALPHAS
    )


def alpha_changes(
    rows: Sequence[Row], distinguishable: Callable[[int, int], bool]
) -> tuple[AlphaChange, ...]:
    """Every α strictly between 0 and 1 at which one row passes another, by α.

    The score is linear in α, so that two rows change places at most once.

    Args:
        rows: of the board, those without `score_by_alpha` left out.
        distinguishable: whether two rows, by their positions, differ beyond chance in accuracy or format.
    """
    return tuple(sorted(_changes(rows, distinguishable), key=lambda change: change.alpha))


def _changes(rows: Sequence[Row], distinguishable: Callable[[int, int], bool]) -> Iterator[AlphaChange]:
    ends = {
        position: (row.score_by_alpha[0].mean, row.score_by_alpha[-1].mean)
        for position, row in enumerate(rows)
        if row.score_by_alpha
    }
    for (one, (format_one, accuracy_one)), (other, (format_other, accuracy_other)) in combinations(
        ends.items(), 2
    ):
        at_zero, at_one = format_one - format_other, accuracy_one - accuracy_other
        if at_zero * at_one < 0:
            rises, falls = (one, other) if at_one > 0 else (other, one)
            alpha = at_zero / (at_zero - at_one)
            yield AlphaChange(alpha, rises, falls, distinguishable(one, other))
