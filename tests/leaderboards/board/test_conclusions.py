"""What the board says of judges, overlap, the reference engine, settings, and a checkpoint's licence."""

import csv
import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from synthetic_board import BENCHMARKS, VARIANTS, synthetic_run
from synthetic_samples import change_evaluations

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.findings import sentences
from leaderboards.report.markdown import csv_text, markdown
from leaderboards.report.page.render import page_html
from leaderboards.report.terminal import render
from leaderboards.report.wording import web_link
from leaderboards.results.schema import Entry, Evaluation, ExactCheck, JudgeCheck, Overlap, RunResults
from leaderboards.results.store import read_outcomes, write_results

CLEAN = Overlap(n=40, num_train=7_473, exact=0, ngram=0, ngram_size=13)
KNOWN = Overlap(40, 7_473, exact=1, ngram=3, ngram_size=13, examples=(("q-7", "t-99"),))


def forms(board: Board) -> dict[str, str]:
    """Every form as text with single spaces, the page without its inline data and scripts."""
    console = Console(width=80, file=io.StringIO(), color_system=None, legacy_windows=False)
    render(board, console, full=True)
    assert isinstance(console.file, io.StringIO)
    page = page_html(board).split('<script type="application/json"')[0]
    texts = {"terminal": console.file.getvalue(), "markdown": markdown(board), "page": page}
    return {name: " ".join(text.split()) for name, text in texts.items()}


@pytest.fixture(scope="module")
def small() -> RunResults:
    return synthetic_run(tuple(v for v in VARIANTS if v.name in ("base", "sft", "sft-tag")), n=40)


def judged(run: RunResults) -> RunResults:
    """A judge that turns every 10th verdict round on the first benchmark and reads none of each 40th."""
    mine = (run.samples["benchmark"] == BENCHMARKS[0]).to_numpy()
    place = np.arange(len(run.samples)) % 40
    rule = run.samples["accuracy"].to_numpy()
    judge = np.where(mine & (place != 39), rule ^ (place % 10 == 0), None)

    def check(entry: Entry, evaluation: Evaluation) -> Evaluation:
        found = JudgeCheck("judge-7b at http://localhost:8000", "2", 39, 1)
        return dataclasses.replace(evaluation, judge=found if evaluation.benchmark == BENCHMARKS[0] else None)

    samples = run.samples.assign(judge=judge)
    return dataclasses.replace(change_evaluations(run, check), samples=samples)


def test_the_judge_stands_beside_the_rule_on_the_outputs_it_judged(small: RunResults, tmp_path: Path) -> None:
    run = judged(small)
    write_results(tmp_path, {}, run.entries, run.samples)
    board = build_board([read_outcomes(tmp_path)])
    cell = next(row for row in board.rows if row.name == "sft").cell(BENCHMARKS[0])
    assert cell is not None
    found = cell.judged
    assert found is not None
    own = run.samples[(run.samples["entry"] == "sft") & run.samples["judge"].notna()]
    assert (found.n, found.unreadable) == (117, 3)
    assert found.rule_accuracy == pytest.approx(own["accuracy"].mean())
    assert found.judge_accuracy == pytest.approx(own["judge"].astype(bool).mean())
    assert found.rule_only + found.judge_only == 12
    assert found.agreement == pytest.approx(105 / 117)
    for text in forms(board).values():
        assert "Judge beside rule" in text
        assert "Judge: judge-7b at http://localhost:8000, prompt 2." in text
        assert "world_number: judge and rule differ on 28 of 273 outputs" in text
        assert "7 of the judge's verdicts could not be read." in text.replace("&#39;", "'")
    lines = list(csv.DictReader(io.StringIO(csv_text(board))))
    line = next(line for line in lines if (line["entry"], line["metric"]) == ("sft", "judge_agreement"))
    assert (line["benchmark"], line["n"], float(line["mean"])) == ("world_number", "117", 0.897436)


def test_the_figures_of_the_board_are_the_rules_also_where_a_judge_was_asked(small: RunResults) -> None:
    plain, with_judge = build_board([small]), build_board([judged(small)])
    for row, other in zip(plain.rows, with_judge.rows, strict=True):
        assert row.macro == other.macro
        assert [cell.metrics for cell in row.cells] == [cell.metrics for cell in other.cells]


