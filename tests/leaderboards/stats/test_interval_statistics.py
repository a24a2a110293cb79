"""Intervals and tests agree with independent computations, and cover what they promise to cover."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from leaderboards.stats import Matrix, SeedSpread, holm, mcnemar_p, mean_interval, paired_difference


def crossed(rng: np.random.Generator, seeds: int, questions: int, level: float, seed_sd: float) -> Matrix:
    """0/1 outcomes from a probit model with a question effect (SD 1) and a seed effect."""
    scale = np.sqrt(2 + seed_sd**2)
    shift = scipy_stats.norm.ppf(level) * scale
    latent = shift + rng.standard_normal(questions) + seed_sd * rng.standard_normal((seeds, 1))
    return (rng.standard_normal((seeds, questions)) < latent).astype(float)


def crossed_pair(rng: np.random.Generator, seeds: int, questions: int, gap: float) -> Matrix:
    """Differences of two variants that share the question effect; `gap` shifts the first."""
    difficulty = rng.standard_normal(questions)
    first, second = (
        rng.standard_normal((seeds, questions)) < difficulty + shift + 0.1 * rng.standard_normal((seeds, 1))
        for shift in (gap, 0.0)
    )
    return first.astype(float) - second.astype(float)


def brute_force_t_test(matrices: list[Matrix], spread: SeedSpread | None) -> tuple[float, float]:
    """p-value and standard error of `paired_difference`, written out sum by sum."""
    num_benchmarks, num_seeds = len(matrices), len(matrices[0])
    centre, net, net_spread, residual, cell = 0.0, 0.0, 0.0, 0.0, 0.0
    for matrix in matrices:
        size = matrix.shape[1]
        by_question = [sum(matrix[s][q] for s in range(num_seeds)) / num_seeds for q in range(size)]
        grand = sum(by_question) / size
        agree = num_seeds * sum(d**2 for d in by_question) / sum(d**2 for d in matrix.ravel())
        agree = min(max(agree, 1 / num_seeds), 1)
        padded = [*[(1.0, d) for d in by_question], (agree / 2, 1.0), (agree / 2, -1.0), (agree, 0.0)]
        weight = sum(w for w, _ in padded)
        mean = sum(w * d for w, d in padded) / weight
        between = sum(w * (d - mean) ** 2 for w, d in padded) / weight**2
        centre += mean / num_benchmarks
        rest = 0.0
        if num_seeds > 1:
            rest = sum(
                (matrix[s][q] - by_question[q] - sum(matrix[s]) / size + grand) ** 2
                for s, q in itertools.product(range(num_seeds), range(size))
            ) / ((num_seeds - 1) * (size - 1))
        part = (between - rest / size / num_seeds) / num_benchmarks**2
        net += part
        net_spread += part**2 / (size - 1)
        residual += rest / size / num_seeds / num_benchmarks**2
        cell += rest / num_benchmarks
    if num_seeds == 1:
        df = net**2 / net_spread
        return float(2 * scipy_stats.t.sf(abs(centre) / net**0.5, df)), net**0.5
    seed_means = [sum(sum(m[s]) / len(m[s]) for m in matrices) / num_benchmarks for s in range(num_seeds)]
    overall = sum(seed_means) / num_seeds
    seeds = sum((m - overall) ** 2 for m in seed_means) / (num_seeds - 1) / num_seeds
    seeds, freedom = max(seeds, residual) if spread is None else seeds, num_seeds - 1
    if spread:
        common = residual + 2 * (spread.sd_logits * cell / 2) ** 2 / num_seeds
        seeds = (freedom * seeds + spread.prior_df * common) / (freedom + spread.prior_df)
        freedom += spread.prior_df
    variance = max(net, 0) + seeds
    seed_df = freedom * (1 + min((freedom + 1) / 10, 1) * ((variance / seeds) ** 2 - 1))
    df = 1 / (1 / seed_df + net_spread / variance**2)
    return float(2 * scipy_stats.t.sf(abs(centre) / variance**0.5, df)), variance**0.5


@pytest.mark.parametrize("spread", [None, SeedSpread(0.4, 30, 3.5)])
@pytest.mark.parametrize(("seeds", "sizes"), [(1, [40]), (3, [40]), (3, [25, 60]), (5, [10, 11, 12])])
def test_the_paired_test_equals_its_formula_written_out(
    seeds: int, sizes: list[int], spread: SeedSpread | None
) -> None:
    rng = np.random.default_rng(1)
    differences = [crossed_pair(rng, seeds, size, 0.3) for size in sizes]
    found = paired_difference(differences, spread)
    p, error = brute_force_t_test(differences, spread)
    assert found.p == pytest.approx(p, rel=1e-9)
    assert found.high - found.low > 2 * 1.9 * error
    assert found.known == (seeds > 1 and spread is not None)
    assert found.mean == pytest.approx(np.mean([difference.mean() for difference in differences]))
    assert (found.num_questions, found.num_seeds) == (sum(sizes), seeds)


def test_with_one_seed_and_many_questions_it_is_the_ordinary_paired_t_test() -> None:
    difference = crossed_pair(np.random.default_rng(2), 1, 4000, 0.05)
    ordinary = scipy_stats.ttest_1samp(difference[0], 0.0)
    found = paired_difference([difference])
    assert found.p == pytest.approx(ordinary.pvalue, abs=0.002)
    low, high = ordinary.confidence_interval()
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_with_many_seeds_it_agrees_with_cameron_gelbach_and_miller() -> None:
    rng = np.random.default_rng(3)
    questions, seeds, noise = (
        rng.normal(0, 0.2, 300),
        rng.normal(0, 0.1, (60, 1)),
        rng.normal(0, 0.2, (60, 300)),
    )
    difference = np.clip(questions + seeds + noise, -1, 1)
    rest = difference - difference.mean()
    clustered = ((rest.sum(0) ** 2).sum() + (rest.sum(1) ** 2).sum() - (rest**2).sum()) / difference.size**2
    found = paired_difference([difference])
    assert (found.high - found.low) / 2 == pytest.approx(1.99 * clustered**0.5, rel=0.03)


@pytest.mark.parametrize("right", [1, 30, 150, 299])
def test_the_interval_of_one_seed_is_wilsons(right: int) -> None:
    values = np.zeros((1, 300))
    values[0, :right] = 1
    found = mean_interval([values])
    wilson = scipy_stats.binomtest(right, 300).proportion_ci(method="wilson")
    assert (found.low, found.high) == (
        pytest.approx(wilson.low, abs=1e-3),
        pytest.approx(wilson.high, abs=1e-3),
    )


@pytest.mark.parametrize("seeds", [1, 3])
def test_all_right_and_all_wrong_are_never_certain(seeds: int) -> None:
    right, wrong = mean_interval([np.ones((seeds, 50))]), mean_interval([np.zeros((seeds, 50))])
    assert (right.high, wrong.low) == (1.0, 0.0)
    assert right.low == pytest.approx(1 - wrong.high)
    # Three seeds that agree may be copies: the interval is that of 50 answers, not of 150.
    assert 0.92 < right.low < 0.94


def test_no_discordant_question_is_no_proof_of_equality() -> None:
    found = paired_difference([np.zeros((3, 50))])
    assert (found.mean, found.p, found.mcnemar_p) == (0.0, 1.0, (1.0, 1.0, 1.0))
    assert found.high == -found.low > 0.03


def test_a_single_question_says_nothing() -> None:
    mean, difference = mean_interval([np.ones((1, 1))]), paired_difference([np.ones((1, 1))])
    assert mean.low < 0.05
    assert difference.p > 0.3


def test_seeds_that_disagree_widen_the_interval() -> None:
    alike = np.tile(np.arange(200) < 100, (3, 1)).astype(float)
    apart = np.stack([np.arange(200) < right for right in (60, 100, 140)]).astype(float)
    narrow, wide = mean_interval([alike]), mean_interval([apart])
    assert narrow.mean == wide.mean
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_the_macro_average_weighs_benchmarks_alike_and_keeps_seeds_together() -> None:
    rng = np.random.default_rng(4)
    small, large = crossed(rng, 3, 50, 0.2, 0.0), crossed(rng, 3, 400, 0.8, 0.0)
    both = mean_interval([small, large])
    assert both.mean == pytest.approx((small.mean() + large.mean()) / 2)
    # A seed that is good on one benchmark and bad on the other is no worse on both.
    rows = np.stack([np.arange(200) < right for right in (60, 100, 140)]).astype(float)
    opposed, aligned = mean_interval([rows, rows[::-1]]), mean_interval([rows, rows])
    assert aligned.high - aligned.low > 2 * (opposed.high - opposed.low)


@pytest.mark.parametrize(("gained", "lost"), list(itertools.product(range(0, 13, 3), repeat=2)))
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    difference = np.concatenate([np.ones(gained), -np.ones(lost), np.zeros(7)])
    exact = scipy_stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar_p(difference) == pytest.approx(exact)


def test_holm_on_the_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    assert holm([0.6, 0.9]) == (1.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_never_lowers_a_p_value(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    in_order = [adjusted[i] for i in np.argsort(p_values, kind="stable")]
    assert in_order == sorted(in_order)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 40), st.floats(0, 1))
def test_an_interval_holds_its_mean_and_stays_in_bounds(
    seed: int, seeds: int, size: int, level: float
) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.random((seeds, size)) < level).astype(float)
    found = mean_interval([values])
    assert 0 <= found.low <= found.mean <= found.high <= 1
    difference = paired_difference([values - (rng.random((seeds, size)) < level)])
    assert -1 <= difference.low <= difference.high <= 1
    assert (difference.p < 0.05) == (difference.low > 0 or difference.high < 0)


def test_ties_are_rarely_called_differences_and_real_ones_are_found() -> None:
    rng = np.random.default_rng(5)
    false = np.mean([paired_difference([crossed_pair(rng, 3, 200, 0.0)]).p < 0.05 for _ in range(500)])
    found = np.mean([paired_difference([crossed_pair(rng, 3, 200, 0.8)]).p < 0.05 for _ in range(100)])
    assert false <= 0.06
    assert found >= 0.85
