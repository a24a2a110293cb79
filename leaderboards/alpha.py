"""The score for every weight of accuracy from 0 to 1, and where the ranking by it changes.

score = α·accuracy + (1 - α)·format validity (arXiv 2512.21017, which takes α = 0.7 without a reason). A
ranking that holds for one α only says more about α than about the entries.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from leaderboards.merge import Group
from leaderboards.pairing import seeds_on_all, take_seeds, values
from leaderboards.rows import ALPHAS, AlphaChange, Row
from leaderboards.stats import Estimate, mean_interval


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
