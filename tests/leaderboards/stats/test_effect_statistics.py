"""Published intervals and effect sizes are met, and figures do not depend on how things are numbered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from leaderboards.stats import (
    Matrix,
    cohens_h,
    holm,
    mean_difference,
    mean_interval,
    paired_difference,
    wilson_interval,
)


def answers(seed: int, seeds: int, size: int, seed_sd: float = 0.2) -> Matrix:
    rng = np.random.default_rng(seed)
    right = rng.random(size) + seed_sd * rng.standard_normal((seeds, 1))
    return (rng.random((seeds, size)) < right).astype(float)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_on_newcombes_examples(right: int, n: int, low: float, high: float) -> None:
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3.
    assert wilson_interval(right / n, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_is_scipys(confidence: float) -> None:
    theirs = scipy_stats.binomtest(17, 60).proportion_ci(confidence, method="wilson")
    assert wilson_interval(17 / 60, 60, confidence) == pytest.approx((theirs.low, theirs.high))


def test_cohens_h_is_the_difference_of_his_table() -> None:
    # Cohen 1988, table 6.2.2: φ(0.5) = 1.571, φ(0.25) = 1.047, φ(0.05) = 0.451, φ(1) = 3.142.
    assert cohens_h(0.5, 0.25) == pytest.approx(1.571 - 1.047, abs=1e-3)
    assert cohens_h(0.05, 0.5) == pytest.approx(0.451 - 1.571, abs=1e-3)
    assert cohens_h(1.0, 0.0) == pytest.approx(np.pi)
    assert cohens_h(0.3, 0.3) == 0.0


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_what_is_detectable_is_detected_four_times_in_five(seeds: int) -> None:
    found = paired_difference([answers(1, seeds, 300) - answers(2, seeds, 300)])
    # The t statistic of a true difference `detectable`, by simulation with the test's degrees of freedom.
    rng = np.random.default_rng(3)
    t = (found.high - found.low) / 2 / found.se
    df = min(df for df in range(1, 400) if scipy_stats.t.ppf(0.975, df) <= t + 1e-3)
    chi = np.sqrt(rng.chisquare(df, 200_000) / df)
    power = np.mean((rng.standard_normal(200_000) + found.detectable() / found.se) / chi > t)
    assert power == pytest.approx(0.8, abs=0.03)
    assert found.detectable() > t * found.se


def test_gained_and_lost_count_seed_question_pairs() -> None:
    found = paired_difference([np.array([[1.0, 0, -1], [1, 1, 0]]), np.array([[0.0, 0.3], [-0.7, 0]])])
    assert (found.gained, found.lost) == (4, 2)


def test_more_questions_make_smaller_differences_detectable() -> None:
    few, many = (
        paired_difference([answers(5, 3, n, 0.0) - answers(6, 3, n, 0.0)]).detectable() for n in (100, 1600)
    )
    assert many < few / 2


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 40))
def test_swapping_the_variants_mirrors_the_difference(seed: int, seeds: int, size: int) -> None:
    difference = answers(seed, seeds, size) - answers(seed + 1, seeds, size)
    one, other = paired_difference([difference]), paired_difference([-difference])
    assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low))
    assert (one.p, one.se, one.detectable()) == pytest.approx((other.p, other.se, other.detectable()))
    assert (one.gained, one.lost, one.mcnemar_p) == (other.lost, other.gained, other.mcnemar_p)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 40))
def test_right_and_wrong_changing_places_mirrors_the_interval(seed: int, seeds: int, size: int) -> None:
    values = answers(seed, seeds, size)
    one, other = mean_interval([values]), mean_interval([1 - values])
    assert (one.low, one.high, one.se) == pytest.approx((1 - other.high, 1 - other.low, other.se))


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 40))
def test_the_order_of_seeds_questions_and_benchmarks_is_nothing(seed: int, seeds: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = answers(seed, seeds, size), answers(seed + 1, seeds, size + 3)
    order = rng.permutation(seeds)
    mixed = [second[order][:, rng.permutation(size + 3)], first[order][:, rng.permutation(size)]]
    one, other = mean_interval([first, second]), mean_interval(mixed)
    assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high))
    one_t, other_t = (
        paired_difference([first - 0.5, second - 0.5]),
        paired_difference([m - 0.5 for m in mixed]),
    )
    assert (one_t.low, one_t.high, one_t.p) == pytest.approx((other_t.low, other_t.high, other_t.p))


def test_copies_of_one_seed_are_worth_one_seed() -> None:
    values = answers(7, 1, 200)
    one, copies = mean_interval([values]), mean_interval([np.repeat(values, 3, axis=0)])
    assert (one.low, one.high) == pytest.approx((copies.low, copies.high))
    difference = values - answers(8, 1, 200)
    once, thrice = paired_difference([difference]), paired_difference([np.repeat(difference, 3, axis=0)])
    assert (once.p, once.se) == pytest.approx((thrice.p, thrice.se))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10), st.data())
def test_a_larger_p_value_lowers_no_corrected_one(p_values: list[float], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(p_values) - 1))
    raised = [*p_values]
    raised[index] = data.draw(st.floats(p_values[index], 1))
    assert all(after >= before for before, after in zip(holm(p_values), holm(raised), strict=True))


def test_of_one_seed_a_difference_without_bounds_is_students() -> None:
    bits_Q = np.random.default_rng(4).exponential(3, 80) - 2
    found = mean_difference([bits_Q[None]])
    theirs = scipy_stats.ttest_1samp(bits_Q, 0.0)
    assert (found.mean, found.p) == (pytest.approx(bits_Q.mean()), pytest.approx(theirs.pvalue))
    assert (found.low, found.high) == pytest.approx(theirs.confidence_interval(0.95))
    assert not found.known


@pytest.mark.parametrize(("seeds", "seed_sd"), [(2, 0.0), (3, 0.0), (3, 0.3), (5, 0.1)])
def test_the_interval_of_a_difference_without_bounds_covers(seeds: int, seed_sd: float) -> None:
    rng, held, worlds = np.random.default_rng(5), 0, 2000
    for _ in range(worlds):
        skewed_SQ = rng.exponential(1.5, 60) + rng.exponential(1, (seeds, 60)) - 2.5
        found = mean_difference([skewed_SQ + seed_sd * rng.standard_normal((seeds, 1))])
        held += found.low <= 0 <= found.high
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    assert 0.93 <= held / worlds <= 0.995  # too wide rather than too short where seeds do not differ


def test_two_that_answer_alike_differ_by_no_bit() -> None:
    found = mean_difference([np.zeros((3, 20)), np.zeros((3, 30))])
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
