"""A few families whose truth is known: nothing false is claimed of them too often; a short run."""

import numpy as np
import pytest

from leaderboards.stats import paired_difference, seed_spread
from leaderboards.stats.mean_squares import components, sums_of
from leaderboards.stats.paired import paired_t
from studies.families import chosen, document, simulate_cell
from studies.simulated import families
from studies.simulated.families import Family, claims


@pytest.mark.parametrize(
    "family",
    [
        Family(24, 3, (250,) * 4, "0.4", 1.0, 0.5),
        Family(6, 2, (50,) * 4, "0.1", 0.5, 0.1),
        Family(6, 3, (250,) * 4, "bimodal", 1.0, 0.5),
        Family(2, 3, (1319,), "two halves", 0.0, 0.95),
    ],
    ids=str,
)
def test_nothing_false_is_claimed_of_families(family: Family) -> None:
    found = claims(family, 150, np.random.default_rng(1))
    assert found.false <= 0.1  # 5 %, and three standard errors
    assert found.missed <= 0.13


def test_a_better_variant_is_found_where_seeds_are_alike_and_many() -> None:
    found = claims(Family(6, 5, (250,) * 4, "0.1", 0.5, 0.5), 40, np.random.default_rng(2), shifted=True)
    assert found.found > 0.3
    assert claims(Family(2, 2, (50,) * 4, "0", 0.0, 0.5), 10, np.random.default_rng(2)).silent == 1


def test_the_sums_of_pairs_are_those_of_their_differences() -> None:
    family, rng = Family(2, 3, (40, 30), "0.4", 1.0, 0.5), np.random.default_rng(3)
    answers = families._answers(family, np.full(3, 0.5), rng)
    pairs = [(0, 1), (0, 2), (1, 2)]
    variants, differences = families._sums(answers, pairs)
    spread = families._spread(variants)
    rows = [components([sums_of(right[row].astype(float)) for right in answers]) for row in range(3)]
    assert spread == pytest.approx(seed_spread(rows), rel=1e-5)
    quick = paired_t(differences, spread)
    for at, (a, b) in enumerate(pairs):
        slow = paired_difference([(right[a] - right[b]).astype(float) for right in answers], spread)
        assert (quick.p[at], quick.error[at]) == pytest.approx((slow.p, slow.se), rel=1e-4)


def test_the_document_names_what_is_above_the_limit() -> None:
    half = chosen(0.5, 1)
    assert len(half) == len(set(half)) == 1296
    assert half == chosen(0.5, 1)
    cells = [simulate_cell(family, 10, 1) for family in half[:3]]
    bad = cells[0]._replace(null=cells[0].null._replace(false=0.2))
    text = document([bad, *cells[1:]], 10, 1, 2.0)
    assert "**1 cells are above 5.5 %**" in text
    assert "- 20.0 %: " in text
