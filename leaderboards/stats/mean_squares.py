"""What the variance of a mean over seeds and questions is made of.

Everything works on arrays whose leading axes (`...`) are replications: a simulation combines many at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leaderboards.stats.figures import Matrix

Contents = NDArray[np.int64]

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


def distinct(layouts: Sequence[Matrix], contents: Sequence[Contents] | None) -> list[Matrix]:
    """Layouts in which no question stands twice, with the same macro mean of each seed.

    Questions of one content are one cluster, in one benchmark or in several: where there are any, all layouts
    become one, in which a cluster counts as much as its questions do together. What is left of benchmarks are
    their means, about which questions vary (the linearised ratio of cluster totals; Cochran 1977, Sampling
    Techniques, sec. 9A).

    Args:
        layouts: (S, Q) of each benchmark.
        contents: (Q,) of each, a number for each content; each below 0 is a content by itself. None where
            nothing is known of them.
    """
    if contents is None:
        return list(layouts)
    numbers = np.concatenate(contents)
    _, cluster = np.unique(np.where(numbers < 0, -1 - np.arange(len(numbers)), numbers), return_inverse=True)
    if (count := int(cluster.max()) + 1) == len(numbers):
        return list(layouts)
    ends = np.cumsum([len(each) for each in contents])[:-1]
    joined = np.full((count, len(layouts[0])), np.mean([layout.mean() for layout in layouts]))
    for layout, own in zip(layouts, np.split(cluster, ends), strict=True):
        np.add.at(joined, own, (layout - layout.mean()).T * (count / (layout.shape[1] * len(layouts))))
    return [joined.T]


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
