"""The interval of a mean that was sampled twice, over questions and over training seeds, and its variance.

Arrays have leading axes (`...`), as in `mean_squares`.
"""

from collections.abc import Sequence

import numpy as np

from leaderboards.stats.figures import CONFIDENCE, Estimate, Matrix
from leaderboards.stats.mean_squares import Components, Contents, components, distinct, residuals, sums_of
from leaderboards.stats.seeds import SeedSpread, seed_spread


def variance(parts: Components, spread: SeedSpread | None = None, sides: int = 1) -> tuple[Matrix, Matrix]:
    """The two-way clustered variance of the macro mean, and the degrees of freedom of its t.

    With the mean squares as variances of the mean, B for questions, A for seeds, R for the residual, the
    unbiased variance is V = B + A - R (Cameron, Gelbach & Miller 2011, doi:10.1198/jbes.2010.07136, eq. 2.11,
    in the form of a balanced layout). Few seeds say little about A, so V is put together as W + A':

    - W = max(B - R, 0): what questions add when seeds are held fixed.
    - A' = (dA₀ + νA) / (d + ν), ν = S - 1, with what the board's variants say of seeds together: A₀ is the
      expectation of A under their common spread σ, R + Σ(λσ)² / S over the sides, and d counts beside the
      own seeds (Smyth 2004, doi:10.2202/1544-6115.1027, eq. 3). The degrees of A' are d + ν, and at most
      those of all variants. Without a spread A' is A, but no less than R, with ν degrees.
    - Degrees of freedom: Welch's (1947, doi:10.1093/biomet/34.1-2.28) for V = W + A', which at few degrees
      are known to give too short intervals. Those of the seed part, f, are kept towards what they would be
      if seeds were all there is: f(1 + c((V/A')² - 1)), c = min((f + 1)/10, 1). With W known and normal
      seeds the 95 % interval then covers 94.5 to 95.7 % at f = 2, whatever W : A is (plain Welch: from
      92.2 %), 94.9 to 95.5 % at 3 and 4; `docs/statistics.md` has the table. W counts as Q - 1 degrees.

    Args:
        parts: of a mean, or of a paired difference.
        spread: of the seeds of all variants of the family.
        sides: how many trainings differ from seed to seed: 1 for a mean, or a difference to an entry without
            seeds, 2 for a difference of two variants.

    Returns:
        Variance and degrees of freedom (at least 1), both of shape (...).
    """
    sizes_B = parts.sizes_B
    residual_B = residuals(parts)
    net_B = parts.questions_B / len(sizes_B) ** 2 - residual_B
    seeds, seed_df = _seeds(parts, residual_B.sum(axis=-1), spread, sides)
    total = np.maximum(net_B.sum(axis=-1), 0.0) + seeds
    # Where nothing varies every quotient is 0 / 0: any divisor will do, since what it divides is 0.
    some = np.where(total > 0, total, 1.0)
    share = (seeds / some) ** 2
    towards = min((seed_df + 1) / 10, 1.0)
    # Welch sums the inverse degrees of freedom, each weighed by its part of the variance squared.
    inverse = share / (seed_df * (towards + (1 - towards) * share))
    question_df_B = np.maximum(sizes_B - 1, 1)
    inverse = inverse + (net_B**2 / question_df_B).sum(axis=-1) / some**2
    df = np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1.0), question_df_B.sum())
    return total, np.maximum(df, 1.0)


def _seeds(
    parts: Components, residual: Matrix, spread: SeedSpread | None, sides: int
) -> tuple[Matrix, float]:
    """A', of shape (...), and its degrees of freedom; see `variance`."""
    own_df = parts.num_seeds - 1
    if spread is None or not own_df:
        return np.maximum(parts.seeds, residual), max(own_df, 1.0)
    common = residual + seed_part(parts, spread, sides)
    if spread.prior_df >= spread.df:  # the own seeds are among those that it is made of
        return common, max(float(spread.df), 1.0)
    prior, df = spread.prior_df, spread.prior_df + own_df
    return (prior * common + own_df * parts.seeds) / df, max(min(df, float(spread.df)), 1.0)


def seed_part(parts: Components, spread: SeedSpread, sides: int) -> Matrix:
    """What seeds add to the variance of a mean by their common spread, of shape (...)."""
    # An answer of a difference has the residuals of both sides, so that each side's slope is half of it.
    slope = np.maximum(parts.cells_B.mean(axis=-1) / sides, spread.wild_slope)
    return sides * (slope * spread.sd_logits) ** 2 / parts.num_seeds


