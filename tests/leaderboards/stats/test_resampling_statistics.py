"""Bootstrap and permutation agree with SciPy where it has them, and do with seeds what they say they do."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from leaderboards.stats import (
    MACRO,
    Matrix,
    bootstrap_intervals,
    mean_interval,
    paired_difference,
    permutation_p_values,
)
from leaderboards.stats.intervals import sums_of
from leaderboards.stats.resampling import _flipped, _resample_seeds, _seed_effects, _seed_signs


def answers(seed: int, seeds: int, size: int, level: float = 0.5, seed_sd: float = 0.1) -> Matrix:
    rng = np.random.default_rng(seed)
    right = rng.random(size) + level - 0.5 + seed_sd * rng.standard_normal((seeds, 1))
    return (rng.random((seeds, size)) < right).astype(float)


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_with_one_seed_the_bootstrap_is_scipys(level: float) -> None:
    values = answers(1, 1, 300, level)
    theirs = scipy_stats.bootstrap(
        (values[0],), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    ours = bootstrap_intervals([{"b": values}], num_resamples=10_000)[0]["b"]
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_three_seeds_drawn_again_have_their_whole_variance() -> None:
    means = np.array([0.4, 0.5, 0.7])
    drawn = _resample_seeds(np.tile(means, (40_000, 1)), seed=0)
    assert drawn.mean() == pytest.approx(means.mean(), abs=1e-3)
    assert drawn.var() == pytest.approx(means.var(ddof=1) / 3, rel=0.03)


def test_a_macro_mean_shares_its_seeds_and_not_its_questions() -> None:
    rows = np.stack([np.arange(200) < right for right in (60, 100, 140)]).astype(float)
    aligned, opposed = bootstrap_intervals([{"a": rows, "b": rows}, {"a": rows, "b": rows[::-1]}])
    assert aligned["a"] == opposed["a"]
    assert width(aligned[MACRO]) > 2 * width(opposed[MACRO])
    one_seed = bootstrap_intervals([{"a": rows[:1], "b": rows[1:2]}])[0]
    assert width(one_seed[MACRO]) < 0.8 * width(one_seed["a"])


def test_the_bootstrap_is_near_the_analytic_interval() -> None:
    values = answers(3, 5, 500, 0.5, 0.1)
    analytic, drawn = mean_interval([values]), bootstrap_intervals([{"b": values}])[0]["b"]
    assert drawn[0] < analytic.mean < drawn[1]
    assert 0.6 < width(drawn) / (analytic.high - analytic.low) < 1.3


def test_draws_are_the_same_for_all_and_every_time() -> None:
    first, second = answers(4, 3, 50), answers(5, 3, 50)
    both = bootstrap_intervals([{"b": first}, {"b": second}], num_resamples=200)
    assert both[1] == bootstrap_intervals([{"b": second}], num_resamples=200)[0]
    assert both == bootstrap_intervals([{"b": first}, {"b": second}], num_resamples=200)
    assert both[0] != bootstrap_intervals([{"b": first}], num_resamples=200, seed=1)[0]
    p = permutation_p_values([{"b": first - 0.6}, {"b": second - 0.6}], num_flips=200)
    assert p[1] == permutation_p_values([{"b": second - 0.6}], num_flips=200)[0]


def test_chunks_do_not_change_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    values: Mapping[str, Matrix] = {"b": answers(6, 3, 64) - answers(7, 3, 64)}
    before = permutation_p_values([values], num_flips=300)
    monkeypatch.setattr("leaderboards.stats.resampling._CHUNK", 1)
    after = permutation_p_values([values], num_flips=300)
    assert after[0]["b"] == pytest.approx(before[0]["b"], abs=0.1)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25])
def test_with_one_seed_the_permutation_test_is_scipys(shift: float) -> None:
    difference = answers(8, 1, 80, 0.5 + shift) - answers(9, 1, 80)
    theirs = scipy_stats.permutation_test(
        (difference[0],),
        np.mean,
        permutation_type="samples",
        n_resamples=20_000,
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    ours = permutation_p_values([{"b": difference}], num_flips=20_000)[0]
    assert ours["b"] == ours[MACRO] == pytest.approx(theirs.pvalue, abs=0.012)


def test_it_is_exact_where_all_flips_can_be_counted() -> None:
    difference = np.array([[1.0, 1, 1, 1, 1, 1, -1, 0]])
    # 2 · P(at most one of seven lost) = 2 · 8 / 128
    assert permutation_p_values([{"b": difference}], num_flips=20_000)[0]["b"] == pytest.approx(
        0.125, abs=0.01
    )


def test_the_sums_of_a_flip_are_those_of_the_flipped_matrix() -> None:
    rng = np.random.default_rng(10)
    difference = rng.integers(-1, 2, (3, 40)).astype(float)
    signs, seed_signs = rng.choice([-1.0, 1.0], (6, 40)), _seed_signs(0, 3, 5)
    effects = _seed_effects(difference)
    means = (signs[:, None, :] * (difference - effects)).mean(axis=2)
    quick = _flipped(difference, means, seed_signs)
    for flip in range(6):
        slow = sums_of(signs[flip] * (difference - effects) + seed_signs[flip][:, None] * effects)
        assert quick.means_S[flip] == pytest.approx(slow.means_S)
        assert quick.questions[flip] == pytest.approx(float(slow.questions))
        assert quick.cells[flip] == pytest.approx(float(slow.cells))


def test_a_lucky_seed_is_no_evidence() -> None:
    rng = np.random.default_rng(11)
    difference = (rng.random((3, 400)) < 0.05).astype(float)
    difference[0] = rng.random(400) < 0.5
    # Flips of whole questions alone find it overwhelming: hardly a question is lost.
    assert paired_difference([difference]).p > 0.05
    assert permutation_p_values([{"b": difference}])[0]["b"] > 0.05


def test_what_all_seeds_gain_is_found_and_nothing_is_not() -> None:
    gain, nothing = answers(12, 3, 400, 0.7) - answers(13, 3, 400, 0.4), np.zeros((3, 50))
    found = permutation_p_values([{"a": gain, "b": gain[:, :150]}, {"a": nothing}, {}])
    assert max(found[0].values()) < 0.02
    assert found[1] == {"a": 1.0, MACRO: 1.0}
    assert found[2] == bootstrap_intervals([{}])[0] == {}


def test_there_is_no_macro_mean_where_benchmarks_differ_in_their_seeds() -> None:
    unlike = {"a": answers(14, 3, 20), "b": answers(15, 2, 20)}
    assert [*bootstrap_intervals([unlike])[0]] == [*permutation_p_values([unlike])[0]] == ["a", "b"]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 30))
def test_swapping_the_variants_leaves_p_alone(seed: int, seeds: int, size: int) -> None:
    difference = answers(seed, seeds, size) - answers(seed + 1, seeds, size)
    one, other = permutation_p_values([{"b": difference}, {"b": -difference}], num_flips=100)
    assert one == other
    assert 1 / 101 <= one["b"] <= 1
