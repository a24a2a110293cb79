"""The levels of looks at growing numbers of seeds: published boundaries, and what all of them spend."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from leaderboards.stats.sequential import SHARE, levels, nominal_level

FIVE = tuple(range(1, 6))


@pytest.mark.parametrize(
    ("spent", "boundaries"),
    [
        # Lan & DeMets' spending functions with five equal looks, as R's ldbounds prints them.
        (lambda t: 4 * (1 - ndtr(ndtri(0.9875) / np.sqrt(t))), (4.877, 3.357, 2.680, 2.290, 2.031)),
        (lambda t: 0.05 * np.log(1 + (np.e - 1) * t), (2.438, 2.427, 2.410, 2.397, 2.386)),
    ],
    ids=["O'Brien-Fleming", "Pocock"],
)
def test_the_boundaries_are_those_of_the_literature(spent, boundaries: tuple[float, ...]) -> None:
    found = levels(tuple(spent(np.asarray(FIVE) / 5).tolist()), FIVE)
    assert -ndtri(np.asarray(found) / 2) == pytest.approx(boundaries, abs=2e-3)


def test_a_single_look_has_all_that_is_spent() -> None:
    assert nominal_level(5, 5, 5) == pytest.approx(0.05 * SHARE)


@pytest.mark.parametrize("most", [4, 20])
def test_all_looks_together_cross_as_often_as_is_spent(most: int) -> None:
    seeds = np.arange(3, most + 1)
    sums = np.random.default_rng(5).standard_normal((40_000, most)).cumsum(axis=1)[:, 2:]
    bounds = -ndtri(np.asarray([nominal_level(at, 3, most) for at in seeds.tolist()]) / 2)
    assert (np.abs(sums) > bounds * np.sqrt(seeds)).any(axis=1).mean() == pytest.approx(
        0.05 * SHARE, abs=0.004
    )


def test_levels_grow_with_the_seeds_and_hold_outside_of_the_plan() -> None:
    found = [nominal_level(at, 3, 20) for at in range(3, 21)]
    assert found == sorted(found)
    assert (nominal_level(1, 3, 20), nominal_level(30, 3, 20)) == (found[0], found[-1])
