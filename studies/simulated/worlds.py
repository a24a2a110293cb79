"""Right and wrong answers of models whose true accuracy is known: logits with question and seed effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.stats.mean_squares import Sums

ONE_MODE = ((0.0, 0.0, 1.0),)
_CHUNK = 400_000
"""Questions simulated at once, over replications."""

Answers = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """One variant: logit P(right) = level + question effect + seed effect, both normal.

    Attributes:
        num_questions: Q of one benchmark.
        num_seeds: S.
        accuracy: The truth: P(right) for a new question and a new seed.
        seed_sd: Standard deviation of the seed effect, in logits.
        question_sd: Of the question effect.
    """

    num_questions: int
    num_seeds: int
    accuracy: float
    seed_sd: float
    question_sd: float = 2.0


@dataclass(frozen=True)
class PairWorld:
    """A reference with `world`'s accuracy and a variant that is `gap` better, on the same questions.

    Both have seed effects of their own. The question effect's variance is shared but for `own_sd`², the part
    that each has to itself.
    """

    world: World
    gap: float
    own_sd: float = 1.0


@cache
def level_of(accuracy: float, sd: float, modes: Sequence[tuple[float, float, float]] = ONE_MODE) -> float:
    """The level at which P(right) is `accuracy` when effects of this standard deviation are averaged out.

    `modes` are those of a further effect: mean, standard deviation and share of each.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    weights = weights / weights.sum()
    low, high = -40.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        reached = sum(
            share * float(weights @ (1 / (1 + np.exp(-(middle + mean + np.hypot(sd, own) * nodes)))))
            for mean, own, share in modes
        )
        low, high = (middle, high) if reached < accuracy else (low, middle)
    return (low + high) / 2


def seed_effects(world: World, replications: int, rng: np.random.Generator) -> Floats:
    """(R, S) effects in logits."""
    return world.seed_sd * _normal(rng, replications, world.num_seeds)


def answers(world: World, effects_RS: Floats, rng: np.random.Generator) -> Iterator[list[Answers]]:
    """Chunks of replications of a variant with these seed effects; each is a list of S arrays (r, Q)."""
    level = level_of(world.accuracy, float(np.hypot(world.question_sd, world.seed_sd)))
    for rows in _rows(len(effects_RS), world.num_questions):
        odds_RQ = np.exp(
            level + world.question_sd * _normal(rng, rows.stop - rows.start, world.num_questions)
        )
        yield _seeds_of(odds_RQ, effects_RS[rows], rng)


def differences(
    pair: PairWorld, effects: tuple[Floats, Floats], rng: np.random.Generator
) -> Iterator[list[NDArray[np.int8]]]:
    """Chunks of replications of variant minus reference; each is a list of S arrays (r, Q).

    Args:
        pair: The two.
        effects: (R, S) seed effects of reference and variant.
        rng: Of all other effects, and of the answers.
    """
    world = pair.world
    num_questions = world.num_questions
    shared_sd = (world.question_sd**2 - pair.own_sd**2) ** 0.5
    sd = float(np.hypot(world.question_sd, world.seed_sd))
    levels = [level_of(accuracy, sd) for accuracy in (world.accuracy, world.accuracy + pair.gap)]
    for rows in _rows(len(effects[0]), num_questions):
        size = rows.stop - rows.start
        shared_RQ = shared_sd * _normal(rng, size, num_questions)
        reference, variant = (
            _seeds_of(
                np.exp(level + shared_RQ + pair.own_sd * _normal(rng, size, num_questions)),
                effects_RS[rows],
                rng,
            )
            for level, effects_RS in zip(levels, effects, strict=True)
        )
        yield [
            mine.view(np.int8) - theirs.view(np.int8) for mine, theirs in zip(variant, reference, strict=True)
        ]


def sums_of_chunks(chunks: Iterator[list[Any]]) -> Sums:
    """The sums of all replications, as `leaderboards.stats.intervals.sums_of` has them of one."""
    parts = [_sums(seeds) for seeds in chunks]
    return Sums(
        means_S=np.concatenate([part.means_S for part in parts]),
        questions=np.concatenate([part.questions for part in parts]),
        cells=np.concatenate([part.cells for part in parts]),
        num_questions=parts[0].num_questions,
    )


def _seeds_of(odds_RQ: Floats, effects_RS: Floats, rng: np.random.Generator) -> list[Answers]:
    """S arrays of answers, given the odds without a seed effect."""
    found = []
    for effect_R in effects_RS.T:
        odds = odds_RQ * np.exp(effect_R)[:, None]
        found.append(rng.random(odds.shape, dtype=np.float32) * (1 + odds) < odds)
    return found


def _sums(seeds: list[Any]) -> Sums:
    counts_RQ = np.zeros(seeds[0].shape, dtype=np.int8)
    for values in seeds:
        counts_RQ += values
    counts = counts_RQ.astype(np.float32)
    squares = np.einsum("rq,rq->r", counts, counts).astype(np.float64)
    return Sums(
        means_S=np.stack([values.sum(axis=1) for values in seeds], axis=-1) / counts.shape[1],
        questions=squares / len(seeds) ** 2,
        cells=sum(np.count_nonzero(values, axis=1) for values in seeds).astype(np.float64),
        num_questions=counts.shape[1],
    )


def _rows(replications: int, num_questions: int) -> Iterator[slice]:
    most = max(_CHUNK // num_questions, 1)
    yield from (slice(first, min(first + most, replications)) for first in range(0, replications, most))


def _normal(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    return rng.standard_normal((rows, columns), dtype=np.float32)
