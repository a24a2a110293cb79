"""Questions that stand several times among those of a mean or difference count once."""

import numpy as np
import pytest

from leaderboards.stats import mean_interval, paired_difference
from leaderboards.stats.mean_squares import distinct

RNG = np.random.default_rng(3)
ONCE = (RNG.random((4, 60)) < 0.6).astype(float)
OTHER = (RNG.random((4, 60)) < 0.5).astype(float)
NUMBERS = np.arange(60)


@pytest.mark.parametrize(
    ("layouts", "contents"),
    [
        ([ONCE, ONCE], [NUMBERS, NUMBERS]),
        ([ONCE, ONCE[:, ::-1]], [NUMBERS, NUMBERS[::-1]]),
        ([np.hstack([ONCE, ONCE, ONCE])], [np.tile(NUMBERS, 3)]),
    ],
    ids=["two benchmarks", "in another order", "one benchmark"],
)
def test_copies_say_no_more_than_what_they_are_copies_of(
    layouts: list[np.ndarray], contents: list[np.ndarray]
) -> None:
    one, copies = mean_interval([ONCE]), mean_interval(layouts, contents=contents)
    assert (copies.low, copies.high, copies.se) == pytest.approx((one.low, one.high, one.se))
    assert copies.num_questions == 60
    assert mean_interval(layouts).se < 0.95 * one.se
    single, paired = (
        paired_difference([ONCE - 0.5]),
        paired_difference([m - 0.5 for m in layouts], None, 2, contents),
    )
    assert (paired.mean, paired.p, paired.df) == pytest.approx((single.mean, single.p, single.df))


def test_what_is_not_repeated_or_not_known_stays_as_it_is() -> None:
    for contents in (None, [NUMBERS, NUMBERS + 60], [NUMBERS, np.full(60, -1)]):
        assert distinct([ONCE, OTHER], contents) == [ONCE, OTHER]


def test_each_seed_keeps_its_mean_where_benchmarks_share_a_part() -> None:
    [joined] = distinct([ONCE, OTHER[:, :40]], [NUMBERS, NUMBERS[20:60]])
    assert joined.shape == (4, 60)
    means = (ONCE.mean(axis=1) + OTHER[:, :40].mean(axis=1)) / 2
    assert joined.mean(axis=1) == pytest.approx(means)


@pytest.mark.parametrize("shared", [30, 90])
def test_no_more_is_found_than_is_there_where_half_of_the_questions_stand_twice(shared: int) -> None:
    """Two variants that are alike on average, and differ question by question."""
    rng, found, naive = np.random.default_rng(shared), [], []
    for _ in range(300):
        ease = rng.normal(0, 1.5, 180 - shared)[None] + rng.normal(0, 1, (2, 180 - shared))
        chance = 1 / (1 + np.exp(-ease))
        right = (rng.random((3, *chance.shape)) < chance).astype(float)  # greedy: the same twice
        difference = right[:, 0] - right[:, 1]
        places = [np.arange(90), np.arange(90 - shared, 180 - shared)]
        layouts = [difference[:, at] for at in places]
        found.append(paired_difference(layouts, None, 2, places).p < 0.05)
        naive.append(paired_difference(layouts).p < 0.05)
    assert np.mean(found) < 0.09
    assert np.mean(naive) > np.mean(found)
