"""What a family of variants says of its seeds, and p-values that are corrected over all pairs of them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboards.stats import SeedSpread, holm, mean_interval, paired_difference, seed_spread, shaffer
from leaderboards.stats.mean_squares import Components, components, sums_of


def variants(number: int, seeds: int, sd: float, questions: int = 2000, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    effects = sd * rng.standard_normal((number, seeds, 1))
    odds = np.exp(rng.standard_normal(questions) + effects)
    return list((rng.random(odds.shape) < odds / (1 + odds)).astype(float))


def parts(matrices: list[np.ndarray]) -> list[Components]:
    return [components([sums_of(matrix)]) for matrix in matrices]


@pytest.mark.parametrize("sd", [0.2, 0.5])
def test_the_spread_of_many_variants_is_that_of_their_seeds(sd: float) -> None:
    found = seed_spread(parts(variants(60, 4, sd)))
    assert found.sd_logits == pytest.approx(sd, rel=0.12)
    assert (found.df, found.prior_df, found.wild_slope, found.known) == (180, 8, 0, True)


def test_seeds_that_do_nothing_have_no_spread() -> None:
    assert seed_spread(parts(variants(40, 3, 0.0, 200))).sd_logits < 0.1
    nothing = seed_spread([])
    assert (nothing.df, nothing.known) == (0, False)
    assert seed_spread(parts([np.ones((3, 20))] * 4)).sd_logits == 0


def test_a_variant_unlike_the_others_makes_what_they_have_in_common_count_less() -> None:
    alike = variants(12, 3, 0.1)
    unlike = [*alike[:-1], variants(1, 3, 1.0, seed=5)[0]]
    assert seed_spread(parts(alike)).prior_df == 8
    assert seed_spread(parts(unlike)).prior_df < 5


def test_few_seeds_and_seeds_on_two_sides_of_a_jump_say_nothing_of_others() -> None:
    assert not seed_spread(parts(variants(2, 2, 0.1))).known
    assert seed_spread(parts(variants(2, 3, 0.1))).known
    rng = np.random.default_rng(3)
    jumped = (rng.random((3, 400)) < np.array([[0.42], [0.32], [0.97]])).astype(float)
    found = seed_spread(parts([*variants(6, 3, 0.1), jumped]))
    assert found.wild_slope > 0
    assert not found.known
    assert seed_spread(parts([*variants(20, 3, 0.1), jumped])).known, "of so many it can be said"


def test_other_variants_make_an_interval_as_long_as_seeds_are_unlike() -> None:
    [matrix] = variants(1, 3, 0.0, 500)
    widths = [
        found.high - found.low
        for sd in (0.05, 0.4, 0.8)
        for found in [mean_interval([matrix], spread=SeedSpread(sd, 30, 8.0))]
    ]
    assert widths == sorted(widths)
    assert widths[-1] > 2 * widths[0]


def test_against_an_entry_without_seeds_only_one_side_varies() -> None:
    one, other = variants(2, 3, 0.3, 300)
    spread = SeedSpread(0.5, 30, 8.0)
    both = paired_difference([one - other], spread, 2)
    single = paired_difference([one - other[:1]], spread, 1)
    assert single.se == pytest.approx(both.se, rel=0.35)


# All pairs


def test_shaffer_counts_what_can_be_alike_at_once() -> None:
    # Shaffer 1986, table 1: with four means 6, 3, 3, 3, 2, 1 of six pairs.
    p = [0.001, 0.01, 0.011, 0.012, 0.013, 0.014]
    assert shaffer(p, 4) == pytest.approx((0.006, 0.03, 0.033, 0.036, 0.036, 0.036))
    assert shaffer([0.01, 0.02, 0.03], 3) == pytest.approx((0.03, 0.03, 0.03))
    assert shaffer([], 1) == ()


@given(st.integers(2, 8), st.data())
def test_shaffer_never_says_less_than_holm(number: int, data: st.DataObject) -> None:
    size = len(list(combinations(range(number), 2)))
    p = data.draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))
    ours, holms = shaffer(p, number), holm(p)
    assert all(raw <= mine <= theirs for raw, mine, theirs in zip(p, ours, holms, strict=True))


def test_equivalence_is_tost_as_statsmodels_has_it() -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    rng = np.random.default_rng(2)
    difference = rng.integers(-1, 2, (1, 4000)).astype(float)
    found = paired_difference([difference])
    theirs, _, _ = DescrStatsW(difference[0]).ttost_mean(-0.03, 0.03)
    assert found.equivalence_p(0.03) == pytest.approx(theirs, abs=0.002)
    assert found.equivalence_p(0.5) < 1e-6
    assert found.equivalence_p(0.0) >= 0.5
