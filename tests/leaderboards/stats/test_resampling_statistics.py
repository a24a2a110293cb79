"""The bootstrap agrees with SciPy where it has one, and does with seeds what it says it does."""

from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats as scipy_stats

from leaderboards.stats import (
    MACRO,
    Matrix,
    bootstrap_intervals,
    mean_interval,
    paired_difference,
)
from leaderboards.stats.resampling import _resample_seeds


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


def test_chunks_do_not_change_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    values: Mapping[str, Matrix] = {"b": answers(6, 3, 64)}
    before = bootstrap_intervals([values], num_resamples=600)
    monkeypatch.setattr("leaderboards.stats.resampling._CHUNK", 1)
    after = bootstrap_intervals([values], num_resamples=600)
    assert after[0]["b"] == pytest.approx(before[0]["b"], abs=0.04)


def test_a_lucky_seed_is_no_evidence() -> None:
    rng = np.random.default_rng(11)
    difference = (rng.random((3, 400)) < 0.05).astype(float)
    difference[0] = rng.random(400) < 0.5
    # Question by question it is overwhelming: hardly one is lost.
    assert paired_difference([difference]).p > 0.05


def test_there_is_no_macro_mean_where_benchmarks_differ_in_their_seeds() -> None:
    unlike = {"a": answers(14, 3, 20), "b": answers(15, 2, 20)}
    assert [*bootstrap_intervals([unlike])[0]] == ["a", "b"]
