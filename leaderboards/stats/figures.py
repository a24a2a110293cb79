"""What the statistics are about: matrices of values in, an `Estimate` or a `Difference` out."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

CONFIDENCE = 0.95
"""The level of every interval."""

POWER = 0.8
"""How often a test finds the difference that is called detectable (Cohen 1988)."""

MACRO = "macro"
"""Names the unweighted mean over benchmarks where figures are kept by benchmark."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean in [0, 1] with its interval; with one seed the interval knows question sampling only.

    `se` is the two-way clustered standard error behind the interval, `bootstrap` the ends of the hierarchical
    bootstrap's interval, None where it was not drawn.
    """

    mean: float
    low: float
    high: float
    num_questions: int
    num_seeds: int
    se: float = 0.0
    bootstrap: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired mean difference with its interval, its p-value, and McNemar's p for each seed pair.

    `gained` and `lost` count the (seed, question) pairs for and against, `se` is the clustered standard
    error, and `detectable` the true difference that a test like this one finds with a power of 80 %.
    """

    mean: float
    low: float
    high: float
    p: float
    num_questions: int
    num_seeds: int
    mcnemar_p: tuple[float, ...]
    se: float = 0.0
    gained: int = 0
    lost: int = 0
    detectable: float = 0.0

    def reversed(self) -> "Difference":
        """The same comparison seen from the other variant."""
        return replace(
            self, mean=-self.mean, low=-self.high, high=-self.low, gained=self.lost, lost=self.gained
        )
