"""What a board found is data that can be read without its sentences, and every kind of it has one."""

import dataclasses
from collections.abc import Callable
from typing import get_args

import pytest
from synthetic_board import VARIANTS, synthetic_run
from synthetic_samples import change_evaluations

from leaderboards.board.build import build_board
from leaderboards.board.findings import (
    AgainstReference,
    ComputeMatch,
    Detectable,
    FewQuestions,
    Finding,
    Headline,
    NoOverlap,
    Overlapping,
    ScoreLeaders,
)
from leaderboards.board.rows import Board
from leaderboards.report.findings import sentence, sentences
from leaderboards.results.schema import Overlap, RunResults


@pytest.fixture(scope="module")
def board(run: RunResults) -> Board:
    return build_board([run])


def test_every_kind_has_a_sentence_of_its_own() -> None:
    kinds = get_args(Finding)
    assert len(kinds) == 24
    assert all(sentence.dispatch(kind) is not sentence.dispatch(object) for kind in kinds)


def test_the_summary_is_the_headline_each_comparison_and_the_compute(board: Board) -> None:
    headline, *others = board.summary
    better = [
        position
        for position, row in enumerate(board.rows)
        if row.macro and (found := row.macro.metric("accuracy").comparison) and found.verdict == "better"
    ]
    assert headline == Headline(tuple(better))
    compared = [finding.row for finding in others if isinstance(finding, AgainstReference)]
    assert len(compared) == len(board.rows) - 1
    (match,) = [finding for finding in others if isinstance(finding, ComputeMatch)]
    assert sorted(row for group in match.groups for row in group.rows) == [
        position for position, row in enumerate(board.rows) if row.cost
    ]
    assert board.rows[match.groups[0].rows[0]].is_reference


def test_cautions_hold_figures_and_not_words(board: Board) -> None:
    detectable = next(note for note in board.notes if isinstance(note, Detectable))
    assert 0 < detectable.least[1] <= detectable.most[1] < 1
    small = build_board([synthetic_run(tuple(VARIANTS[:3]), n=40)])
    few = [note for note in small.notes if isinstance(note, FewQuestions)]
    assert [(note.benchmark, note.num_questions) for note in few] == [(name, 40) for name in small.benchmarks]


def test_rows_with_the_same_finding_stand_in_one(make_run: Callable[..., RunResults]) -> None:
    found, none = Overlap(20, 800, 1, 2, 13, (("q1", "t1"),)), Overlap(20, 800, 0, 0, 13)
    run = change_evaluations(
        make_run(n=20),
        lambda entry, evaluation: (
            dataclasses.replace(
                evaluation,
                overlap=found if evaluation.benchmark == "world_number" else none,
            )
            if entry.role == "trained"
            else evaluation
        ),
    )
    board = build_board([run])
    trained = {position for position, row in enumerate(board.rows) if row.role == "trained"}
    (overlapping,) = [note for note in board.notes if isinstance(note, Overlapping)]
    assert (overlapping.benchmark, set(overlapping.rows), overlapping.overlap) == (
        "world_number",
        trained,
        found,
    )
    (clean,) = [check for check in board.checks if isinstance(check, NoOverlap)]
    assert set(clean.rows) == trained
    assert [benchmark for benchmark, _ in clean.benchmarks] == list(board.benchmarks[1:])


def test_the_spans_of_who_leads_cover_every_alpha(board: Board) -> None:
    (leaders,) = [check for check in board.checks if isinstance(check, ScoreLeaders)]
    assert (leaders.spans[0][0], leaders.spans[-1][1]) == (0, 1)
    assert all(before[1] == after[0] for before, after in zip(leaders.spans, leaders.spans[1:], strict=False))
    assert leaders.num_changes == len(board.alpha_changes)


def test_a_board_says_as_much_as_it_found(board: Board) -> None:
    for findings in (board.summary, board.notes, board.checks):
        said = sentences(findings, board)
        assert len(said) == len(findings)
        assert all(text.endswith(".") and "\n" not in text for text in said)
