"""Seeds added until something is shown: a few looks whose truth is known; a short run."""

import numpy as np
import pytest

from leaderboards.stats import paired_difference, seed_spread
from leaderboards.stats.mean_squares import components, sums_of
from studies.sequential import document, simulate_cell
from studies.simulated import families
from studies.simulated.families import SHIFT, Family
from studies.simulated.looks import FIRST, RULES, paths, stopped

OURS = "**0.75 α t²**"


def test_looks_at_5_percent_claim_too_much_and_spending_does_not() -> None:
    found = paths(Family(1, 14, (50,) * 4, "0.4", 1.0, 0.5), 150, np.random.default_rng(1), 0.0)
    assert stopped(found, RULES["5 % at each look"], 14).claimed > 0.09
    assert stopped(found, RULES[OURS], 14).claimed <= 0.1  # 5 %, and three standard errors


def test_a_difference_ends_the_looks_early() -> None:
    found = paths(Family(1, 10, (250,) * 4, "0.1", 0.5, 0.5), 30, np.random.default_rng(2), SHIFT)
    ended = stopped(found, RULES[OURS], 10)
    assert ended.claimed > 0.8
    assert FIRST <= ended.seeds < 8


def test_the_first_look_is_that_of_a_board_with_so_many_seeds() -> None:
    family = Family(1, FIRST, (60, 40), "0.4", 1.0, 0.6)
    found = paths(family, 1, np.random.default_rng(4), SHIFT)
    answers = families._answers(family, np.asarray([0.6, 0.6 + SHIFT]), np.random.default_rng(4))
    matrices = [right.astype(float) for right in answers]
    spread = seed_spread([components([sums_of(each[row]) for each in matrices]) for row in (0, 1)])
    difference = paired_difference([each[1] - each[0] for each in matrices], spread)
    assert found.p[0, 0] == pytest.approx(difference.p, rel=1e-4)
    assert found.equivalent[0, 0] == pytest.approx(difference.equivalence_p(SHIFT), rel=1e-4)


def test_the_document_has_a_line_for_each_rule() -> None:
    text = document([simulate_cell(Family(1, 23, (20,), "0", 0.0, 0.5), 3, 1)], 3, 1, 2.0)
    assert all(f"| {name} |" in text for name in RULES)
    assert "in at most" in text
