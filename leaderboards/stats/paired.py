"""The paired difference of two variants on the same questions: interval, test, correction, effect size."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from leaderboards.stats.figures import CONFIDENCE, Difference, Matrix
from leaderboards.stats.intervals import variance
from leaderboards.stats.mean_squares import Components, Contents, Sums, components, distinct, sums_of
from leaderboards.stats.seeds import SeedSpread


class PairedT(NamedTuple):
    """The clustered t of a paired difference; arrays of shape (...)."""

    centre: Matrix
    error: Matrix
    df: Matrix
    p: Matrix


def paired_difference(
    differences: Sequence[Matrix],
    spread: SeedSpread | None = None,
    sides: int = 2,
    contents: Sequence[Contents] | None = None,
) -> Difference:
    """Mean of paired differences in [-1, 1], with a two-way clustered t interval and p-value.

    See `paired_t` for the test. Interval and p-value share centre, variance and degrees of freedom, so
    p < 1 - `CONFIDENCE` exactly where the interval excludes 0.

    Args:
        differences: One (S, Q) array of variant minus reference per benchmark, all with the same S.
        spread: Of the seeds of all variants of the family; those of these differences alone where None, of
            which nothing is known for other seeds.
        sides: How many of the two have several seeds.
        contents: Of the questions; those that stand twice count once (`mean_squares.distinct`).
    """
    from scipy.special import stdtrit

    sums = [sums_of(layout) for layout in distinct(differences, contents)]
    found = paired_t(sums, spread, sides)
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
        centre=centre,
        df=df,
        known=len(differences[0]) > 1 and spread is not None and spread.known,
    )


def mean_difference(differences: Sequence[Matrix], contents: Sequence[Contents] | None = None) -> Difference:
    """Mean of paired differences of a quantity without bounds, such as bits, with its clustered t.

    Variance and degrees of freedom are those of `intervals.variance`; what other variants' seeds did in
    logits says nothing of such a quantity, so that the seeds' part is that of these differences alone, and
    there are no pseudo-questions. Arguments as those of `paired_difference`; `known` means several seeds.
    """
    from scipy.special import stdtr, stdtrit

    sums = [sums_of(layout) for layout in distinct(differences, contents)]
    total, df = variance(components(sums))
    mean, error, degrees = (
        float(np.mean([sum_.means_S.mean() for sum_ in sums])),
        float(np.sqrt(total)),
        float(df),
    )
    reach = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(mean) / error)) if error else float(not mean)
    num_questions, num_seeds = sum(part.num_questions for part in sums), len(differences[0])
    return Difference(
        mean, mean - reach, mean + reach, p, num_questions, num_seeds, (),
        se=error, centre=mean, df=degrees, known=num_seeds > 1,
    )  # fmt: skip


def paired_t(benchmarks: Sequence[Sums], spread: SeedSpread | None = None, sides: int = 2) -> PairedT:
    """The clustered t test that the macro mean of paired differences is zero.

    Variance and degrees of freedom are those of `intervals.variance`. To each benchmark two pseudo-questions
    are added, half a one to each cell of the matched table (right and wrong of either variant; Agresti & Min
    2005, doi:10.1002/sim.1781), which keeps a handful of discordant questions, or none, from looking certain.
    With several seeds they weigh ρ = S Σ_q d̄_q² / Σ_sq d_sq², clipped to 1/S … 1: as far as the seeds agree
    on the questions that were discordant; 1 where none was.

    With three seeds no permutation over seeds alone can reach p < 0.05, and flipping questions as well finds
    differences that are not there; the clustered t pays for few seeds through its degrees of freedom instead.
    """
    from scipy.special import stdtr

    parts = components(benchmarks)
    weights = [_pseudo_weight(sums, parts.num_seeds) for sums in benchmarks]
    centres = [
        sums.means_S.mean(axis=-1) * sums.num_questions / (sums.num_questions + 2 * weight)
        for sums, weight in zip(benchmarks, weights, strict=True)
    ]
    total, df = variance(_with_pseudo_questions(parts, benchmarks, weights, centres), spread, sides)
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
    return _stepped(p_values, range(len(p_values), 0, -1))


def _stepped(p_values: Sequence[float], factors: Sequence[int]) -> tuple[float, ...]:
    """The sorted p-values times these factors, made monotone."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")  # stable, so that equal p-values stay equal in any order of the rows
    stepped = np.maximum.accumulate(p[order] * np.asarray(factors))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())


def shaffer(p_values: Sequence[float], num_variants: int) -> tuple[float, ...]:
    """Holm's adjustment of the p-values of all pairs of variants, by what can be true at once.

    Once some pairs differ, not all the others can be alike: the k-th smallest p-value is multiplied by the
    largest number of equalities that may hold where k - 1 do not (Shaffer 1986,
    doi:10.1080/01621459.1986.10478341, procedure S1).

    Args:
        p_values: of all pairs, num_variants · (num_variants - 1) / 2 of them.
        num_variants: how many variants the pairs are of.
    """
    counts, num = _equal_pairs(num_variants), len(p_values)
    return _stepped(p_values, [counts[bisect_right(counts, num - k) - 1] for k in range(num)])


@cache
def _equal_pairs(num_variants: int) -> list[int]:
    """How many pairs of variants can be alike at once, sorted: variants fall into groups of equals."""
    possible: list[set[int]] = [{0}]
    for size in range(1, num_variants + 1):
        groups = range(1, size + 1)
        possible.append({g * (g - 1) // 2 + rest for g in groups for rest in possible[size - g]})
    return sorted(possible[num_variants])


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
