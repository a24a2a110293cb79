"""Simulated coverage of the intervals and size of the tests, written into `docs/statistics.md`.

    python -m studies coverage [--replications 5000] [--seed 2026] [--out docs/statistics.md]

The worlds are those of `simulated/worlds.py`: normal question and seed effects on the logit, with the truth
by quadrature. About five minutes on one core by default.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence

import numpy as np

from studies.simulated.measures import (
    Coverage,
    Sizes,
    bootstrap_coverage,
    difference_coverage,
    mean_coverage,
    sizes,
)
from studies.simulated.page import parser_of, write_between
from studies.simulated.report import Found, document
from studies.simulated.worlds import PairWorld, World

QUESTIONS = (50, 100, 200, 500, 1319)
ACCURACIES = (0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98)
HALF = ACCURACIES[:5]
"""Right and wrong changing places, an accuracy p is the same world as 1 - p."""
SEEDS = (3, 4, 5)
SEED_SDS = (0.0, 0.1, 0.4)
"""Seed effects in logits: none, realistic and large."""
QUESTION_SDS = (1.0, 3.0)
"""Other spreads of question difficulty than the tables' 2."""
GAPS = (0.0, 0.05)
BOARD = ((1319, 0.6, 0.05), (500, 0.3, 0.0), (200, 0.8, 0.03), (100, 0.1, 0.0))
"""Questions, accuracy and true Δ of the benchmarks of a macro mean."""


def main(argv: Sequence[str]) -> None:
    """Simulates and writes the tables between the two marks of the document."""
    options = parser_of("coverage", __doc__, 5000, "of each cell of the main tables").parse_args(argv)
    started = time.monotonic()
    found = simulate(options.replications, options.seed)
    text = document(found, time.monotonic() - started, time.process_time())
    write_between(options.out, text, "coverage")
    print(f"{options.out}: {time.monotonic() - started:.0f} s, {os.cpu_count()} cores seen, one used")


def simulate(replications: int, seed: int) -> Found:
    """All tables; every cell has random numbers of its own, so a cell does not depend on which others run."""
    few = max(replications // 10, 1)
    means = {
        world: mean_coverage([world], replications, _rng(seed, 0, world)) for world in _worlds(ACCURACIES)
    }
    others = {
        world: mean_coverage([world], max(replications // 2, 1), _rng(seed, 1, world))
        for question_sd in QUESTION_SDS
        for world in _worlds(HALF, question_sd=question_sd)
    }
    pairs = {
        pair: difference_coverage([pair], replications, _rng(seed, 2, pair.world, pair.gap))
        for pair in _pairs(_worlds(HALF), GAPS)
    }
    boards = {
        kind: (
            mean_coverage([pair.world for pair in board], replications, _rng(seed, 5, board[0].world)),
            difference_coverage(board, replications, _rng(seed, 6, board[0].world)),
        )
        for kind, board in _boards()
    }
    some = [
        world
        for world in _worlds((0.02, 0.1, 0.5))
        if world.num_questions in (50, 200, 1319) and world.num_seeds in (3, 5)
    ]
    boot: dict[World, Coverage] = {
        world: bootstrap_coverage(world, few, _rng(seed, 3, world)) for world in some
    }
    tests: dict[PairWorld, Sizes] = {
        pair: sizes(pair, 2 * few, _rng(seed, 4, pair.world))
        for pair in _pairs([world for world in some if world.accuracy > 0.02], (0.0,))
    }
    return Found(means, others, pairs, boards, boot, tests, replications, seed)


def _worlds(accuracies: Sequence[float], question_sd: float = 2.0) -> Iterator[World]:
    for seed_sd, seeds, questions, accuracy in itertools.product(SEED_SDS, SEEDS, QUESTIONS, accuracies):
        yield World(questions, seeds, accuracy, seed_sd, question_sd)


def _boards() -> Iterator[tuple[tuple[float, int], list[PairWorld]]]:
    """(seed effect, seeds) and the four benchmarks of a macro mean."""
    for seed_sd, seeds in itertools.product(SEED_SDS, SEEDS):
        yield (
            (seed_sd, seeds),
            [PairWorld(World(size, seeds, accuracy, seed_sd), gap) for size, accuracy, gap in BOARD],
        )


def _pairs(worlds: Iterator[World] | Sequence[World], gaps: Sequence[float]) -> Iterator[PairWorld]:
    for world, gap in itertools.product(worlds, gaps):
        yield PairWorld(world, gap)


def _rng(seed: int, table: int, world: World, gap: float = 0.0) -> np.random.Generator:
    figures = (world.accuracy, world.seed_sd, world.question_sd, gap)
    return np.random.default_rng(
        [seed, table, world.num_questions, world.num_seeds, *(round(1000 * figure) for figure in figures)]
    )
