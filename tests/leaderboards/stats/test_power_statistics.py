"""What more seeds or questions would find, as a pilot or assumptions say it, against what they do find."""

import numpy as np
import pytest

from leaderboards.stats import paired_difference, seed_spread
from leaderboards.stats.mean_squares import components, sums_of
from leaderboards.stats.power import Design
from studies.simulated import families
from studies.simulated.families import Family


def found_with(answers: list[np.ndarray], seeds: int) -> tuple[list[np.ndarray], object]:
    own = [each[:, :seeds] for each in answers]
    spread = seed_spread([components([sums_of(each[row]) for each in own]) for row in (0, 1)])
    return [each[1] - each[0] for each in own], spread


@pytest.mark.parametrize(("effect", "pilot"), [("0", 3), ("0.1", 3), ("0.1", 5)])
def test_a_pilot_foretells_what_more_seeds_find(effect: str, pilot: int) -> None:
    foretold, found = [], []
    for number in range(12):
        rng = np.random.default_rng([number, pilot])
        family = Family(1, 10, (250,) * 2, effect, 1.0, 0.5)
        answers = [each.astype(float) for each in families._answers(family, np.asarray([0.5, 0.5]), rng)]
        foretold.append(Design.of(*found_with(answers, pilot), 2).detectable(10))
        found.append(paired_difference(*found_with(answers, 10)).detectable())
    assert np.mean(foretold) == pytest.approx(np.mean(found), rel=0.12)


def test_of_the_pilot_itself_it_says_what_the_test_says() -> None:
    rng = np.random.default_rng(1)
    answers = [(rng.random((2, 4, 200)) < 0.6).astype(float) for _ in range(3)]
    differences, spread = found_with(answers, 4)
    said = Design.of(differences, spread, 2).detectable(4)
    assert said == pytest.approx(paired_difference(differences, spread).detectable(), rel=0.1)


def test_more_of_anything_finds_no_less() -> None:
    design = Design.assumed([200, 400], differ=0.3, lasting=0.4, seeds_sd=0.02)
    by_seeds = [design.detectable(seeds) for seeds in (3, 5, 10, 40)]
    assert by_seeds == sorted(by_seeds, reverse=True)
    assert design.detectable(5, times=4) < design.detectable(5) < design.detectable(5, alpha=0.01)
    assert design.detectable(2) is None
    seeds = design.seeds_for(0.05)
    assert seeds is not None
    assert design.detectable(seeds) <= 0.05 < design.detectable(seeds - 1)
    assert design.seeds_for(0.001) is None


def test_a_difference_that_is_called_detectable_is_found_four_times_in_five() -> None:
    """As assumed: questions, checkpoints and seeds vary normally; the test is that of the board."""
    design = Design.assumed([300], differ=0.3, lasting=0.4, seeds_sd=0.02)
    least, rng, found = design.detectable(6), np.random.default_rng(7), []
    for _ in range(400):
        sides = rng.normal(0, 0.02, (2, 6, 1)) + rng.normal(0, (0.3 * 0.6 / 2) ** 0.5, (2, 6, 300))
        difference = sides[1] - sides[0] + rng.normal(least, (0.3 * 0.4) ** 0.5, 300)
        spread = seed_spread([components([sums_of(side)]) for side in sides])
        found.append(paired_difference([difference], spread).p < 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.09)
