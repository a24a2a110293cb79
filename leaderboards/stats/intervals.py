"""The interval of a mean that was sampled twice, over questions and over training seeds, and its variance.

The parts work on arrays whose leading axes (`...`) are replications: a permutation test and a simulation
combine many of them at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaderboards.stats.figures import CONFIDENCE, Estimate, Matrix

SEED_SD_LOGITS = 0.3
"""The seed effect that is thought likely before any was seen: 0.3 logits move an accuracy of 0.5 by 0.07."""

_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Components:
    """Mean squares of crossed seeds × questions layouts, one layout a benchmark (`_B`).

    Attributes:
        questions_B: (..., B); mean square between questions as a variance of the benchmark's mean: the sample
            variance of the Q question means, divided by Q.
        cells_B: (..., B); residual mean square of one (seed, question) cell, 0 with one seed.
        seeds: (...); sample variance of the S seeds' macro means, divided by S; 0 with one seed.
        sizes_B: (B,); questions of each benchmark.
        num_seeds: S.
    """

    questions_B: Matrix
    cells_B: Matrix
    seeds: Matrix
    sizes_B: Matrix
    num_seeds: int


@dataclass(frozen=True, slots=True)
class Sums:
    """What the mean squares of S × Q layouts are made of; sums that a sign flip of questions leaves alone.

    Attributes:
        means_S: (..., S); each seed's mean over the questions.
        questions: (...); sum over questions of the squared question mean.
        cells: (...); sum of the squared values.
        num_questions: Q.
    """

    means_S: Matrix
    questions: Matrix
    cells: Matrix
    num_questions: int


def sums_of(matrix: Matrix) -> Sums:
    """The sums of one (..., S, Q) array."""
    by_question = matrix.mean(axis=-2)
    return Sums(
        matrix.mean(axis=-1), (by_question**2).sum(axis=-1), (matrix**2).sum(axis=(-2, -1)), matrix.shape[-1]
    )


def components(benchmarks: Sequence[Sums]) -> Components:
    """Splits the variance of the macro mean: questions, cells, and seeds, one cluster across benchmarks.

    The mean squares of the crossed two-way layout (Cornfield & Tukey 1956, doi:10.1214/aoms/1177728067). A
    benchmark of one question gets the largest variance that a mean in [0, 1] can have.
    """
    num_seeds = benchmarks[0].means_S.shape[-1]
    questions, cells = [], []
    for sums in benchmarks:
        size = sums.num_questions
        squared_mean = sums.means_S.mean(axis=-1) ** 2
        # Sums of squares about the mean, as totals minus the mean's share: rounding may bring them below 0.
        between = (sums.questions - size * squared_mean) / max(size - 1, 1) / size
        questions.append(np.maximum(between, 0.0) if size > 1 else np.full_like(squared_mean, 0.25))
        rest = sums.cells - num_seeds * sums.questions - size * (sums.means_S**2).sum(axis=-1)
        rest = rest + num_seeds * size * squared_mean
        freedom = (num_seeds - 1) * (size - 1)
        cells.append(np.maximum(rest, 0.0) / freedom if freedom else np.zeros_like(squared_mean))
    by_seed = np.mean([sums.means_S for sums in benchmarks], axis=0)
    return Components(
        questions_B=np.stack(questions, axis=-1),
        cells_B=np.stack(cells, axis=-1),
        seeds=np.asarray(by_seed.var(axis=-1, ddof=1) if num_seeds > 1 else np.zeros(by_seed.shape[:-1]))
        / num_seeds,
        sizes_B=np.asarray([sums.num_questions for sums in benchmarks], dtype=np.float64),
        num_seeds=num_seeds,
    )


def variance(parts: Components, num_variants: int = 1) -> tuple[Matrix, Matrix]:
    """The two-way clustered variance of the macro mean, and the degrees of freedom of its t.

    With the mean squares as variances of the mean, B for questions, A for seeds, R for the residual, the
    unbiased variance is V = B + A - R (Cameron, Gelbach & Miller 2011, doi:10.1198/jbes.2010.07136, eq. 2.11,
    in the form of a balanced layout). Three seeds say little about A, so V is put together as W + A':

    - W = max(B - R, 0): what questions add when seeds are held fixed.
    - A' = (νA + κR) / (ν + κ) with ν = S - 1. Without seed effects A estimates R, which is known far better:
      R counts as κ further seeds. κ = R / U, U being the variance of the mean under seed effects of
      `SEED_SD_LOGITS` (slope of a mean in logits: E[p(1 - p)], which the residual mean square estimates; for
      a difference half of it, for each of two variants). κ is tiny where questions are many enough for a seed
      effect to show, and large where its noise drowns any. Weighing a variance with a prior one by degrees
      of freedom: Smyth 2004, doi:10.2202/1544-6115.1027.
    - Degrees of freedom: Welch's (1947, doi:10.1093/biomet/34.1-2.28) for V = W + A', which at ν of 2 to 4 is
      known to give too short intervals. Those of the seed part are moved towards ν + κ, where they would be
      if seeds were all there is: (ν + κ)(1 + c((V/A')² - 1)), c = min(S/10, 1). With W known and normal
      seeds the 95 % interval then covers 94.5 to 95.7 % at 3 seeds, whatever W : A is (plain Welch: from
      92.2 %), 94.9 to 95.5 % at 4 and 5; `docs/statistics.md` has the table. W counts as Q - 1 degrees.

    Args:
        num_variants: 1 for a mean, 2 for a difference of two variants.

    Returns:
        Variance and degrees of freedom (at least 1), both of shape (...).
    """
    sizes_B, num_seeds = parts.sizes_B, parts.num_seeds
    scale = len(sizes_B) ** 2
    # What rounding leaves of a residual that is zero would make κ = R / U anything.
    cells_B = np.where(parts.cells_B > _NOTHING, parts.cells_B, 0.0)
    residual_B = cells_B / (num_seeds * sizes_B * scale)
    residual = residual_B.sum(axis=-1)
    net_B = parts.questions_B / scale - residual_B
    seeds, seed_df = _pooled_seeds(parts.seeds, residual, cells_B.mean(axis=-1), num_seeds, num_variants)
    total = np.maximum(net_B.sum(axis=-1), 0.0) + seeds
    # Where nothing varies every quotient is 0 / 0: any divisor will do, since what it divides is 0.
    some = np.where(total > 0, total, 1.0)
    share = (seeds / some) ** 2
    towards = min(num_seeds / 10, 1.0)
    # Welch sums the inverse degrees of freedom, each weighed by its part of the variance squared.
    inverse = share / (seed_df * (towards + (1 - towards) * share))
    question_df_B = np.maximum(sizes_B - 1, 1)
    inverse = inverse + (net_B**2 / question_df_B).sum(axis=-1) / some**2
    df = np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1.0), question_df_B.sum())
    return total, np.maximum(df, 1.0)


def _pooled_seeds(
    seeds: Matrix, residual: Matrix, cell: Matrix, num_seeds: int, num_variants: int
) -> tuple[Matrix, Matrix]:
    """A' and its degrees of freedom ν + κ, all of shape (...); see `variance`."""
    likely = (SEED_SD_LOGITS * cell) ** 2 / (num_variants * num_seeds)
    weight = np.divide(residual, likely, out=np.zeros_like(residual), where=likely > 0)
    freedom = num_seeds - 1 + weight
    pooled = ((num_seeds - 1) * seeds + weight * residual) / np.maximum(freedom, 1.0)
    return pooled, np.maximum(freedom, 1.0)


def wilson_interval(mean: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's (1927, doi:10.1080/01621459.1927.10502953) score interval of a proportion.

    Args:
        mean: The proportion found, in [0, 1].
        n: The number of independent answers behind it; need not be whole.
        confidence: The level of the interval.
    """
    low, high = _wilson(np.asarray(mean, dtype=np.float64), np.asarray(n, dtype=np.float64), confidence)
    return float(low), float(high)


def mean_interval(matrices: Sequence[Matrix], draws: Sequence[float] | None = None) -> Estimate:
    """Mean of values in [0, 1] over seeds, questions and benchmarks, with a two-way clustered interval.

    See `interval_of` for the interval.

    Args:
        matrices: One (S, Q) array per benchmark, all with the same S.
        draws: For each benchmark how many independent outputs stand behind each value; by default one.
    """
    mean = float(np.mean([matrix.mean() for matrix in matrices]))
    parts = components([sums_of(matrix) for matrix in matrices])
    low, high, error = interval_of(np.asarray(mean), parts, draws)
    num_questions = int(parts.sizes_B.sum())
    return Estimate(mean, float(low), float(high), num_questions, parts.num_seeds, se=float(error))


def interval_of(
    mean: Matrix, parts: Components, draws: Sequence[float] | None = None
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
    """
    from scipy.special import ndtri, stdtrit

    total, df = variance(parts)
    spread = mean * (1 - mean)
    # Wilson's form has room for z alone: a t quantile is put in by shrinking the number of answers.
    shrink = (ndtri((1 + CONFIDENCE) / 2) / stdtrit(df, (1 + CONFIDENCE) / 2)) ** 2
    questions = _effective_questions(parts.sizes_B)
    most = parts.num_seeds * _effective_questions(parts.sizes_B * np.asarray(draws if draws else 1.0))
    informed = (total > 0) & (spread > 0)
    # Below half an answer the interval says nothing; above S·Q it would promise more than was asked.
    known = np.divide(spread, total, out=np.full_like(total, questions), where=informed) * shrink
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
