"""How far training seeds differ, learned from all variants of a board at once.

Three seeds of one variant say next to nothing about their spread; three seeds of each of seven say a good
deal. A seed's effect is thought of in logits, so that variants of other accuracies share it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from leaderboards.stats.figures import Matrix
from leaderboards.stats.mean_squares import NOTHING, Components, residuals

MIN_DF = 4
"""Degrees of freedom below which the spread of seeds is not known: no claim about a method is made."""
WILD_LOGITS, FEW_WILD_LOGITS = 1.2, 0.8
"""A variant whose seeds differ by more (their standard deviation; 30 points at an accuracy of one half) may
have some on either side of a jump; below `FEW_DF` degrees of all variants less is enough to think so …"""
FEW_DF = 8
MIN_WILD_DF = 32
"""… and so few degrees of freedom, of all variants, do not show how often."""
MOST_PRIOR_DF = 8.0
"""However alike the variants' spreads look, what they have in common counts for no more degrees."""
_FEW_VARIANTS = 5


class SeedSpread(NamedTuple):
    """What a family of variants says about the effect of a training seed.

    Attributes:
        sd_logits: standard deviation of the effect, in logits.
        df: degrees of freedom behind it, S - 1 for each variant.
        prior_df: what it counts beside a comparison's own seeds, in degrees of freedom; fewer where the
            variants' spreads are unlike.
        wild_slope: where seeds of some variant may lie on two sides of a jump, the slope of a mean in logits
            that no variant's is thought to be below; 0 elsewhere.
    """

    sd_logits: float
    df: int
    prior_df: float
    wild_slope: float = 0.0

    @property
    def known(self) -> bool:
        """Whether it says enough for a claim: seeds that may be bimodal must be many."""
        return self.df >= (MIN_WILD_DF if self.wild_slope else MIN_DF)


def seed_spread(variants: Sequence[Components]) -> SeedSpread:
    """The spread of seeds that variants have in common, and how common it is (empirical Bayes).

    The variance A of a variant's seed means has the expectation R + (λσ)² / S: R is the residual mean square
    of the mean, λ the slope of the mean in logits, E[p(1 - p)], which the residual of one answer estimates. σ
    is where the ratios of A to this expectation have the mean 1. By how much more their logarithms vary than
    those of χ² variables do, the variants' own σ differ (Smyth 2004, doi:10.2202/1544-6115.1027, sec. 6.2);
    fewer than five say too little of that.

    Args:
        variants: of those with several seeds, each of a single mean (no leading axes); others count nothing.
    """
    several = [one for one in variants if one.num_seeds > 1]
    found = [
        (float(one.seeds), rest, float(one.cells_B.mean()), one.num_seeds)
        for one in several
        if (rest := float(residuals(one).sum())) > NOTHING
    ]
    df = sum(one.num_seeds - 1 for one in several)
    if not found:
        return SeedSpread(0.0, df, min(float(df), MOST_PRIOR_DF))
    seeds, residual, slope, num_seeds = (np.asarray(column) for column in zip(*found, strict=True))
    steep = slope**2 / num_seeds

    def excess(variance: float) -> float:
        return float(np.sum((num_seeds - 1) * (seeds / (residual + steep * variance) - 1)))

    variance = _root(excess)
    prior_df = min(float(df), MOST_PRIOR_DF)
    limit = WILD_LOGITS if df >= FEW_DF else FEW_WILD_LOGITS
    if float(((seeds - residual) / steep).max()) > limit**2:
        # Seeds on one side of a jump agree by chance, and lie where the mean is flat: neither is believed.
        return SeedSpread(variance**0.5, df, prior_df, float(slope.mean()))
    if len(found) >= _FEW_VARIANTS:
        prior_df = min(prior_df, _prior_df(seeds / (residual + steep * variance), num_seeds - 1))
    return SeedSpread(variance**0.5, df, prior_df)


def _root(falling: Callable[[float], float]) -> float:
    """Where a falling function of a value ≥ 0 is 0; 0 where it is nowhere above."""
    from scipy.optimize import brentq

    if falling(0.0) <= 0:
        return 0.0
    high = 1.0
    while falling(high) > 0:
        high *= 4
    return float(brentq(falling, 0.0, high, xtol=1e-10))


def _prior_df(ratios: Matrix, df: Matrix) -> float:
    """d of ratios that are F-distributed with (df, d) degrees of freedom, by their logarithms' variance."""
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    # A variant whose seeds agree to the last digit has no logarithm: the least that is told apart will do.
    logs = np.log(np.maximum(ratios, 1e-6)) - digamma(df / 2) + np.log(df / 2)
    unlike = float(logs.var(ddof=1) - polygamma(1, df / 2).mean())
    most = MOST_PRIOR_DF
    if unlike <= polygamma(1, most / 2):
        return most
    return 2 * float(brentq(lambda half: polygamma(1, half) - unlike, 1e-3, most / 2))