def wilson_interval(mean: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's (1927, doi:10.1080/01621459.1927.10502953) score interval of a proportion.

    Args:
        mean: The proportion found, in [0, 1].
        n: The number of independent answers behind it; need not be whole.
        confidence: The level of the interval.
    """
    low, high = _wilson(np.asarray(mean, dtype=np.float64), np.asarray(n, dtype=np.float64), confidence)
    return float(low), float(high)


def mean_interval(
    matrices: Sequence[Matrix],
    draws: Sequence[float] | None = None,
    spread: SeedSpread | None = None,
    contents: Sequence[Contents] | None = None,
) -> Estimate:
    """Mean of values in [0, 1] over seeds, questions and benchmarks, with a two-way clustered interval.

    See `interval_of` for the interval.

    Args:
        matrices: One (S, Q) array per benchmark, all with the same S.
        draws: For each benchmark how many independent outputs stand behind each value; by default one.
        spread: Of the seeds of all variants of the family; those of these matrices alone where None.
        contents: Of the questions; those that stand twice count once (`mean_squares.distinct`).
    """
    mean = float(np.mean([matrix.mean() for matrix in matrices]))
    layouts = distinct(matrices, contents)
    parts = components([sums_of(layout) for layout in layouts])
    if draws and len(layouts) < len(matrices):
        draws = [min(draws)]
    low, high, error = interval_of(np.asarray(mean), parts, draws, spread)
    return Estimate(
        mean=mean,
        low=float(low),
        high=float(high),
        num_questions=int(parts.sizes_B.sum()),
        num_seeds=parts.num_seeds,
        se=float(error),
        by_seed=tuple(np.mean([matrix.mean(axis=1) for matrix in matrices], axis=0).tolist()),
        known=parts.num_seeds == 1 or (spread or seed_spread([parts])).known,
    )


def interval_of(
    mean: Matrix, parts: Components, draws: Sequence[float] | None = None, spread: SeedSpread | None = None
) -> tuple[Matrix, Matrix, Matrix]:
    """Low end, high end and standard error, all of shape (...), of means with these components.

    Wilson's interval with an effective number of answers in place of n: n* = m(1 - m) / V, with V from
    `variance`, times (z/t)² for the degrees of freedom of V (Korn & Graubard 1998, Survey
    Methodology 24:193-201; in Wilson's form: Franco et al. 2019, doi:10.1093/jssam/smy019). n* is at most S·Q
    times the draws of a question. Where V says nothing, because all values are alike, n* is Q: seeds that
    agree on everything may be copies.

    Args:
        mean: (...), in [0, 1].
        parts: Components with the same leading axes.
        draws: For each benchmark how many independent outputs stand behind each value; by default one.
        spread: As in `variance`.
    """
    from scipy.special import ndtri, stdtrit

    total, df = variance(parts, spread)
    varying = mean * (1 - mean)
    # Wilson's form has room for z alone: a t quantile is put in by shrinking the number of answers.
    shrink = (ndtri((1 + CONFIDENCE) / 2) / stdtrit(df, (1 + CONFIDENCE) / 2)) ** 2
    questions = _effective_questions(parts.sizes_B)
    most = parts.num_seeds * _effective_questions(parts.sizes_B * np.asarray(draws if draws else 1.0))
    informed = (total > 0) & (varying > 0)
    # Below half an answer the interval says nothing; above S·Q it would promise more than was asked.
    known = np.divide(varying, total, out=np.full_like(total, questions), where=informed) * shrink
    low, high = _wilson(mean, np.where(informed, np.clip(known, 0.5, most), known))
    return low, high, np.sqrt(total)


def _wilson(mean: Matrix, n: Matrix, confidence: float = CONFIDENCE) -> tuple[Matrix, Matrix]:
    """Wilson's interval, clipped against rounding so that it holds its mean and stays in [0, 1]."""
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    shrink = 1 + z**2 / n
    centre = (mean + z**2 / (2 * n)) / shrink
    margin = z / shrink * np.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2))
    low, high = np.minimum(centre - margin, mean), np.maximum(centre + margin, mean)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def _effective_questions(sizes_B: Matrix) -> float:
    """How many questions of one benchmark a macro average over benchmarks of these sizes is worth."""
    return len(sizes_B) ** 2 / float(np.sum(1 / sizes_B))
