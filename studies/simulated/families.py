"""Whole families of variants whose truth is known: how often a board says something false of any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.stats import CONFIDENCE, SeedSpread, seed_spread, shaffer
from leaderboards.stats.intervals import interval_of
from leaderboards.stats.mean_squares import Components, Sums, components
from leaderboards.stats.paired import paired_t
from studies.simulated.worlds import level_of

QUESTION_SD = 1.5
SHIFT = 0.05
"""By how much the one variant is better that power is measured with."""
EFFECTS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "0": ((0.0, 0.0, 1.0),),
    "0.1": ((0.0, 0.1, 1.0),),
    "0.4": ((0.0, 0.4, 1.0),),
    "1.0": ((0.0, 1.0, 1.0),),
    "bimodal": ((0.0, 0.0, 2 / 3), (4.0, 0.0, 1 / 3)),
    "two halves": ((0.0, 0.0, 1 / 2), (4.0, 0.0, 1 / 2)),
}
"""Effects of a seed in logits, as (mean, standard deviation, share) of each mode: normal ones, and bimodal
ones with modes four logits apart, such as 35 and 97 %."""
UNLIKE, WILD_SD = "0.1", 1.0
"""Effect of the seeds of all variants but one, which is so much wilder, in families of unlike variants."""


@dataclass(frozen=True)
class Family:
    """Variants of equal true accuracy beside a reference, on the same questions, each with seeds of its own.

    Attributes:
        variants: how many there are beside the reference.
        seeds: S of each.
        questions: Q of each benchmark.
        effect: of a seed, a key of `EFFECTS`.
        interaction: standard deviation of what a question has for one variant alone, in logits.
        accuracy: of all, over new questions and seeds.
        unlike: whether the last variant's seeds have normal effects of standard deviation `WILD_SD` instead.
    """

    variants: int
    seeds: int
    questions: tuple[int, ...]
    effect: str
    interaction: float
    accuracy: float
    unlike: bool = False


class Claims(NamedTuple):
    """What is said of families, as shares.

    `false`: of those in which anything is said that is not so; `found`: of those in which the better variant
    is told from the reference; `silent`: of those whose seeds' spread is not known; `missed`: of the
    intervals of the means that are given and do not hold the truth.
    """

    false: float
    found: float
    silent: float
    missed: float


def claims(family: Family, replications: int, rng: np.random.Generator, shifted: bool = False) -> Claims:
    """Simulates families; with `shifted` the last variant is better than the others by `SHIFT`."""
    truth = np.full(family.variants + 1, family.accuracy)
    truth[-1] += SHIFT * shifted
    pairs = list(combinations(range(len(truth)), 2))
    alike = np.asarray([truth[a] == truth[b] for a, b in pairs])
    target = pairs.index((0, len(truth) - 1))
    false = found = silent = missed = 0
    for _ in range(replications):
        variants, differences = _sums(_answers(family, truth, rng), pairs)
        spread = _spread(variants)
        silent += not spread.known
        mean = np.mean([one.means_S.mean(axis=-1) for one in variants], axis=0)
        if spread.known:
            low, high, _ = interval_of(mean, components(variants), None, spread)
            missed += int(((truth < low) | (high < truth)).sum())
            adjusted = np.asarray(shaffer(paired_t(differences, spread).p.tolist(), len(truth)))
            told = adjusted < 1 - CONFIDENCE
            false += bool((told & alike).any())
            found += bool(told[target])
    return Claims(*(count / replications for count in (false, found, silent, missed / len(truth))))


def _answers(
    family: Family, truth: NDArray[np.float64], rng: np.random.Generator
) -> list[NDArray[np.float32]]:
    """Right answers of each benchmark, (variants + 1, S, Q)."""
    modes_of = [EFFECTS[family.effect]] * len(truth)
    if family.unlike:
        modes_of[-1] = ((0.0, WILD_SD, 1.0),)
    effects = np.stack([_effects(modes, family.seeds, rng) for modes in modes_of])[:, :, None]
    sd = float(np.hypot(QUESTION_SD, family.interaction))
    levels = [level_of(accuracy, sd, modes) for accuracy, modes in zip(truth.tolist(), modes_of, strict=True)]
    level = np.asarray(levels, dtype=np.float32)[:, None]
    found = []
    for num_questions in family.questions:
        shared = QUESTION_SD * rng.standard_normal(num_questions, dtype=np.float32)
        own = family.interaction * rng.standard_normal((len(truth), num_questions), dtype=np.float32)
        odds = np.exp(level + shared + own)[:, None, :] * np.exp(effects)
        found.append((rng.random(odds.shape, dtype=np.float32) * (1 + odds) < odds).astype(np.float32))
    return found


def _effects(
    modes: Sequence[tuple[float, float, float]], seeds: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    means, sds, shares = np.asarray(modes).T
    mode = rng.choice(len(modes), size=seeds, p=shares)
    return (means[mode] + sds[mode] * rng.standard_normal(seeds)).astype(np.float32)


def _sums(answers: list[NDArray[np.float32]], pairs: list[tuple[int, int]]) -> tuple[list[Sums], list[Sums]]:
    """The sums of the variants, and those of the differences of pairs, which are never made themselves.

    Of (x - y)² the sums are those of x² and y² less twice that of xy.
    """
    first, second = np.asarray(pairs).T
    variants, differences = [], []
    for right in answers:
        means_S, by_question = right.mean(axis=2, dtype=np.float64), right.mean(axis=1)
        products = by_question @ by_question.T
        cells = np.einsum("ksq,lsq->kl", right, right, optimize=True)
        num_questions = right.shape[2]
        variants.append(Sums(means_S, _diagonal(products), _diagonal(cells), num_questions))
        squares, crossed = (
            _diagonal(table)[first] + _diagonal(table)[second] - 2 * table[first, second]
            for table in (products, cells)
        )
        differences.append(Sums(means_S[first] - means_S[second], squares, crossed, num_questions))
    return variants, differences


def _diagonal(table: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.diag(table).astype(np.float64)


def _spread(variants: list[Sums]) -> SeedSpread:
    found = components(variants)
    return seed_spread([_one(found, row) for row in range(len(found.seeds))])


def _one(parts: Components, row: int) -> Components:
    return replace(
        parts, questions_B=parts.questions_B[row], cells_B=parts.cells_B[row], seeds=parts.seeds[row]
    )
