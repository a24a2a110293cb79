"""Where the truth is known, intervals hold it about as often as they say; a short run of the simulation."""

import numpy as np
import pytest

from leaderboards.stats import mean_interval, paired_difference
from leaderboards.stats.mean_squares import sums_of
from studies.simulated.measures import (
    bootstrap_coverage,
    difference_coverage,
    mean_coverage,
    sizes,
    welch_coverage,
)
from studies.simulated.page import inserted
from studies.simulated.worlds import (
    PairWorld,
    World,
    answers,
    differences,
    level_of,
    seed_effects,
    sums_of_chunks,
)

REPLICATIONS = 1000  # a standard error of 0.7 points


def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.mark.parametrize("num_questions", [50, 500])
@pytest.mark.parametrize("accuracy", [0.02, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("seed_sd", [0.0, 0.4])
@pytest.mark.parametrize("num_seeds", [3, 5])
def test_means_are_covered(num_questions: int, accuracy: float, seed_sd: float, num_seeds: int) -> None:
    found = mean_coverage([World(num_questions, num_seeds, accuracy, seed_sd)], REPLICATIONS, rng())
    # An entry alone on its board: little is known of its seeds, and intervals are rather long than short.
    assert found.share >= 0.92


@pytest.mark.parametrize("num_questions", [200, 1319])
@pytest.mark.parametrize("gap", [0.0, 0.05])
@pytest.mark.parametrize("seed_sd", [0.0, 0.1, 0.4])
def test_differences_are_covered(num_questions: int, gap: float, seed_sd: float) -> None:
    pair = PairWorld(World(num_questions, 3, 0.5, seed_sd), gap)
    assert difference_coverage([pair], REPLICATIONS, rng()).share >= 0.92


def test_macro_means_are_covered() -> None:
    board = [World(500, 3, 0.6, 0.4), World(100, 3, 0.1, 0.4)]
    assert 0.92 <= mean_coverage(board, REPLICATIONS, rng()).share <= 0.97


def test_tests_that_know_seeds_hold_their_size_and_those_that_do_not_do_not() -> None:
    found = sizes(PairWorld(World(200, 3, 0.5, 0.4), 0.0), 400, rng(), num_flips=300)
    assert found.clustered_t < 0.07
    assert min(found.plain_flips, found.mcnemar) > 0.2


def test_the_bootstrap_of_one_seed_covers() -> None:
    found = bootstrap_coverage(World(200, 1, 0.5, 0.0), 600, rng(), num_resamples=400)
    assert 0.92 <= found.share <= 0.975


@pytest.mark.parametrize("num_seeds", [3, 4, 5])
def test_the_degrees_of_freedom_cover_with_normal_seeds(num_seeds: int) -> None:
    ours = [welch_coverage(ratio, num_seeds, num_seeds / 10) for ratio in np.geomspace(0.03, 300, 20)]
    assert 0.944 < min(ours) <= max(ours) < 0.958
    assert min(welch_coverage(ratio, num_seeds, 1.0) for ratio in (3, 10)) < 0.943


def test_the_truth_is_what_the_world_tends_to() -> None:
    world = World(400, 4, 0.05, 0.4, 3.0)
    sums = sums_of_chunks(answers(world, seed_effects(world, 4000, rng()), rng()))
    assert sums.means_S.mean() == pytest.approx(0.05, abs=0.001)
    assert level_of(0.5, 2.0) == pytest.approx(0.0, abs=1e-9)


def test_quick_sums_are_those_of_the_matrices() -> None:
    world = World(30, 3, 0.3, 0.4)
    seeds = next(answers(world, seed_effects(world, 5, rng()), rng()))
    quick, slow = sums_of_chunks(iter([seeds])), sums_of(np.stack(seeds, axis=1).astype(float))
    for name in ("means_S", "questions", "cells"):
        assert getattr(quick, name) == pytest.approx(getattr(slow, name), rel=1e-5)


def test_what_is_simulated_is_what_is_shown() -> None:
    board = [World(60, 3, 0.3, 0.4), World(30, 3, 0.8, 0.4)]
    stream = rng()
    effects = seed_effects(board[0], 50, stream)
    benchmarks = [np.stack(next(answers(world, effects, stream)), axis=1).astype(float) for world in board]
    found = [mean_interval(matrices) for matrices in zip(*benchmarks, strict=True)]
    simulated = mean_coverage(board, 50, rng())
    assert simulated.share == pytest.approx(np.mean([each.low <= 0.55 <= each.high for each in found]))
    assert simulated.width == pytest.approx(np.mean([each.high - each.low for each in found]), rel=1e-5)


def test_simulated_differences_are_those_shown() -> None:
    pair, stream = PairWorld(World(60, 3, 0.3, 0.4), 0.05), rng()
    effects = seed_effects(pair.world, 50, stream), seed_effects(pair.world, 50, stream)
    matrices = np.stack(next(differences(pair, effects, stream)), axis=1).astype(float)
    width = np.mean([found.high - found.low for found in (paired_difference([m]) for m in matrices)])
    assert difference_coverage([pair], 50, rng()).width == pytest.approx(width, rel=1e-5)


def test_tables_go_between_the_marks() -> None:
    page = "a\n<!-- coverage: begin -->\nold\n<!-- coverage: end -->\nb\n"
    assert (
        inserted(page, "new", "coverage") == "a\n<!-- coverage: begin -->\n\nnew\n<!-- coverage: end -->\nb\n"
    )
    with pytest.raises(ValueError, match="marks"):
        inserted("no marks", "new", "coverage")
