"""How far two judges of the same outputs agree: the rule and published labels, the rule and a judge model."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two series of verdicts, compared.

    Attributes:
        n: number of pairs.
        agreement: share of them that are the same.
        kappa: Cohen's κ, see `cohens_kappa`.
    """

    n: int
    agreement: float
    kappa: float | None


def agreement(pairs: Iterable[tuple[bool, bool]]) -> Agreement:
    """Compare two series of verdicts.

    Args:
        pairs: the two verdicts on each output.

    Returns:
        The figures.

    Raises:
        ValueError: there are no pairs.
    """
    counts = Counter(pairs)
    both, first, second, neither = (
        counts[pair] for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    n = both + first + second + neither
    if not n:
        raise ValueError("no verdicts to compare")
    return Agreement(n, (both + neither) / n, cohens_kappa(both, first, second, neither))


def cohens_kappa(both: int, first_only: int, second_only: int, neither: int) -> float | None:
    """Agreement beyond chance, (p_o - p_e) / (1 - p_e) (Cohen 1960, doi:10.1177/001316446002000104, eq. 1).

    Args:
        both: outputs that both judges hold right.
        first_only: those that only the first does.
        second_only: those that only the second does.
        neither: those that neither does.

    Returns:
        κ; None where chance alone makes both agree on everything, both being constant and alike.
    """
    n = both + first_only + second_only + neither
    first, second = both + first_only, both + second_only
    by_chance = first * second + (n - first) * (n - second)  # times n², so that all but the end is exact
    return None if by_chance == n * n else ((both + neither) * n - by_chance) / (n * n - by_chance)
