"""Would another choice have given another answer? And were all settings chosen with equal care?"""

import dataclasses

import numpy as np
import pytest
from synthetic_board import BENCHMARKS, VARIANTS, synthetic_run
from synthetic_samples import change_evaluations

from leaderboards.board.build import build_board
from leaderboards.report.findings import sentences
from leaderboards.report.page.render import page_html
from leaderboards.report.tables import sensitivity_tables
from leaderboards.results.schema import JudgeCheck, RunResults, Tuning

NAMES = ("sft-tag", "sft-tag-x2", "sftkey-tag")


@pytest.fixture(scope="module")
def small() -> RunResults:
    return synthetic_run(tuple(v for v in VARIANTS if v.name in NAMES), n=60)


def test_each_choice_is_made_otherwise_once(small: RunResults) -> None:
    [answer] = build_board([small]).claims
    assert [each.what for each in answer.variations] == [
        "lenient accuracy",
        "strict accuracy",
        *(f"without {name}" for name in BENCHMARKS),
        *(f"score, α = {alpha}" for alpha in ("0", "0.25", "0.5", "0.75", "1")),
    ]
    same, *_, at_one = answer.variations
    assert (same.difference.mean, same.low, same.high) == (answer.difference.mean, answer.low, answer.high)
    assert same.verdict == answer.verdict
    assert at_one.difference == same.difference


def test_a_benchmark_that_decides_is_seen_where_it_is_left_out(small: RunResults) -> None:
    """On it alone one entry is always right, and the other always wrong."""
    decisive = small.samples["benchmark"].eq(BENCHMARKS[0])
    mine, theirs = (small.samples["entry"].eq(name) for name in ("sftkey-tag", "sft-tag-x2"))
    accuracy = small.samples["accuracy"].mask(decisive & mine, True).mask(decisive & theirs, False)
    run = dataclasses.replace(small, samples=small.samples.assign(accuracy=accuracy))
    board = build_board([run])
    verdicts = {each.what: each.verdict for each in board.claims[0].variations}
    assert verdicts["lenient accuracy"] == "confirmed"
    assert verdicts[f"without {BENCHMARKS[0]}"] == "undecided"
    [table] = sensitivity_tables(board)
    assert ("lenient accuracy", "yes") in [(line[0], line[-1]) for line in table.lines]
    page = page_html(board)
    assert "<summary>Does the answer to “sftkey-tag &gt; sft-tag-x2” hang on a choice?</summary>" in page


def test_a_judge_that_says_the_opposite_is_a_line(small: RunResults) -> None:
    judge = np.where(small.samples["entry"].eq("sftkey-tag"), True, small.samples["accuracy"])
    run = change_evaluations(
        dataclasses.replace(small, samples=small.samples.assign(judge=judge)),
        lambda entry, each: dataclasses.replace(each, judge=JudgeCheck("judge", "1", each.n, 0)),
    )
    [answer] = build_board([run]).claims
    verdicts = {each.what: each.verdict for each in answer.variations}
    assert verdicts["the judge's accuracy"] == "confirmed" != answer.verdict


def test_unequal_care_in_choosing_settings_is_said(small: RunResults) -> None:
    def tuned(*of: Tuning | None) -> str:
        by_name = dict(zip(NAMES, of, strict=True))
        entries = tuple(dataclasses.replace(entry, tuning=by_name[entry.name]) for entry in small.entries)
        board = build_board([dataclasses.replace(small, entries=entries)])
        return " ".join(sentences((*board.notes, *board.checks), board))

    six, one = Tuning(6, 3, 0.012), Tuning(1, 3, 0.0)
    assert "Settings" not in tuned(None, None, None)
    equal = tuned(six, six, dataclasses.replace(six, edges=("learning_rate",)))
    assert "Settings were not chosen with equal care" not in equal
    assert "sft-tag-x2 6 × 3 seeds (+1.2 points)" in equal
    assert "lies at the grid's edge for sftkey-tag (learning_rate): better settings may lie beyond" in equal
    assert (
        "equal care: those of sftkey-tag from 6 settings; sft-tag-x2 from 1 settings; sft-tag not at all."
        in (tuned(None, one, six))
    )
