"""The paired permutation test: signs of questions and of seeds flipped, for many comparisons at once."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from leaderboards.stats.components import Sums, sums_of
from leaderboards.stats.figures import MACRO, Matrix
from leaderboards.stats.paired import paired_t
from leaderboards.stats.resampling import Weights, chunks, generator, paired_seeds, product_means, stacked

_TIE = 1 + 1e-4
"""p-values this near are those of the same statistic: sums are kept in single precision."""


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
    for (name, num_questions), members in stacked(differences).items():
        centred = [(index, matrix - _seed_effects(matrix)) for index, matrix in members]
        question_signs = _question_signs(generator(seed, name), num_questions, num_flips)
        for (index, matrix), (_, means_FS) in zip(
            members, product_means(centred, question_signs), strict=True
        ):
            flipped[index][name] = _flipped(matrix, means_FS, _seed_signs(seed, len(matrix), num_flips))
    return [_p_values(sums, paired_seeds(own)) for sums, own in zip(flipped, differences, strict=True)]


def _seed_effects(matrix: Matrix) -> Matrix:
    """(S, 1): by how much each seed's mean differs from the mean over seeds."""
    means_S1 = matrix.mean(axis=1, keepdims=True)
    return np.asarray(means_S1 - means_S1.mean())


def _question_signs(rng: np.random.Generator, num_questions: int, num_flips: int) -> Iterator[Weights]:
    """(F, Q) signs in chunks, after one row that flips nothing."""
    yield np.ones((1, num_questions), dtype=np.float32)
    for rows in chunks(num_flips, num_questions):
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
    found = {name: _share_as_extreme([sums]) for name, sums in flipped.items()}
    if with_macro:
        single = len(found) == 1
        found[MACRO] = next(iter(found.values())) if single else _share_as_extreme(list(flipped.values()))
    return found


def _share_as_extreme(sums: Sequence[Sums]) -> float:
    p_F = paired_t(sums).p
    return float((1 + np.sum(p_F[1:] <= p_F[0] * _TIE)) / len(p_F))
