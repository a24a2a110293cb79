"""Tiers of what cannot be told apart, the score for every α, and accuracy by length."""

import dataclasses
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_board import VARIANTS, Variant, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.comparing import tiers
from leaderboards.board.conclusions import flops_per_point, gained_points
from leaderboards.board.findings import ScoreLeaders
from leaderboards.board.rows import ALPHAS, Board, Comparison, Pair, Row
from leaderboards.report.findings import sentences
from leaderboards.results.schema import METRICS, RunResults
from leaderboards.stats import MACRO, Difference


@pytest.fixture(scope="module")
def board(run: RunResults) -> Board:
    return build_board([run])


def pair(first: int, second: int, differs: bool) -> Pair:
    difference = Difference(0.1, 0.0, 0.2, 0.5, 100, 3, ())
    return Pair(first, second, Comparison(difference, 0.5, "better" if differs else "undecided"))


# Tiers


def test_a_row_that_nobody_in_it_beats_belongs_to_a_tier() -> None:
    chain = [pair(0, 1, False), pair(1, 2, False), pair(0, 2, True), pair(2, 3, False)]
    chain += [pair(0, 3, True), pair(1, 3, True)]
    assert tiers([0, 1, 2, 3], chain) == {0: 1, 1: 1, 2: 2, 3: 2}


def test_an_uncertain_row_holds_nobody_up() -> None:
    """The best row cannot be told from any, but the second beats the third."""
    assert tiers([0, 1, 2], [pair(0, 1, False), pair(0, 2, False), pair(1, 2, True)]) == {0: 1, 1: 1, 2: 2}


def test_a_row_of_which_nothing_is_known_has_no_tier() -> None:
    one_seed = pair(1, 2, False)
    unknown = dataclasses.replace(one_seed.comparison.difference, known=False)
    one_seed = dataclasses.replace(
        one_seed, comparison=dataclasses.replace(one_seed.comparison, difference=unknown)
    )
    assert tiers([0, 1, 2], [pair(0, 1, True), one_seed]) == {0: 1, 1: 2}
    assert tiers([0, 1], []) == {}


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.booleans(), min_size=21))))
def test_tiers_hold_what_their_sentence_says(case: tuple[int, list[bool]]) -> None:
    size, differ = case
    pairs = [pair(a, b, d) for (a, b), d in zip(combinations(range(size), 2), differ, strict=False)]
    found = tiers(range(size), pairs)
    assert set(found) == (set(range(size)) if pairs else set())
    if not found:
        return
    assert set(found.values()) == set(range(1, max(found.values()) + 1))
    beaten = {(each.first, each.second) for each in pairs if each.comparison.verdict == "better"}
    assert all(found[first] < found[second] for first, second in beaten), "none of a tier beats another"
    for row, tier in found.items():
        above = [other for other in found if found[other] == tier - 1]
        assert tier == 1 or any((other, row) in beaten for other in above)


def test_the_board_has_all_pairs_of_its_ranked_rows_and_their_tiers(board: Board) -> None:
    assert len(board.pairs) == 21
    assert board.rows[0].tier == 1
    assert {row.name: row.tier for row in board.rows}["key-tag"] == max(row.tier or 0 for row in board.rows)
    assert all(pair.comparison.difference.mean >= 0 for pair in board.pairs), "rows stand best first"


# Any reference


def test_every_reference_gives_what_a_board_built_for_it_gives(run: RunResults, board: Board) -> None:
    other = build_board([run], reference="sft")
    assert board.versus["sft"].keys() == other.versus["sft"].keys()
    for (position, where, metric), comparison in board.versus["sft"].items():
        name = board.rows[position].name
        row = next(row for row in other.rows if row.name == name)
        cell = row.cell(where)
        assert cell is not None
        shown = cell.metric(metric).comparison
        assert shown is not None
        assert comparison.difference.mean == pytest.approx(shown.difference.mean)
        assert comparison.difference.low == pytest.approx(shown.difference.low)
        assert comparison.p_holm == pytest.approx(shown.p_holm)
        assert comparison.verdict == shown.verdict


def test_two_rows_mirror_each_other(board: Board) -> None:
    positions = {row.name: position for position, row in enumerate(board.rows)}
    for metric in METRICS:
        there = board.versus["sftkey-tag"][positions["sft-tag"], MACRO, metric]
        back = board.versus["sft-tag"][positions["sftkey-tag"], MACRO, metric]
        assert there.difference.mean == pytest.approx(-back.difference.mean)
        assert (there.difference.low, there.difference.high) == pytest.approx(
            (-back.difference.high, -back.difference.low)
        )
        assert (there.difference.gained, there.difference.lost) == (
            back.difference.lost,
            back.difference.gained,
        )
        assert there.effect == pytest.approx(-back.effect)


# α


def test_scores_run_from_format_to_accuracy(board: Board) -> None:
    for row in board.rows:
        if not row.tagged:
            assert row.score_by_alpha is None
            continue
        assert row.score_by_alpha is not None
        assert row.macro is not None
        means = [estimate.mean for estimate in row.score_by_alpha]
        assert means[0] == pytest.approx(row.macro.metric("format_valid").estimate.mean)
        assert means[-1] == pytest.approx(row.macro.metric("accuracy").estimate.mean)
        assert means[7] == pytest.approx(row.macro.metric("score").estimate.mean)
        assert np.allclose(np.diff(means), means[1] - means[0])


def ranking(board: Board, alpha: float) -> list[int]:
    def score(row: Row) -> float:
        assert row.score_by_alpha is not None
        return alpha * row.score_by_alpha[-1].mean + (1 - alpha) * row.score_by_alpha[0].mean

    positions = [position for position, row in enumerate(board.rows) if row.score_by_alpha]
    return sorted(positions, key=lambda position: -score(board.rows[position]))