def test_test_questions_in_the_training_data_are_a_warning(small: RunResults) -> None:
    def seen(entry: Entry, evaluation: Evaluation) -> Evaluation:
        found = KNOWN if evaluation.benchmark == BENCHMARKS[0] else CLEAN
        return dataclasses.replace(evaluation, overlap=None if entry.name == "base" else found)

    board = build_board([change_evaluations(small, seen)])
    warning = next(note for note in sentences(board.notes, board) if "training data" in note)
    assert warning.startswith(
        "world_number: 3 of the 40 test questions (7.5 %) share a run of 13 words with the training data of "
    )
    assert "(7,473 records), 1 of them word for word (such as q-7 in t-99)" in warning
    assert "base" not in warning
    (check,) = sentences(board.checks, board)
    assert check.startswith("None of the test questions of world_number_gap1 (40), world_choice (40) and ")
    assert all(name in check for name in ("sft", "sft-tag"))
    for text in forms(board).values():
        assert warning in text
        assert check in text


def test_rows_trained_on_other_data_are_told_apart(small: RunResults) -> None:
    def seen(entry: Entry, evaluation: Evaluation) -> Evaluation:
        known = entry.name == "sft" and evaluation.benchmark == BENCHMARKS[0]
        return dataclasses.replace(evaluation, overlap=KNOWN if known else CLEAN)

    board = build_board([change_evaluations(small, seen)])
    assert [note for note in sentences(board.notes, board) if "with the training data of sft (" in note]
    of_sft, of_others = sorted(sentences(board.checks, board), key=len)
    assert "world_number (40)" not in of_sft
    assert "data of sft (" in of_sft
    assert "world_number (40)" in of_others
    assert "data of sft-tag and base (" in of_others


@pytest.mark.parametrize(("differ", "warned"), [(0, False), (1, False), (2, True)])
def test_outputs_that_the_reference_engine_judges_otherwise(
    small: RunResults, differ: int, warned: bool
) -> None:
    def again(entry: Entry, evaluation: Evaluation) -> Evaluation:
        found = ExactCheck(100, "transformers 5.19.0", "float32", texts_differ=4, verdicts_differ=differ)
        checked = (entry.name, entry.seed, evaluation.benchmark) == ("sft", 0, BENCHMARKS[0])
        return dataclasses.replace(evaluation, exact=found if checked else None)

    board = build_board([change_evaluations(small, again)])
    assert sentences(board.checks, board) == (
        "Of 100 outputs made again by the reference engine (transformers 5.19.0, float32) for sft on "
        f"world_number, 4 differ in their text and {differ} in their verdict.",
    )
    assert any("sft on world_number (2 of 100)" in note for note in sentences(board.notes, board)) == warned


def test_scorers_and_settings_that_differ_are_named_with_whose_they_are(small: RunResults) -> None:
    def other(entry: Entry, evaluation: Evaluation) -> Evaluation:
        theirs = entry.name == "base"
        generation = {**evaluation.generation, **({"fewshot": 5} if theirs else {})}
        return dataclasses.replace(evaluation, scorer=("b" if theirs else "a") * 64, generation=generation)

    changed = [change_evaluations(small, other)]
    board = build_board(changed, allow_different=["scorer", "generation"])
    notes = " ".join(sentences(board.notes, board))
    assert "another version of the scorer (digest bbbbbbbbbbbb; the others: digest aaaaaaaaaaaa)" in notes
    assert "other generation settings (fewshot 5; the others: no fewshot)" in notes
    alike = build_board([small])
    assert "not comparable" not in " ".join(sentences(alike.notes, alike))


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://example.org/model?a=1&b=2", True),
        ("http://example.org", True),
        ("javascript:alert(1)", False),
        ("data:text/html,<script>alert(1)</script>", False),
        ("//example.org", False),
        ("https://", False),
        ('https://example.org/"><img src=x>', True),
        ("http://[broken", False),
    ],
)
def test_licence_and_link_are_shown_and_only_web_links_can_be_followed(
    small: RunResults, link: str, shown: bool
) -> None:
    entries = tuple(
        dataclasses.replace(e, role="external", licence="MIT", link=link) if e.name == "base" else e
        for e in small.entries
    )
    board = build_board([dataclasses.replace(small, entries=entries)])
    assert (web_link(link) == link) == shown
    texts = forms(board)
    assert "base: licence MIT, " in texts["terminal"]
    assert "base: licence MIT, " in texts["markdown"]
    assert "; licence MIT" in texts["page"]
    assert len(re.findall("<a href=", texts["page"])) == shown
    assert "<img" not in texts["page"] + texts["markdown"]
    assert "<script>alert" not in texts["page"] + texts["markdown"]
    line = next(csv.DictReader(io.StringIO(csv_text(board))))
    assert {"licence", "link"} <= line.keys()


def test_nothing_is_said_of_what_was_not_checked(small: RunResults) -> None:
    board = build_board([small])
    assert sentences(board.checks, board) == ()
    for text in forms(board).values():
        assert "Checked" not in text
        assert "Judge beside" not in text
        assert "licence" not in text
