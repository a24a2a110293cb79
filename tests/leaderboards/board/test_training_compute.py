"""Training compute on the report: every form shows it, and words say whether it was the same for all."""

import csv
import dataclasses
import io

import pytest
from rich.console import Console
from synthetic_board import VARIANTS, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.findings import sentences
from leaderboards.report.markdown import csv_text, markdown
from leaderboards.report.page.render import page_html
from leaderboards.report.terminal import render
from leaderboards.report.wording import enumerated
from leaderboards.results.schema import Entry, RunResults, TrainingCost

EQUAL = TrainingCost(400, 1_000_000, 500_000, 1e12, 60.0, ("full",))


def run_with(**costs: TrainingCost | None) -> RunResults:
    """Entries with these costs; `sft_tag` stands for `sft-tag`."""
    by_name = {name.replace("_", "-"): cost for name, cost in costs.items()}
    run = synthetic_run(tuple(v for v in VARIANTS if v.name in by_name), n=20)
    entries = tuple(dataclasses.replace(entry, training=by_name[entry.name]) for entry in run.entries)
    return dataclasses.replace(run, entries=entries)


def sentence(*runs: RunResults, reference: str | None = None) -> str:
    board = build_board(runs, reference=reference)
    summary = sentences(board.summary, board)
    return " ".join(line for line in summary if "ompute-matched" in line)


def printed(board: Board, width: int) -> str:
    file = io.StringIO()
    render(board, Console(width=width, file=file, color_system=None, legacy_windows=False), full=True)
    return file.getvalue()


def other(**fields: object) -> TrainingCost:
    return dataclasses.replace(EQUAL, **fields)


def test_equal_steps_and_tokens_are_called_matched_within_one_per_cent() -> None:
    nearly = other(steps=403, tokens_forward=991_000)
    assert sentence(run_with(sft=EQUAL, sft_tag=nearly, base=None), reference="sft") == (
        "Compute-matched: all 2 trained entries took 400 optimiser steps and 1M forward tokens (within 1 %)."
    )


@pytest.mark.parametrize(
    "fields", [{"steps": 405}, {"tokens_forward": 1_011_000}, {"tokens_forward": 985_000}]
)
def test_more_than_one_per_cent_apart_in_steps_or_tokens_is_not_matched(fields: dict[str, int]) -> None:
    assert sentence(run_with(sft=EQUAL, sft_tag=other(**fields))).startswith("Not compute-matched: ")


def test_those_that_differ_are_named_with_what_they_took_the_reference_first() -> None:
    half = other(steps=200, tokens_forward=500_000)
    run = run_with(base=None, sft=half, sft_tag_x2=EQUAL, sftkey_tag=EQUAL, key_tag=half)
    text = sentence(run)
    assert text.startswith("Not compute-matched: sft-tag-x2 and sftkey-tag took 400 optimiser steps and 1M ")
    assert text.endswith("sft and key-tag took 200 optimiser steps and 500k forward tokens.")
    assert "base" not in text


def test_a_reference_model_is_told_and_counted_in_the_ratio_of_compute() -> None:
    prepared = other(reference_tokens=300_000, reference_flops=5e11)
    board = build_board([run_with(sft=EQUAL, sft_tag=prepared)], reference="sft")
    assert sentences(board.summary, board)[-1].startswith("Compute-matched: ")
    assert sentences(board.summary, board)[-1].endswith(
        "forward tokens to prepare a reference model: sft-tag 300k."
    )
    assert "with 1.50 times its training compute" in sentences(board.summary, board)[1]


def test_nothing_is_said_of_a_single_trained_entry() -> None:
    assert sentence(run_with(base=None, sft=EQUAL)) == ""


def test_entries_are_matched_within_their_own_model() -> None:
    def larger(entry: Entry) -> Entry:
        return dataclasses.replace(entry, model="large", training=other(steps=9, tokens_forward=9))

    small = run_with(sft=EQUAL, sft_tag=EQUAL)
    large = dataclasses.replace(
        small, entries=tuple(map(larger, small.entries)), samples=small.samples.assign(model="large")
    )
    text = sentence(small, large)
    assert text.count("Compute-matched: all 2 trained entries of ") == 2
    assert "of large took 9 optimiser steps" in text


def test_every_form_of_the_report_shows_the_compute_and_that_of_a_reference_model() -> None:
    prepared = other(
        tokens_loss=123_000,
        wall_seconds=83,
        reference_tokens=456_000,
        reference_flops=7.89e11,
        budget="400 steps",
    )
    board = build_board([run_with(base=None, sft=EQUAL, sft_tag=prepared)])
    figures = ("400", "1M", "123k", "1T", "1 min 23 s", "456k", "789G", "400 steps")
    forms = {
        "80": printed(board, 80),
        "160": printed(board, 160),
        "markdown": markdown(board),
        "page": page_html(board).split('<script type="application/json"')[0],
    }
    for form, text in forms.items():
        compute = text[text.index("Training compute of one seed") :]
        assert [figure for figure in figures if figure not in compute] == [], form
    for width in (80, 160):
        assert max(map(len, forms[str(width)].splitlines())) <= width
        assert "1T + 789G" in forms[str(width)]
    lines = list(csv.DictReader(io.StringIO(csv_text(board))))
    line = next(line for line in lines if line["entry"] == "sft-tag")
    assert line["train_reference_tokens"] == "456000"
    assert line["train_reference_flops"] == "7.89e+11"
    assert line["train_budget"] == "400 steps"
    base = next(line for line in lines if line["entry"] == "base")
    assert {value for key, value in base.items() if key.startswith("train_")} == {""}


def test_columns_that_no_row_fills_are_left_out() -> None:
    text = markdown(build_board([run_with(base=None, sft=EQUAL, sft_tag=EQUAL)]))
    compute = text[text.index("## Training compute") :].partition("\n## ")[0]
    assert not [word for word in ("ref.", "budget", "base") if word in compute]
    untrained = build_board([run_with(base=None)])
    assert "Training compute of one seed" not in markdown(untrained) + printed(untrained, 80)


def test_lists_are_worded_for_people() -> None:
    assert [enumerated(x) for x in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_samples_are_told_apart_from_training_and_counted_in_the_ratio_of_compute() -> None:
    sampled = other(steps=150, tokens_forward=300_000, flops=4e11, sampled_tokens=900_000, sampled_flops=5e11)
    run = run_with(base=None, sft=EQUAL, sft_tag=sampled)
    board = build_board([run], reference="sft")
    said = sentences(board.summary, board)
    assert said[-1] == (
        "sft took 400 optimiser steps and 1M forward tokens. Part of the budget went into drawing samples, "
        "forward tokens: sft-tag 900k (0.90 times the compute of sft in all)."
    )
    assert "with 0.90 times its training compute" in said[1]
    text = markdown(board)
    compute = text[text.index("## Training compute") :]
    assert all(figure in compute for figure in ("sampled", "900k", "400G", "500G"))
    assert "900G" in printed(board, 160)
    line = next(line for line in csv.DictReader(io.StringIO(csv_text(board))) if line["entry"] == "sft-tag")
    assert (line["train_sampled_tokens"], line["train_sampled_flops"]) == ("900000", "5e+11")


def test_a_board_of_nothing_but_samples_says_so() -> None:
    sampled = other(sampled_tokens=900_000, sampled_flops=5e11)
    board = build_board([run_with(base=None, sft=sampled, sft_tag=sampled)], reference="sft")
    said = sentences(board.summary, board)[-1]
    assert said.startswith("Not compute-matched by steps and tokens. Part of the budget went into drawing")
