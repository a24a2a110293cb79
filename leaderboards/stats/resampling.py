"""The hierarchical bootstrap, for many variants and benchmarks at once: seeds and questions drawn again."""

from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from leaderboards.stats.figures import CONFIDENCE, MACRO, Matrix

_CHUNK = 1 << 20
"""Weights held at once: 4 MB of them."""

_Weights = NDArray[np.float32]


def bootstrap_intervals(
    values: Sequence[Mapping[str, Matrix]], num_resamples: int = 2000, seed: int = 0
) -> list[dict[str, tuple[float, float]]]:
    """Percentile intervals of the hierarchical bootstrap, for each benchmark and for the macro mean.

    Seeds and questions are crossed, so both are drawn again independently, with replacement, and a value
    weighs the product of its counts (the pigeonhole bootstrap: Owen 2007, doi:10.1214/07-AOAS122). A seed is
    drawn for all benchmarks at once, questions for each benchmark apart.

    Drawing S of S seeds gives only (S - 1)/S of their variance, a third too little with three. The seeds'
    deviations from their mean are therefore stretched by √(S/(S - 1)) (the rescaled bootstrap: Rao & Wu 1988,
    doi:10.1080/01621459.1988.10478591). What remains: the noise of single answers is counted both
    with the questions and with the seeds (as Owen shows), which makes intervals long where seeds hardly
    matter, and a percentile interval knows no t, which makes them short where few seeds matter much.

    Args:
        values: For each variant its (S, Q) arrays by benchmark; row s is the same seed in all of them. A
            macro mean is over the benchmarks that the variant has.
        num_resamples: How often to draw.
        seed: Of the drawing. Benchmarks of the same name and size share their draws.

    Returns:
        For each variant low and high end by benchmark, and under `MACRO` where all have the same S.
    """
    drawn: list[dict[str, Matrix]] = [{} for _ in values]
    for (name, num_questions), members in _stacked(values).items():
        weights = _question_weights(_generator(seed, name), num_questions, num_resamples)
        for index, means_RS in _product_means(members, weights):
            drawn[index][name] = _resample_seeds(means_RS, seed)
    return [_intervals(draws, _paired_seeds(own)) for draws, own in zip(drawn, values, strict=True)]


def _product_means(
    members: Sequence[tuple[int, Matrix]], weights: Iterator[_Weights]
) -> Iterator[tuple[int, Matrix]]:
    """For each (index, (S, Q) array) the index and the (R, S) means over the questions by (R, Q) weights."""
    # One product of matrices for all variants: drawing is cheap, going through the weights is not.
    stacked_QM = np.concatenate([matrix for _, matrix in members]).T.astype(np.float32)
    sums_RM = np.concatenate([chunk @ stacked_QM for chunk in weights])
    start = 0
    for index, matrix in members:
        stop = start + len(matrix)
        yield index, sums_RM[:, start:stop].astype(np.float64) / matrix.shape[1]
        start = stop


def _stacked(values: Sequence[Mapping[str, Matrix]]) -> dict[tuple[str, int], list[tuple[int, Matrix]]]:
    """The arrays that share their draws, with whose they are."""
    stacks: dict[tuple[str, int], list[tuple[int, Matrix]]] = {}
    for index, matrices in enumerate(values):
        for name, matrix in matrices.items():
            stacks.setdefault((name, matrix.shape[1]), []).append((index, matrix))
    return stacks


def _paired_seeds(matrices: Mapping[str, Matrix]) -> bool:
    """Whether there is a macro mean: all benchmarks have the same number of seeds."""
    return len({len(matrix) for matrix in matrices.values()}) == 1


def _generator(seed: int, name: str) -> np.random.Generator:
    # crc32 and not hash(), which differs from one process to the next.
    return np.random.default_rng([seed, crc32(name.encode())])


def _chunks(rows: int, columns: int) -> Iterator[int]:
    """Numbers of rows that add up to `rows` and are small enough to be held at once."""
    most = max(_CHUNK // columns, 1)
    yield from (min(most, rows - start) for start in range(0, rows, most))


def _question_weights(rng: np.random.Generator, num_questions: int, num_resamples: int) -> Iterator[_Weights]:
    """How often each question was drawn: Q draws from Q questions in each row."""
    for rows in _chunks(num_resamples, num_questions):
        drawn = rng.integers(num_questions, size=(rows, num_questions), dtype=np.int64)
        # Each row counts in a range of its own, so that one bincount counts all rows.
        drawn += num_questions * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * num_questions)
        yield counts.reshape(rows, num_questions).astype(np.float32)


def _resample_seeds(means_RS: Matrix, seed: int) -> Matrix:
    """(R,) macro or benchmark means over seeds drawn again; the same draws for every S-seed variant."""
    rows, num_seeds = means_RS.shape
    if num_seeds == 1:
        return means_RS[:, 0]
    counts_RS = np.random.default_rng([seed, num_seeds]).multinomial(
        num_seeds, np.full(num_seeds, 1 / num_seeds), rows
    )
    mean_R = means_RS.mean(axis=1)
    deviation_R = (counts_RS * means_RS).sum(axis=1) / num_seeds - mean_R
    return mean_R + (num_seeds / (num_seeds - 1)) ** 0.5 * deviation_R


def _intervals(draws: Mapping[str, Matrix], with_macro: bool) -> dict[str, tuple[float, float]]:
    if not draws:
        return {}
    macro = {MACRO: np.mean(list(draws.values()), axis=0)} if with_macro else {}
    everything, tails = {**draws, **macro}, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    ends = np.clip(np.quantile(np.stack(list(everything.values())), tails, axis=1), 0.0, 1.0)
    return {name: (float(low), float(high)) for name, low, high in zip(everything, *ends, strict=True)}
