"""Tiers: entries that the data cannot tell apart stand together, so that a rank is not taken for more.

The first tier holds every entry that no other beats in the corrected test of all pairs, the next every entry
that none of the rest beats, and so on: no two entries of a tier can be told apart, and each entry below the
first tier is worse than at least one of the tier above it. An entry with an uncertain figure holds nobody
else up, as it would where a tier were all that cannot be told from its best.
"""

from collections.abc import Sequence

from leaderboards.rows import Pair


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
