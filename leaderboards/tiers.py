"""Tiers: entries that the data cannot tell apart stand together, so that a rank is not taken for more.

A tier holds its best entry and every entry that the corrected test of all pairs cannot tell from that one.
Two others of one tier may still differ from each other.
"""

from collections.abc import Mapping, Sequence

from leaderboards.rows import Pair


def tiers(ranked: Sequence[int], pairs: Sequence[Pair]) -> dict[int, int]:
    """The tier of each row, from 1 on.

    Args:
        ranked: positions of the rows that have a rank, best first.
        pairs: their comparisons.

    Returns:
        Position -> tier. Two rows that could not be compared do not share a tier.
    """
    apart: Mapping[frozenset[int], bool] = {
        frozenset((pair.first, pair.second)): pair.comparison.verdict != "not distinguishable"
        for pair in pairs
    }
    found: dict[int, int] = {}
    left, tier = list(ranked), 0
    while left:
        tier += 1
        best, *others = left
        found[best] = tier
        together = [row for row in others if not apart.get(frozenset((best, row)), True)]
        found |= dict.fromkeys(together, tier)
        left = [row for row in others if row not in together]
    return found
