"""How often intervals hold the truth and tests find what is not there, in one simulated world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from leaderboards.stats import CONFIDENCE, Matrix, bootstrap_intervals, mcnemar_p
from leaderboards.stats.intervals import interval_of
from leaderboards.stats.mean_squares import components, sums_of
from leaderboards.stats.paired import paired_t
from studies.simulated.worlds import (
    Floats,
    PairWorld,
    World,
    answers,
    differences,
    seed_effects,
    sums_of_chunks,
)

_BATCH = 100
"""Replications that share the draws of one bootstrap."""

_ROUNDING = 1e-9


class Coverage(NamedTuple):
    """Share of intervals that hold the truth, and their mean width."""

    share: float
    width: float


class Sizes(NamedTuple):
    """Share of p-values below 0.05 where there is no difference, by test."""

    clustered_t: float
    mcnemar: float
    plain_flips: float


def mean_coverage(board: Sequence[World], replications: int, rng: np.random.Generator) -> Coverage:
    """Coverage of `mean_interval`, for the macro mean over benchmarks that share seeds and their effects."""
    effects_RS = seed_effects(board[0], replications, rng)
    sums = [sums_of_chunks(answers(world, effects_RS, rng)) for world in board]
    mean = np.mean([benchmark.means_S.mean(axis=-1) for benchmark in sums], axis=0)
    low, high, _ = interval_of(mean, components(sums))
    return _coverage(low, high, float(np.mean([world.accuracy for world in board])))


def difference_coverage(board: Sequence[PairWorld], replications: int, rng: np.random.Generator) -> Coverage:
    """Coverage of `paired_difference`; for a gap of 0 what is missing to 1 is the size of its test."""
    from scipy.special import stdtrit

    effects = _two_effects(board[0], replications, rng)
    found = paired_t([sums_of_chunks(differences(pair, effects, rng)) for pair in board])
    margin = stdtrit(found.df, (1 + CONFIDENCE) / 2) * found.error
    low, high = np.maximum(found.centre - margin, -1), np.minimum(found.centre + margin, 1)
    return _coverage(low, high, float(np.mean([pair.gap for pair in board])))


def bootstrap_coverage(
    world: World, replications: int, rng: np.random.Generator, num_resamples: int = 1000
) -> Coverage:
    """Coverage of `bootstrap_intervals`."""
    ends: list[tuple[float, float]] = []
    chunks = answers(world, seed_effects(world, replications, rng), rng)
    for batch, matrices in enumerate(_batches(_matrices(chunks))):
        found = bootstrap_intervals([{"b": matrix} for matrix in matrices], num_resamples, batch)
        ends.extend(intervals["b"] for intervals in found)
    low, high = np.asarray(ends).T
    return _coverage(low, high, world.accuracy)


def sizes(pair: PairWorld, replications: int, rng: np.random.Generator, num_flips: int = 500) -> Sizes:
    """Sizes of the tests at 0.05: clustered t, McNemar of the first seed pair, bare sign flips.

    Bare flips are those of the plain mean question by question, seeds together: what a test would do that
    knows nothing of seeds.
    """
    found = []
    chunks = differences(pair, _two_effects(pair, replications, rng), rng)
    for matrices in _batches(_matrices(chunks)):
        flips = rng.choice([-1.0, 1.0], size=(num_flips, matrices[0].shape[1]))
        for matrix in matrices:
            clustered = float(paired_t([sums_of(matrix)]).p)
            found.append((clustered, mcnemar_p(matrix[0]), _plain_p(matrix.mean(axis=0), flips)))
    return Sizes(*(float(share) for share in (np.asarray(found) < 1 - CONFIDENCE).mean(axis=0)))


def welch_coverage(ratio: float, num_seeds: int, towards: float, nodes: int = 4000) -> float:
    """Coverage of the 95 % t interval for V = W + A, W known, A estimated from S normal seeds.

    Args:
        ratio: The expectation of A over W.
        num_seeds: S.
        towards: c of `components.variance`; 1 is plain Welch.
        nodes: Of the quadrature over A, at equal steps of its probability.
    """
    from scipy.special import chdtr, chdtri, stdtrit

    freedom = num_seeds - 1
    found = ratio * chdtri(freedom, (np.arange(nodes) + 0.5) / nodes) / freedom
    share = (found / (1 + found)) ** 2
    df = freedom * (towards + (1 - towards) * share) / share
    half = stdtrit(df, (1 + CONFIDENCE) / 2) ** 2 * (1 + found)
    return float(chdtr(1, half / (1 + ratio)).mean())


def _two_effects(pair: PairWorld, replications: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    return seed_effects(pair.world, replications, rng), seed_effects(pair.world, replications, rng)


def _coverage(low: Matrix, high: Matrix, truth: float) -> Coverage:
    held = (low <= truth + _ROUNDING) & (truth - _ROUNDING <= high)
    return Coverage(float(held.mean()), float((high - low).mean()))


def _matrices(chunks: Iterator[list[np.ndarray]]) -> Iterator[Matrix]:
    for seeds in chunks:
        yield from np.stack(seeds, axis=1).astype(np.float64)


def _batches(matrices: Iterator[Matrix]) -> Iterator[list[Matrix]]:
    batch: list[Matrix] = []
    for matrix in matrices:
        batch.append(matrix)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain_p(mean_Q: Matrix, flips_FQ: Matrix) -> float:
    extreme = np.abs(flips_FQ @ mean_Q) >= abs(mean_Q.sum()) - _ROUNDING
    return float((1 + extreme.sum()) / (1 + len(flips_FQ)))
