"""The level of each test where seeds are added until something is shown, so that all together err in 5 %."""

from functools import cache

import numpy as np

from leaderboards.stats.figures import CONFIDENCE, Matrix

EXPONENT, SHARE = 2.0, 0.75
"""Of the spending function, and of α that it spends in all: where seeds matter, p-values of four or five of
them are a little too small, as simulated."""
_POINTS = 401


def nominal_level(seeds: int, first: int, most: int, alpha: float = 1 - CONFIDENCE) -> float:
    """The two-sided level of the look at so many seeds, with a look at every number from the first on.

    By the looks up to t = seeds / most the share 0.75 t² of α is spent (Lan & DeMets 1983,
    doi:10.1093/biomet/70.3.659; the power family of Kim & DeMets 1987, doi:10.1093/biomet/74.1.149):
    early looks, at which least is known of how far seeds differ, get little. `python -m studies sequential`
    compares spending functions. Looks are taken to correlate as sums of independent seeds do; questions,
    which they have in common, make them more alike, which errs on the safe side. A t-distributed p-value is
    compared with the level as a normal one would be (Jennison & Turnbull 2000, sec. 3.8).

    Args:
        seeds: At the look; counted as the first where it is below it, as the last where it is above that.
        first: Seeds at the first look.
        most: Seeds at the last.
        alpha: Of all looks together.
    """
    spent = tuple(SHARE * alpha * (at / most) ** EXPONENT for at in range(first, most + 1))
    return levels(spent, tuple(range(first, most + 1)))[min(max(seeds, first), most) - first]


@cache
def levels(spent: tuple[float, ...], information: tuple[float, ...]) -> tuple[float, ...]:
    """The two-sided level of each look, by the error spent up to it and the information that it has.

    By recursive integration of the density of what has not crossed yet (Armitage, McPherson & Rowe 1969,
    doi:10.2307/2343787).
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    found: list[float] = []
    # Where the sum of increments is, and how much probability is there: at first all of it at 0.
    place, mass = np.zeros(1), np.ones(1)
    before, known = 0.0, 0.0
    for error, reached in zip(spent, information, strict=True):
        step, root = (reached - known) ** 0.5, reached**0.5

        z = float(brentq(_excess, 0.0, 30.0, (root, step, place, mass, error - before), xtol=1e-10))
        found.append(2 * float(ndtr(-z)))
        grid = np.linspace(-z * root, z * root, _POINTS)
        weights = np.full(_POINTS, 2.0)  # Simpson's
        weights[1::2], weights[0], weights[-1] = 4.0, 1.0, 1.0
        density = np.exp(-(((grid[:, None] - place) / step) ** 2) / 2) / (step * (2 * np.pi) ** 0.5)
        place, mass = grid, (density @ mass) * weights * (grid[1] - grid[0]) / 3
        before, known = error, reached
    return tuple(found)


def _excess(z: float, root: float, step: float, place: Matrix, mass: Matrix, wanted: float) -> float:
    """By how much the probability of crossing ± z at a look is larger than wanted."""
    from scipy.special import ndtr

    return float(mass @ (ndtr((-z * root - place) / step) + ndtr((place - z * root) / step))) - wanted
