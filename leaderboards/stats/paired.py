"""The paired difference of two variants on the same questions: interval, test, correction, effect size."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from leaderboards.stats.figures import CONFIDENCE, POWER, Difference, Matrix
from leaderboards.stats.intervals import Components, Sums, components, sums_of, variance


class PairedT(NamedTuple):
    """The clustered t of a paired difference; arrays of shape (...)."""

    centre: Matrix
    error: Matrix
    df: Matrix
    p: Matrix


def paired_difference(differences: Sequence[Matrix]) -> Difference:
    """Mean of paired differences in [-1, 1], with a two-way clustered t interval and p-value.

    See `paired_t` for the test. Interval and p-value share centre, variance and degrees of freedom, so
    p < 1 - `CONFIDENCE` exactly where the interval excludes 0. `detectable` is (t_{1-α/2} + t_{power})
    standard errors (Bloom 1995, doi:10.1177/0193841X9501900504), with this test's degrees of freedom.

    Args:
        differences: One (S, Q) array of variant minus reference per benchmark, all with the same S.
    """
    from scipy.special import stdtrit

    sums = [sums_of(difference) for difference in differences]
    found = paired_t(sums)
    centre, error, df = float(found.centre), float(found.error), float(found.df)
    t = float(stdtrit(df, (1 + CONFIDENCE) / 2))
    return Difference(
        mean=float(np.mean([difference.mean() for difference in differences])),
        low=max(centre - t * error, -1.0),
        high=min(centre + t * error, 1.0),
        p=float(found.p),
        num_questions=sum(part.num_questions for part in sums),
        num_seeds=len(differences[0]),
        mcnemar_p=tuple(mcnemar_p(np.concatenate(row)) for row in zip(*differences, strict=True)),
        se=error,
        gained=sum(int((difference > 0).sum()) for difference in differences),
        lost=sum(int((difference < 0).sum()) for difference in differences),
        detectable=(t + float(stdtrit(df, POWER))) * error,
    )


def paired_t(benchmarks: Sequence[Sums]) -> PairedT:
    """The clustered t test that the macro mean of paired differences is zero.

    Variance and degrees of freedom are those of `intervals.variance`. To each benchmark two pseudo-questions
    are added, half a one to each cell of the matched table (right and wrong of either variant; Agresti & Min
    2005, doi:10.1002/sim.1781), which keeps a handful of discordant questions, or none, from looking certain.
    With several seeds they weigh ρ = S Σ_q d̄_q² / Σ_sq d_sq², clipped to 1/S … 1: as far as the seeds agree
    on the questions that were discordant; 1 where none was.

    With three seeds no permutation over seeds alone can reach p < 0.05; the clustered t pays for few seeds
    through its degrees of freedom instead.
    """
    from scipy.special import stdtr

    parts = components(benchmarks)
    weights = [_pseudo_weight(sums, parts.num_seeds) for sums in benchmarks]
    centres = [
        sums.means_S.mean(axis=-1) * sums.num_questions / (sums.num_questions + 2 * weight)
        for sums, weight in zip(benchmarks, weights, strict=True)
    ]
    total, df = variance(_with_pseudo_questions(parts, benchmarks, weights, centres), num_variants=2)
    centre, error = np.mean(centres, axis=0), np.sqrt(total)
    return PairedT(centre, error, df, 2 * stdtr(df, -np.abs(centre) / error))


def mcnemar_p(difference_Q: Matrix) -> float:
    """Exact two-sided McNemar test (1947): discordant pairs split as Binomial(b + c, 1/2).

    Source: McNemar 1947, doi:10.1007/BF02295996; the exact form, Fagerland, Lydersen & Laake 2013,
    doi:10.1186/1471-2288-13-91. For values other than 0 and 1 this is the sign test. Without a
    discordant pair p is 1.
    """
    from scipy.special import bdtr

    gained, lost = int((difference_Q > 0).sum()), int((difference_Q < 0).sum())
    if gained + lost == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(float(min(gained, lost)), gained + lost, 0.5)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's (1979, Scandinavian Journal of Statistics 6:65-70) step-down adjustment.

    The k-th smallest of m p-values times m - k + 1, made monotone. It holds the family-wise error rate
    whatever the dependence between the tests.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")  # stable, so that equal p-values stay equal in any order of the rows
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())


def cohens_h(first: float, second: float) -> float:
    """Cohen's h = 2 arcsin √first - 2 arcsin √second of two means in [0, 1].

    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, sec. 6.2.

    0.2 is small, 0.5 medium and 0.8 large by his convention; a step means as much near 0 and 1 as in the
    middle, which a difference in points does not.
    """
    return float(2 * np.arcsin(np.sqrt(first)) - 2 * np.arcsin(np.sqrt(second)))


def _pseudo_weight(sums: Sums, num_seeds: int) -> Matrix:
    """ρ of `paired_t`, of shape (...)."""
    # No discordant question: the ratio is 0 / 0, and two whole pseudo-questions keep the test from certainty.
    some = np.where(sums.cells > 0, sums.cells, 1.0)
    return np.where(sums.cells > 0, np.clip(num_seeds * sums.questions / some, 1 / num_seeds, 1.0), 1.0)


def _with_pseudo_questions(
    parts: Components, benchmarks: Sequence[Sums], weights: Sequence[Matrix], centres: Sequence[Matrix]
) -> Components:
    """The question part with the pseudo-questions: of weight 2ρ together, half of them ties."""
    questions = []
    for sums, weight, centre in zip(benchmarks, weights, centres, strict=True):
        # Half of 2ρ are ties, half wins and losses alike: ρ more in the squares, nothing in the mean.
        size = sums.num_questions + 2 * weight
        questions.append(((sums.questions + weight) / size - centre**2) / size)
    return replace(parts, questions_B=np.stack(questions, axis=-1))
