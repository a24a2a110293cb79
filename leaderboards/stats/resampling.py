"""The hierarchical bootstrap and the paired permutation test, for many variants and benchmarks at once.

The one draws seeds and questions again, the other flips the signs of questions and of seeds.
"""

from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from leaderboards.stats.figures import CONFIDENCE, MACRO, Matrix
from leaderboards.stats.intervals import Sums, sums_of
from leaderboards.stats.paired import paired_t

_CHUNK = 1 << 20
"""Weights held at once: 4 MB of them."""
_TIE = 1 + 1e-4
"""p-values this near are those of the same statistic: sums are kept in single precision."""

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


def permutation_p_values(
    differences: Sequence[Mapping[str, Matrix]], num_flips: int = 2000, seed: int = 0
) -> list[dict[str, float]]:
    """Paired sign-flip permutation p-values over seeds × questions, for each benchmark and the macro mean.

    Null hypothesis: d_sq = b_s + e_sq, where b_s, what seed pair s shifts all its questions by, is as likely
    to be positive as negative, and so are, for each question, its S values e_sq taken together. Without seed
    effects this says that swapping the names of the two variants on a question, in all seeds, changes
    nothing. A flip turns the signs of whole questions (with all seeds, which share the question) and of whole
    seeds (on all benchmarks), independently.

    Only d is seen, so b_s is estimated by the seed's mean minus the mean over seeds, times √(S/(S - 1)) for
    the degree of freedom that this costs; the test is exact with one seed and approximate with more, as a
    multi-way wild bootstrap is (MacKinnon, Nielsen & Webb 2021, doi:10.1080/07350015.2019.1677473). The
    statistic is not the mean but the p-value of the clustered t test (`paired.paired_t`), computed anew for
    each flip (prepivoting: Fogarty 2021, arXiv 2102.04423; studentising: Chung & Romano 2013,
    doi:10.1214/13-AOS1090): flips of the plain mean hold no size where seeds matter. `docs/statistics.md`
    has the measured size. p = (1 + count)/(1 + flips): Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.

    Args:
        differences: For each comparison the (S, Q) arrays of variant minus reference by benchmark; row s is
            the same pair of seeds in all of them.
        num_flips: How many flips to draw.
        seed: Of the drawing. Benchmarks of the same name and size share their flips.

    Returns:
        For each comparison p by benchmark, and under `MACRO` where all have the same S.
    """
    flipped: list[dict[str, Sums]] = [{} for _ in differences]
    for (name, num_questions), members in _stacked(differences).items():
        centred = [(index, matrix - _seed_effects(matrix)) for index, matrix in members]
        question_signs = _question_signs(_generator(seed, name), num_questions, num_flips)
        for (index, matrix), (_, means_FS) in zip(
            members, _product_means(centred, question_signs), strict=True
        ):
            flipped[index][name] = _flipped(matrix, means_FS, _seed_signs(seed, len(matrix), num_flips))
    return [_p_values(sums, _paired_seeds(own)) for sums, own in zip(flipped, differences, strict=True)]


def _seed_effects(matrix: Matrix) -> Matrix:
    """(S, 1): by how much each seed's mean differs from the mean over seeds."""
    means_S1 = matrix.mean(axis=1, keepdims=True)
    return np.asarray(means_S1 - means_S1.mean())


def _question_signs(rng: np.random.Generator, num_questions: int, num_flips: int) -> Iterator[_Weights]:
    """(F, Q) signs in chunks, after one row that flips nothing."""
    yield np.ones((1, num_questions), dtype=np.float32)
    for rows in _chunks(num_flips, num_questions):
        # A random bit a sign: an eighth of the bytes, and faster than drawing integers.
        bits = np.frombuffer(rng.bytes(rows * (num_questions // 8 + 1)), dtype=np.uint8)
        ones = np.unpackbits(bits.reshape(rows, -1), axis=1)[:, :num_questions]
        yield 2 * ones.astype(np.float32) - 1


def _seed_signs(seed: int, num_seeds: int, num_flips: int) -> Matrix:
    """(1 + F, S) signs, stretched as the seed effects have to be; the first row flips nothing."""
    signs_FS = np.random.default_rng([seed, num_seeds]).choice([-1.0, 1.0], size=(num_flips, num_seeds))
    stretch = (num_seeds / max(num_seeds - 1, 1)) ** 0.5
    return np.concatenate([np.ones((1, num_seeds)), stretch * signs_FS])


def _flipped(matrix: Matrix, means_FS: Matrix, seed_signs_FS: Matrix) -> Sums:
    """The sums of f_q (d_sq - b_s) + g_s b_s, given the (F, S) means of its first term."""
    num_questions = matrix.shape[1]
    effects_S1 = _seed_effects(matrix)
    plain = sums_of(matrix - effects_S1)
    shifts_FS = seed_signs_FS * effects_S1[:, 0]
    shift_F = shifts_FS.mean(axis=1)
    # Flips leave sums of squares alone: only the products with the seeds' shifts are counted anew.
    cross_F = shift_F * (2 * means_FS.mean(axis=1) + shift_F)
    cross_FS = shifts_FS * (2 * means_FS + shifts_FS)
    return Sums(
        means_S=means_FS + shifts_FS,
        questions=plain.questions + num_questions * cross_F,
        cells=plain.cells + num_questions * cross_FS.sum(axis=1),
        num_questions=num_questions,
    )


def _p_values(flipped: Mapping[str, Sums], with_macro: bool) -> dict[str, float]:
    """By benchmark and for the macro mean; the first flip of each is the difference as it was found."""
    parts = {name: [sums] for name, sums in flipped.items()}
    if with_macro:
        parts[MACRO] = list(flipped.values())
    p_F_of = {name: paired_t(sums).p for name, sums in parts.items()}
    return {name: float((1 + np.sum(p_F[1:] <= p_F[0] * _TIE)) / len(p_F)) for name, p_F in p_F_of.items()}