def test_between_two_changes_the_ranking_stays_and_at_each_one_pair_swaps(board: Board) -> None:
    assert board.alpha_changes, "the synthetic variants change places"
    edges = [0.0, *(change.alpha for change in board.alpha_changes), 1.0]
    assert edges == sorted(edges)
    inside = [
        ranking(board, low + part * (high - low)) for low, high in pairwise(edges) for part in (0.1, 0.9)
    ]
    for first, second in zip(inside[::2], inside[1::2], strict=True):
        assert first == second
    for before, after, change in zip(inside[1:-1:2], inside[2::2], board.alpha_changes, strict=True):
        expected = list(before)
        rises, falls = expected.index(change.rises), expected.index(change.falls)
        assert rises == falls + 1
        expected[rises], expected[falls] = expected[falls], expected[rises]
        assert after == expected


def leaders(board: Board) -> tuple[str, ...]:
    """The sentences on who leads by score."""
    return sentences([check for check in board.checks if isinstance(check, ScoreLeaders)], board)


def test_it_is_said_who_leads_for_which_alpha(board: Board) -> None:
    [sentence] = leaders(board)
    assert board.rows[ranking(board, 0.01)[0]].name in sentence
    assert board.rows[ranking(board, 0.99)[0]].name in sentence
    alone = build_board([synthetic_run(tuple(v for v in VARIANTS if v.name == "sft-tag"), n=30)])
    assert not leaders(alone)


def test_a_swap_counts_only_where_both_accuracy_and_format_differ() -> None:
    strong = Variant("strong", True, 1.2, 0.30, ("full",))
    tidy = Variant("tidy", True, -0.9, 0.99, ("full",))
    twin = Variant("twin", True, 1.21, 0.31, ("full",))
    found = build_board([synthetic_run((strong, tidy, twin), n=200)])
    told = {
        frozenset((found.rows[c.rises].name, found.rows[c.falls].name)): c.distinguishable
        for c in found.alpha_changes
    }
    assert told[frozenset(("strong", "tidy"))]
    assert not told.get(frozenset(("strong", "twin")), False)
    assert len(ALPHAS) == 11


# Lengths


def with_lengths(run: RunResults) -> RunResults:
    """Reasoning as long as the question's number is high; wrong where it is longest."""
    number = run.samples["sample_id"].str[-4:].astype(int)
    samples = run.samples.assign(
        thinking_chars=pd.array(100 + number, dtype="Int64"),
        gold_chars=pd.array(1 + number % 2, dtype="Int64"),
        accuracy=number < 150,
    )
    return dataclasses.replace(run, samples=samples)


def test_buckets_hold_equal_parts_and_their_accuracy() -> None:
    run = with_lengths(synthetic_run(tuple(v for v in VARIANTS if v.name in ("sft", "sft-tag"))))
    board = build_board([run])
    for row in board.rows:
        for cell in row.cells:
            reasoning = [bucket for bucket in cell.buckets if bucket.by == "reasoning"]
            assert [(bucket.low, bucket.high) for bucket in reasoning] == [
                (100, 148), (149, 198), (199, 248), (249, 299),
            ]  # fmt: skip
            assert [bucket.accuracy.mean for bucket in reasoning] == pytest.approx([1, 1, 1, 1 / 51])
            assert sum(bucket.num_outputs for bucket in reasoning) == cell.num_outputs
            assert [bucket.num_questions for bucket in reasoning] == [49, 50, 50, 51]
            answer = [bucket for bucket in cell.buckets if bucket.by == "answer"]
            assert [(bucket.low, bucket.num_questions) for bucket in answer] == [(1, 100), (2, 100)]


def test_there_are_no_buckets_where_lengths_are_unknown_or_all_alike(run: RunResults) -> None:
    assert not any(cell.buckets for row in build_board([run]).rows for cell in row.cells)
    same = dataclasses.replace(
        run, samples=run.samples.assign(thinking_chars=pd.array([5] * len(run.samples), dtype="Int64"))
    )
    assert not any(cell.buckets for row in build_board([same]).rows for cell in row.cells)


def test_outputs_without_reasoning_stand_in_no_bucket() -> None:
    run = with_lengths(synthetic_run(tuple(v for v in VARIANTS if v.name in ("sft", "sft-tag"))))
    lengths = run.samples["thinking_chars"].mask(run.samples["entry"] == "sft")
    board = build_board([dataclasses.replace(run, samples=run.samples.assign(thinking_chars=lengths))])
    found = {row.name: {b.by for cell in row.cells for b in cell.buckets} for row in board.rows}
    assert found == {"sft": {"answer"}, "sft-tag": {"reasoning", "answer"}}


# Cost per point


def test_the_cost_of_a_point_counts_from_the_untrained_base(board: Board) -> None:
    base = next(row for row in board.rows if row.name == "base")
    best = board.rows[0]
    gained = gained_points(best, board.rows)
    assert best.macro is not None
    assert base.macro is not None
    assert best.cost is not None
    difference = best.macro.metric("accuracy").estimate.mean - base.macro.metric("accuracy").estimate.mean
    assert gained == pytest.approx(100 * difference)
    assert flops_per_point(best, board.rows) == pytest.approx(best.cost.total_flops / gained)
    worse = next(row for row in board.rows if row.name == "key-tag")
    assert gained_points(worse, board.rows) is not None
    assert flops_per_point(worse, board.rows) is None, "nothing was gained"
    assert gained_points(base, board.rows) is None
