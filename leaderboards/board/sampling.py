"""What k outputs for each question are worth: pass@k, maj@k, and mean@k, with their intervals.

mean@k is the accuracy itself. pass@k' and maj@k' for k' < k are the mean over all subsets of k' of the k
outputs, computed exactly and not by drawing subsets. At k' = 1 all three agree.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.rows import SampledPoint
from leaderboards.results.outcomes import Choices, Draws
from leaderboards.stats import Matrix, SeedSpread, mean_interval
from tasks.errors import InputError
from tasks.scoring import answers_equal

# Beyond it the number of subsets leaves the range of a double.
MAX_SAMPLES = 1000

Votes = tuple[int, tuple[int, ...], int]
"""Outputs that are right; sizes of the groups of equal wrong answers; outputs without an answer."""

ValuesBySize = dict[int, tuple[Matrix, Matrix]]
"""For each k' the (S, Q) values of pass@k' and of maj@k'."""


def sizes(num_samples: int) -> tuple[int, ...]:
    """The k' that are shown: 1, 2, 4, … and k itself."""
    return (*(2**i for i in range((num_samples - 1).bit_length())), num_samples)


def values_by_size(draws: Draws) -> ValuesBySize:
    """pass@k' and maj@k' of every seed and question.

    Raises:
        InputError: more outputs for each question than are allowed.
    """
    num_samples = draws.correct_SQk.shape[2]
    if num_samples > MAX_SAMPLES:
        raise InputError(f"{num_samples} outputs for each question; at most {MAX_SAMPLES} can be counted")
    shown = sizes(num_samples)
    right_SQ, majority_SQK = draws.correct_SQk.sum(axis=2), _majorities(draws, shown)
    return {
        size: (pass_at(num_samples, size)[right_SQ], majority_SQK[:, :, index])
        for index, size in enumerate(shown)
    }


def sampled_points(
    found: Sequence[ValuesBySize], spread: SeedSpread | None = None
) -> tuple[SampledPoint, ...]:
    """What a row gives at each k', over benchmarks with the same k: macro average and intervals.

    A value at k' rests on k / k' separate subsets, which is what its interval may count at most; `spread` is
    that of the seeds of all rows.
    """
    num_samples = max(found[0])
    return tuple(
        SampledPoint(
            size=size,
            passing=mean_interval([each[size][0] for each in found], draws, spread),
            majority=mean_interval([each[size][1] for each in found], draws, spread),
        )
        for size in found[0]
        for draws in [[num_samples / size] * len(found)]
    )


def pass_at(num_samples: int, size: int) -> NDArray[np.float64]:
    """Unbiased pass@k for each number c of right outputs, from 0 to n: 1 - C(n-c, k) / C(n, k).

    arXiv 2107.03374, eq. 1, as the product that its figure 3 gives, which neither overflows nor cancels.

    Args:
        num_samples: n, the outputs drawn for a question.
        size: k, how many of them one may try.
    """
    factors = 1 - size / np.arange(1.0, num_samples + 1)
    return np.array(
        [
            1.0 if num_samples - right < size else 1 - float(np.prod(factors[num_samples - right :]))
            for right in range(num_samples + 1)
        ]
    )


def majority_at(votes: Votes, shown: Sequence[int]) -> NDArray[np.float64]:
    """Probability that the right answer wins the vote among k' of the k outputs drawn without replacement.

    The plurality of arXiv 2203.11171 (self-consistency). Of several answers with the most votes each wins
    equally often: a tie of t answers counts 1/t where the right one is among them. An output without an
    answer has no vote, and without any vote nothing is right.

    With more right votes than any wrong answer has outputs, the right one wins. Below that, for each number r
    of right votes, the ways to draw the rest such that no wrong answer has more than r and t of them have
    exactly r are the coefficients of a product of polynomials, one for each wrong answer.

    Args:
        votes: how the outputs of a question voted.
        shown: the k', each at most k.

    Returns:
        One value for each k'.
    """
    right, wrong, missing = votes
    num_wrong, largest = sum(wrong) + missing, max(wrong, default=0)
    # Drawings with more right votes than the largest wrong answer has outputs need no look at the rivals.
    clear = _binomials(right).copy()
    clear[: largest + 1] = 0
    wins = np.convolve(clear, _binomials(num_wrong))
    for held in range(1, min(right, largest) + 1):
        ways = _ways([size for size in wrong if size >= held], num_wrong, held)
        of_right = _binomials(right)[held]
        for tied, ways_D in enumerate(ways):
            wins[held : held + len(ways_D)] += of_right * ways_D / (1 + tied)
    return wins[list(shown)] / _binomials(right + num_wrong)[list(shown)]


def _ways(rivals: Sequence[int], num_wrong: int, held: int) -> NDArray[np.float64]:
    """Ways to draw d wrong outputs with t rivals at `held` votes and none above it: shape (T, D)."""
    beaten = num_wrong - sum(rivals)
    ways = np.zeros((len(rivals) + 1, num_wrong + 1))
    ways[0, : beaten + 1] = _binomials(beaten)
    for size in rivals:
        # Multiply by this rival's polynomial: fewer than `held` of it leave the ties alone, `held` add one.
        added = np.zeros_like(ways)
        for drawn, choices in enumerate(_binomials(size)[:held]):
            added[:, drawn:] += choices * ways[:, : num_wrong + 1 - drawn]
        added[1:, held:] += _binomials(size)[held] * ways[:-1, :-held]
        ways = added
    return ways


@lru_cache(maxsize=MAX_SAMPLES + 1)
def _binomials(n: int) -> NDArray[np.float64]:
    """C(n, 0), …, C(n, n)."""
    return np.array([float(comb(n, drawn)) for drawn in range(n + 1)])


def _majorities(draws: Draws, shown: Sequence[int]) -> NDArray[np.float64]:
    """maj@k' of every seed and question: (S, Q, K'); questions whose outputs voted alike share the work."""
    # With k outputs there are few ways to vote: most of a million questions vote like one already counted.
    majority = lru_cache(maxsize=None)(lambda votes: majority_at(votes, shown))
    # Models make the same few mistakes.
    equal = lru_cache(maxsize=100_000)(
        lambda left, right, choices: answers_equal(left, right, draws.kind, choices)
    )
    return np.array(
        [
            [
                majority(count_votes(correct, extracted, choices, equal))
                for correct, extracted, choices in zip(
                    correct_Qk.tolist(), extracted_Qk.tolist(), draws.choices_Q, strict=True
                )
            ]
            for correct_Qk, extracted_Qk in zip(draws.correct_SQk, draws.extracted_SQk, strict=True)
        ]
    )


def count_votes(
    correct: Sequence[bool],
    extracted: Sequence[str | None],
    choices: Choices,
    equal: Callable[[str, str, Choices], bool],
) -> Votes:
    """How the k outputs of one question voted.

    All right outputs vote for the reference's answer, so that maj@1 is the accuracy; a wrong one votes for
    the answer extracted from it, where there is one. Wrong answers are compared with each other, by `equal`,
    only where a right one could lose to them.
    """
    right = sum(correct)
    answers = Counter(
        answer for answer, is_right in zip(extracted, correct, strict=True) if answer and not is_right
    )
    missing = len(correct) - right - answers.total()
    if right == 0:
        return 0, (), len(correct)
    groups: dict[str, int] = {}
    for answer, count in answers.items():
        same = next((other for other in groups if equal(other, answer, choices)), answer)
        groups[same] = groups.get(same, 0) + count
    return right, tuple(sorted(groups.values())), missing
