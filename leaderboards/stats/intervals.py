"""The interval of a mean in [0, 1]."""

from collections.abc import Sequence

import numpy as np

from leaderboards.stats.components import Components, components, sums_of, variance
from leaderboards.stats.figures import CONFIDENCE, Estimate, Matrix


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
    matrices: Sequence[Matrix], confidence: float = CONFIDENCE, draws: Sequence[float] | None = None
) -> Estimate:
    """Mean of values in [0, 1] over seeds, questions and benchmarks, with a two-way clustered interval.

    See `interval_of` for the interval.

    Args:
        matrices: One (S, Q) array per benchmark, all with the same S.
        confidence: The level of the interval.
        draws: For each benchmark how many independent outputs stand behind each value; by default one.
    """
    mean = float(np.mean([matrix.mean() for matrix in matrices]))
    parts = components([sums_of(matrix) for matrix in matrices])
    low, high, error = interval_of(np.asarray(mean), parts, confidence, draws)
    return Estimate(
        mean=mean,
        low=float(low),
        high=float(high),
        num_questions=int(parts.sizes_B.sum()),
        num_seeds=parts.num_seeds,
        se=float(error),
    )


def interval_of(
    mean: Matrix,
    parts: Components,
    confidence: float = CONFIDENCE,
    draws: Sequence[float] | None = None,
) -> tuple[Matrix, Matrix, Matrix]:
    """Low end, high end and standard error, all of shape (...), of means with these components.

    Wilson's interval with an effective number of answers in place of n: n* = m(1 - m) / V, with V from
    `components.variance`, times (z/t)² for the degrees of freedom of V (Korn & Graubard 1998, Survey
    Methodology 24:193-201; in Wilson's form: Franco et al. 2019, doi:10.1093/jssam/smy019). n* is at most S·Q
    times the draws of a question. Where V says nothing, because all values are alike, n* is Q: seeds that
    agree on everything may be copies.

    Args:
        mean: (...), in [0, 1].
        parts: Components with the same leading axes.
        confidence: The level of the interval.
        draws: For each benchmark how many independent outputs stand behind each value; by default one.
    """
    from scipy.special import ndtri, stdtrit

    total, df = variance(parts)
    spread = mean * (1 - mean)
    # Wilson's form has room for z alone: a t quantile is put in by shrinking the number of answers.
    shrink = (ndtri((1 + confidence) / 2) / stdtrit(df, (1 + confidence) / 2)) ** 2
    questions = _effective_questions(parts.sizes_B)
    most = parts.num_seeds * _effective_questions(parts.sizes_B * np.asarray(draws if draws else 1.0))
    informed = (total > 0) & (spread > 0)
    # Below half an answer the interval says nothing; above S·Q it would promise more than was asked.
    known = np.divide(spread, total, out=np.full_like(total, questions), where=informed) * shrink
    low, high = _wilson(mean, np.where(informed, np.clip(known, 0.5, most), known), confidence)
    return low, high, np.sqrt(total)


def _wilson(mean: Matrix, n: Matrix, confidence: float) -> tuple[Matrix, Matrix]:
    """Wilson's interval, clipped against rounding so that it holds its mean and stays in [0, 1]."""
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    shrink = 1 + z**2 / n
    centre = (mean + z**2 / (2 * n)) / shrink
    margin = z / shrink * np.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2))
    return np.maximum(np.minimum(centre - margin, mean), 0.0), np.minimum(
        np.maximum(centre + margin, mean), 1.0
    )


def _effective_questions(sizes_B: Matrix) -> float:
    """How many questions of one benchmark a macro average over benchmarks of these sizes is worth."""
    return len(sizes_B) ** 2 / float(np.sum(1 / sizes_B))
