"""Two variants whose seeds are added one by one, and the rules that say when to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.config import FIRST_LOOK as FIRST
from leaderboards.stats import CONFIDENCE
from leaderboards.stats.paired import paired_t
from leaderboards.stats.sequential import levels, nominal_level
from studies.simulated import families
from studies.simulated.families import SHIFT, Family

_ALPHA = 1 - CONFIDENCE


class Paths(NamedTuple):
    """What each look of each replication finds; arrays of shape (replications, looks).

    `p` is of the difference, 1 where nothing is known of other seeds; `equivalent` that of equivalence within
    `SHIFT`; `z` and `error` the difference in normal standard errors, and one of them.
    """

    p: NDArray[np.float64]
    equivalent: NDArray[np.float64]
    z: NDArray[np.float64]
    error: NDArray[np.float64]


def paths(family: Family, replications: int, rng: np.random.Generator, shift: float) -> Paths:
    """Simulates two variants, the second better by the shift, with looks from `FIRST` seeds to all."""
    from scipy.special import ndtri, stdtr

    truth, pairs = np.asarray([family.accuracy, family.accuracy + shift]), [(1, 0)]
    found = []
    for _ in range(replications):
        answers = families._answers(family, truth, rng)
        for seeds in range(FIRST, family.seeds + 1):
            variants, differences = families._sums([right[:, :seeds] for right in answers], pairs)
            spread = families._spread(variants)
            t = paired_t(differences, spread)
            centre, error, df, p = (float(each[0]) for each in t)
            alike = float(stdtr(df, (abs(centre) - SHIFT) / error))
            z = -float(ndtri(max(p, 1e-300) / 2)) * np.sign(centre)
            found.append((p, alike, z, error) if spread.known else (1.0, 1.0, 0.0, 1.0))
    table = np.asarray(found).reshape(replications, -1, 4)
    return Paths(*np.moveaxis(table, -1, 0))


Rule = Callable[[Paths, int], NDArray[np.bool_]]
"""Says at which looks of paths, the last at so many seeds, a difference would be claimed."""


def _spending(spent: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Rule:
    def rule(found: Paths, most: int) -> NDArray[np.bool_]:
        seeds = np.arange(FIRST, most + 1)
        level = levels(tuple(spent(seeds / most).tolist()), tuple(seeds.tolist()))
        return found.p[:, : len(seeds)] < level

    return rule


def _ours(found: Paths, most: int) -> NDArray[np.bool_]:
    level = [nominal_level(seeds, FIRST, most) for seeds in range(FIRST, most + 1)]
    return found.p[:, : len(level)] < level


def _mixture(found: Paths, most: int) -> NDArray[np.bool_]:
    """The mixture sequential probability ratio test, with the width that the true difference has."""
    z, variance = found.z[:, : most - FIRST + 1], found.error[:, : most - FIRST + 1] ** 2
    total = variance + SHIFT**2
    return np.log(variance / total) / 2 + z**2 * SHIFT**2 / (2 * total) > -np.log(_ALPHA)


def _brien(t: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtr, ndtri

    return 4 * ndtr(ndtri(_ALPHA / 4) / np.sqrt(t))


RULES: dict[str, Rule] = {
    "5 % at each look": lambda found, most: found.p[:, : most - FIRST + 1] < _ALPHA,
    "Pocock": _spending(lambda t: _ALPHA * np.log(1 + (np.e - 1) * t)),
    "α t": _spending(lambda t: _ALPHA * t),
    "**0.75 α t²**": _ours,
    "O'Brien-Fleming": _spending(_brien),
    "mixture SPRT": _mixture,
}
"""Spending functions of t = seeds / most (Lan & DeMets 1983); the last is valid at any time (Robbins)."""


class Stopped(NamedTuple):
    """How paths end under a rule: the share that claims a difference, and the mean number of seeds."""

    claimed: float
    seeds: float


def stopped(found: Paths, rule: Rule, most: int) -> Stopped:
    """With at most so many seeds."""
    crossed = rule(found, most)
    ever = crossed.any(axis=1)
    return Stopped(float(ever.mean()), float(np.where(ever, FIRST + crossed.argmax(axis=1), most).mean()))


def called_alike(found: Paths, most: int) -> float:
    """Share of the paths in which the rule of the harness ever calls the two equivalent within `SHIFT`."""
    return float(_ours(Paths(2 * found.equivalent, *found[1:]), most).any(axis=1).mean())
