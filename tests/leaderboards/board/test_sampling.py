"""pass@k and maj@k against brute force over all subsets, how answers vote, and the intervals' coverage."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Sequence
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards.board.sampling import (
    Votes,
    count_votes,
    majority_at,
    pass_at,
    sampled_points,
    sizes,
    values_by_size,
)
from leaderboards.results.outcomes import Draws
from leaderboards.stats import mean_interval
from tasks.scoring import answers_equal

VOTES = st.tuples(
    st.integers(0, 4), st.lists(st.integers(1, 3), max_size=3).map(tuple), st.integers(0, 2)
).filter(lambda votes: votes[0] + sum(votes[1]) + votes[2] > 0)


def majority_by_brute_force(votes: Votes, size: int) -> float:
    """The share of all subsets in which the right answer wins; a tie counts in part."""
    right, wrong, missing = votes
    outputs: list[str | None] = ["right"] * right + [None] * missing
    for index, count in enumerate(wrong):
        outputs += [f"wrong {index}"] * count
    worth = []
    for drawn in itertools.combinations(outputs, size):
        counts = Counter(answer for answer in drawn if answer is not None)
        winners = [answer for answer in counts if counts[answer] == max(counts.values())]
        worth.append(1 / len(winners) if "right" in winners else 0.0)
    return float(np.mean(worth))


def draws_of(correct_SQk: np.ndarray, extracted_SQk: np.ndarray, kind: str = "number") -> Draws:
    return Draws(kind, correct_SQk, extracted_SQk, (None,) * correct_SQk.shape[1])


def number_votes(correct: Sequence[bool], extracted: Sequence[str | None]) -> Votes:
    return count_votes(correct, extracted, None, lambda a, b, _: answers_equal(a, b, "number", None))


@pytest.mark.parametrize("num_samples", [1, 2, 5, 8])
def test_pass_at_k_is_the_share_of_all_subsets_with_a_right_output(num_samples: int) -> None:
    for size in range(1, num_samples + 1):
        for right, found in enumerate(pass_at(num_samples, size)):
            outputs = [True] * right + [False] * (num_samples - right)
            share = np.mean([any(drawn) for drawn in itertools.combinations(outputs, size)])
            assert found == pytest.approx(share, abs=1e-12)


def test_pass_at_k_stays_exact_where_binomials_overflow() -> None:
    found = pass_at(1000, 500)
    exact = [float(1 - comb(1000 - right, 500) / comb(1000, 500)) for right in (1, 2, 7)]
    assert [found[right] for right in (1, 2, 7)] == pytest.approx(exact, rel=1e-12)
    assert np.isfinite(found).all()


@settings(deadline=None)
@given(VOTES)
def test_maj_at_k_is_the_share_of_all_subsets_in_which_the_right_answer_wins(votes: Votes) -> None:
    shown = range(1, votes[0] + sum(votes[1]) + votes[2] + 1)
    expected = [majority_by_brute_force(votes, size) for size in shown]
    assert majority_at(votes, shown) == pytest.approx(expected, abs=1e-12)


def test_maj_at_k_of_many_outputs_agrees_with_drawing_them() -> None:
    votes, size = (20, (22, 9, 4, 1, 1), 7), 16
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), [20, 22, 9, 4, 1, 1, 7])
    won = []
    for _ in range(20_000):
        counts = np.bincount(rng.permutation(labels)[:size], minlength=7)[:6]
        won.append((counts[0] == counts.max()) / (counts == counts.max()).sum())
    assert majority_at(votes, [size])[0] == pytest.approx(np.mean(won), abs=0.01)


def test_equal_answers_vote_together_and_missing_ones_never_win() -> None:
    votes = number_votes([True, False, False, False, False], ["4", "6", "6.0", "1,000", None])
    assert votes == (1, (1, 2), 1)
    assert majority_at(votes, [5])[0] == 0
    assert majority_at(number_votes([True, False, False, False], ["4", None, None, None]), [4])[0] == 1
    assert majority_at(number_votes([False, False], [None, None]), [2])[0] == 0
    assert majority_at(number_votes([True, False], ["4", "5"]), [2])[0] == 0.5


def test_choices_vote_by_letter_or_by_their_words() -> None:
    correct = np.array([[[True, False, False]]])
    extracted = np.array([[["A", "B", "a red kite"]]], dtype=object)
    known = Draws("choice", correct, extracted, (("a blue tit", "a red kite"),))
    assert values_by_size(known)[3][1][0, 0] == 0
    assert values_by_size(dataclasses.replace(known, kind="text"))[3][1][0, 0] == pytest.approx(1 / 3)


def test_the_curve_goes_by_powers_of_two_to_k() -> None:
    assert [sizes(k) for k in (1, 2, 6, 8)] == [(1,), (1, 2), (1, 2, 4, 6), (1, 2, 4, 8)]


def test_with_one_output_all_three_are_the_accuracy_exactly() -> None:
    rng = np.random.default_rng(1)
    correct = rng.random((3, 50, 1)) < 0.6
    answers = np.where(correct, "4", np.where(rng.random(correct.shape) < 0.5, "5", None))
    (point,) = sampled_points([values_by_size(draws_of(correct, answers))])
    plain = mean_interval([correct[:, :, 0].astype(float)])
    assert point.passing == point.majority == plain


def test_more_outputs_for_each_question_narrow_the_interval_of_the_mean() -> None:
    rng = np.random.default_rng(2)
    chance = rng.uniform(0.3, 0.7, 200)
    few, many = (
        mean_interval([(rng.random((1, 200, k)) < chance[None, :, None]).mean(axis=2)], draws=[k])
        for k in (1, 16)
    )
    assert many.high - many.low < 0.5 * (few.high - few.low)


@pytest.mark.parametrize(("a", "b"), [(0.7, 0.7), (0.3, 6.0)])
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_intervals_cover_the_truth(seeds: int, a: float, b: float) -> None:
    rng = np.random.default_rng([seeds, int(10 * a)])
    truth = {size: 1 - float(np.mean((1 - rng.beta(a, b, 200_000)) ** size)) for size in (1, 2, 4)}
    covered = []
    for _ in range(150):
        correct = rng.random((seeds, 100, 4)) < rng.beta(a, b, (1, 100, 1))
        answers = np.where(correct, "4", "5").astype(object)
        points = sampled_points([values_by_size(draws_of(correct, answers))])
        covered.append([point.passing.low <= truth[point.size] <= point.passing.high for point in points])
    shares = np.mean(covered, axis=0)
    assert shares.min() >= 0.9
    assert 0.92 <= shares.mean() <= 0.99
