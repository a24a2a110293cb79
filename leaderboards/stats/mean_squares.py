"""What the variance of a mean over seeds and questions is made of.

Everything works on arrays whose leading axes (`...`) are replications: a simulation combines many at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaderboards.stats.figures import Matrix

NOTHING = 1e-12
"""What rounding may leave of a mean square that is zero."""


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


def residuals(parts: Components) -> Matrix:
    """(..., B); the residual mean square of each benchmark, as a variance of the macro mean."""
    # What rounding leaves of a residual that is zero would make quotients of it anything.
    cells_B = np.where(parts.cells_B > NOTHING, parts.cells_B, 0.0)
    return cells_B / (parts.num_seeds * parts.sizes_B * len(parts.sizes_B) ** 2)
