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
    bootstrap's interval, None where it was not drawn. `by_seed` has each seed's mean. Where `known` is false
    so few seeds, or such unlike ones, say too little of other seeds for the interval to be believed.
    """

    mean: float
    low: float
    high: float
    num_questions: int
    num_seeds: int
    se: float = 0.0
    bootstrap: tuple[float, float] | None = None
    by_seed: tuple[float, ...] = ()
    known: bool = True


def detectable(df: float, se: float, alpha: float) -> float:
    """The true difference that a t test at level α finds with a power of 80 %.

    (t_{1-α/2} + t_{power}) standard errors: Bloom 1995, doi:10.1177/0193841X9501900504.
    """
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - alpha / 2) + stdtrit(df, POWER)) * se


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired mean difference with its interval, its p-value, and McNemar's p for each seed pair.

    `gained` and `lost` count the (seed, question) pairs for and against; `centre`, `se` and `df` are those of
    the t behind interval and p. Where `known` is false nothing follows for other seeds: there is one, or
    there are too few or too unlike ones (`seeds.SeedSpread`), and p is about these checkpoints at best.
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
    centre: float = 0.0
    df: float = 1.0
    known: bool = True

    def detectable(self, alpha: float = 1 - CONFIDENCE) -> float:
        """The true difference that a test like this one at level α finds with a power of 80 %."""
        return detectable(self.df, self.se, alpha)

    def p_against(self, null: float) -> float:
        """Two-sided, of the test that the true difference is this."""
        from scipy.special import stdtr

        return float(2 * stdtr(self.df, -abs(self.centre - null) / self.se))

    def interval(self, level: float) -> tuple[float, float]:
        """The ends of the interval at 1 - level, which holds what is not told from the difference."""
        from scipy.special import stdtrit

        reach = float(stdtrit(self.df, 1 - level / 2)) * self.se
        return max(self.centre - reach, -1.0), min(self.centre + reach, 1.0)

    def equivalence_p(self, margin: float) -> float:
        """Of the two one-sided tests that the difference lies within ± margin.

        TOST: Schuirmann 1987, doi:10.1007/BF01068419; below α exactly where the 1 - 2α interval lies within.
        """
        from scipy.special import stdtr

        return float(stdtr(self.df, (abs(self.centre) - margin) / self.se))

    def reversed(self) -> "Difference":
        """The same comparison seen from the other variant."""
        return replace(
            self,
            mean=-self.mean,
            low=-self.high,
            high=-self.low,
            centre=-self.centre,
            gained=self.lost,
            lost=self.gained,
        )
