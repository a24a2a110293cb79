"""The statistics against statsmodels, where it has them; what SciPy has is held against that elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint, proportion_effectsize

from leaderboards.stats import cohens_h, holm, mcnemar_p, paired_difference, wilson_interval
from tasks.scoring import cohens_kappa

SHARE = st.floats(0.0, 1.0)


@settings(max_examples=30)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_holm(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)


@given(st.integers(0, 40), st.integers(0, 40))
def test_exact_mcnemar(gained: int, lost: int) -> None:
    difference = np.array([1.0] * gained + [-1.0] * lost + [0.0] * 10)
    theirs = mcnemar([[7, gained], [lost, 3]], exact=True).pvalue if gained + lost else 1.0
    assert mcnemar_p(difference) == pytest.approx(theirs)


@given(SHARE, SHARE)
def test_effect_size(first: float, second: float) -> None:
    assert cohens_h(first, second) == pytest.approx(proportion_effectsize(first, second), abs=1e-12)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval(case: tuple[int, int]) -> None:
    right, n = case
    theirs = proportion_confint(right, n, method="wilson")
    assert wilson_interval(right / n, n) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_the_detectable_difference_has_a_power_of_four_in_five(seed: int) -> None:
    """One seed and many questions: that is the paired t test, whose power statsmodels computes exactly."""
    rng = np.random.default_rng(seed)
    difference = rng.choice([-1.0, 0.0, 1.0], size=(1, 1000), p=[0.1, 0.75, 0.15])
    found = paired_difference([difference])
    deviation = found.se * 1000**0.5
    power = TTestPower().power(found.detectable() / deviation, 1000, alpha=0.05, alternative="two-sided")
    assert power == pytest.approx(0.8, abs=0.01)


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(lambda counts: sum(counts) > 0))
def test_agreement_beyond_chance(counts: list[int]) -> None:
    from statsmodels.stats.inter_rater import cohens_kappa as theirs

    both, rule_only, judge_only, neither = counts
    ours = cohens_kappa(both, rule_only, judge_only, neither)
    if ours is None:
        return
    assert ours == pytest.approx(theirs([[both, rule_only], [judge_only, neither]]).kappa)
