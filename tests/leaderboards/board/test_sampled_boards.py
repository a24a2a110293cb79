"""Boards of runs with several outputs for each question: what is shown, merged, read, and refused."""

import csv
import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_board import BENCHMARKS
from synthetic_samples import change_evaluations, sampled_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.findings import sentences
from leaderboards.report.markdown import csv_text, markdown
from leaderboards.report.page.render import page_html
from leaderboards.report.terminal import render
from leaderboards.results.merge import merge_runs
from leaderboards.results.schema import Entry, Evaluation, RunResults
from leaderboards.results.store import read_outcomes, read_results, write_results
from leaderboards.stats import Estimate
from tasks.errors import InputError


def printed(board: Board, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    render(board, console, full=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def visible(board: Board) -> str:
    """The page without its inline data and scripts."""
    return page_html(board).split('<script type="application/json"')[0]


@pytest.fixture(scope="module")
def sampled() -> RunResults:
    return sampled_run()


@pytest.fixture(scope="module")
def board(sampled: RunResults) -> Board:
    return build_board([sampled])


def figures(found: Estimate) -> tuple[float, ...]:
    return (found.mean, found.low, found.high, found.se, *found.by_seed, found.known)


def test_at_one_of_k_outputs_all_three_are_the_mean(board: Board) -> None:
    for row in board.rows:
        for cell in filter(None, (row.macro, *row.cells)):
            assert cell.sampled is not None
            first, mean = cell.sampled.points[0], cell.metric("accuracy").estimate
            for found in (first.passing, first.majority):
                plain = dataclasses.replace(mean, bootstrap=None)
                assert figures(found) == pytest.approx(figures(plain))


def test_the_figures_of_a_board_are_means_over_all_outputs(board: Board, sampled: RunResults) -> None:
    samples = sampled.samples
    for row in board.rows:
        cell = row.cell("world_choice")
        assert cell is not None
        own = samples[(samples["entry"] == row.name) & (samples["benchmark"] == "world_choice")]
        estimate = cell.metric("accuracy").estimate
        assert estimate.mean == pytest.approx(own["accuracy"].mean())
        assert (estimate.num_questions, estimate.num_seeds, cell.num_samples) == (60, 3, 4)
        assert cell.num_outputs == len(own) == 60 * 3 * 4
        assert cell.sampled is not None
        by_question = own.groupby(["seed", "sample_id"])["accuracy"].max()
        assert cell.sampled.points[-1].passing.mean == pytest.approx(by_question.mean())


def test_the_order_of_the_stored_outputs_does_not_matter(board: Board, sampled: RunResults) -> None:
    shuffled = sampled.samples.sample(frac=1, random_state=3)
    again = build_board([dataclasses.replace(sampled, samples=shuffled)])
    for row, other in zip(board.rows, again.rows, strict=True):
        assert row.name == other.name
        for cell, same in zip(row.cells, other.cells, strict=True):
            assert cell.sampled is not None
            assert same.sampled is not None
            for point, twin in zip(cell.sampled.points, same.sampled.points, strict=True):
                assert figures(point.majority) == pytest.approx(figures(twin.majority))


def test_every_form_shows_the_figures_and_how_the_outputs_were_drawn(board: Board) -> None:
    cell = board.rows[0].macro
    assert cell is not None
    assert cell.sampled is not None
    last = cell.sampled.points[-1]
    figures = [f"{100 * found.mean:.1f} [" for found in (last.majority, last.passing)]
    for text in (markdown(board), printed(board, 80), printed(board, 160), visible(board)):
        assert "Several outputs for each question, macro average of 4 benchmarks" in text
        assert all(figure in text for figure in figures)
        assert "4 outputs for each question, temperature 0.7, sampling seed 100, 101, 102" in " ".join(
            text.split()
        )
    assert "With fewer of them" in printed(board, 160)
    assert "With fewer of them" not in printed(board, 80)
    assert max(map(len, printed(board, 80).splitlines())) <= 80
    assert 'id="majority"' in visible(board)


def test_csv_has_a_line_for_each_k(board: Board) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_text(board))))
    assert {line["samples"] for line in lines} == {"4"}
    own = [line for line in lines if line["entry"] == "sft" and line["benchmark"] == BENCHMARKS[0]]
    found = {line["metric"]: float(line["mean"]) for line in own}
    assert {"maj@1", "maj@2", "maj@4", "pass@1", "pass@2", "pass@4"} <= found.keys()
    assert found["pass@1"] == found["accuracy"] <= found["pass@2"] <= found["pass@4"]
    assert all(line["ci_low"] and line["ci_high"] for line in own)


def test_nothing_of_it_appears_where_every_question_had_one_output(run: RunResults) -> None:
    board = build_board([run])
    assert all(cell.sampled is None for row in board.rows for cell in row.cells)
    for text in (markdown(board), printed(board, 160), visible(board), csv_text(board)):
        assert "Several outputs" not in text
        assert "maj@" not in text


def test_benchmarks_may_differ_in_k_and_then_there_is_no_average_over_them(sampled: RunResults) -> None:
    more = sampled.samples["sample_index"] >= 2
    kept = sampled.samples[~(more & (sampled.samples["benchmark"] == BENCHMARKS[0]))]

    def fewer(entry: Entry, evaluation: Evaluation) -> Evaluation:
        return dataclasses.replace(evaluation, num_samples=2 if evaluation.benchmark == BENCHMARKS[0] else 4)

    board = build_board([dataclasses.replace(change_evaluations(sampled, fewer), samples=kept)])
    row = board.rows[0]
    assert row.macro is not None
    assert row.macro.sampled is None
    assert [cell.sampled and cell.sampled.num_samples for cell in row.cells] == [2, 4, 4, 4]
    assert "Several outputs for each question, by benchmark" in printed(board, 80)


def test_entries_may_differ_in_k_and_it_is_said(sampled: RunResults) -> None:
    gone = (sampled.samples["entry"] == "sft") & (sampled.samples["sample_index"] > 0)

    def single(entry: Entry, evaluation: Evaluation) -> Evaluation:
        return dataclasses.replace(evaluation, num_samples=1) if entry.name == "sft" else evaluation

    changed = dataclasses.replace(change_evaluations(sampled, single), samples=sampled.samples[~gone])
    board = build_board([changed], allow_different=["generation"])
    assert {row.name: row.cells[0].num_samples for row in board.rows} == {"sft": 1, "sft-tag": 4}
    assert "(outputs for each question 4; the others: outputs for each question 1)" in " ".join(
        sentences(board.notes, board)
    )


def test_seeds_of_one_entry_must_have_the_same_k(sampled: RunResults) -> None:
    gone = (sampled.samples["seed"] == 1) & (sampled.samples["sample_index"] > 1)

    def fewer(entry: Entry, evaluation: Evaluation) -> Evaluation:
        return dataclasses.replace(evaluation, num_samples=2) if entry.seed == 1 else evaluation

    changed = dataclasses.replace(change_evaluations(sampled, fewer), samples=sampled.samples[~gone])
    with pytest.raises(InputError, match=r"sft \(seed 0\) has 4 outputs .* sft \(seed 1\) 2; evaluate all"):
        merge_runs([changed], ["generation"])


def test_an_output_that_stands_under_another_question_is_an_error(sampled: RunResults) -> None:
    wrong = (sampled.samples["sample_id"] == f"{BENCHMARKS[0]}-0003") & (sampled.samples["sample_index"] == 3)
    moved = sampled.samples["sample_id"].mask(wrong, f"{BENCHMARKS[0]}-0004")
    changed = dataclasses.replace(sampled, samples=sampled.samples.assign(sample_id=moved))
    with pytest.raises(InputError, match=r"world_number: sft \(seed 0\): not every question has 4 outputs"):
        merge_runs([changed])


def test_what_a_board_needs_is_read_without_the_texts(sampled: RunResults, tmp_path: Path) -> None:
    write_results(tmp_path, sampled.provenance, sampled.entries, sampled.samples)
    whole, lean = read_results(tmp_path), read_outcomes(tmp_path)
    assert {"extracted", "choices", "sample_index"} <= set(lean.samples.columns)
    assert not {"prompt", "output", "gold"} & set(lean.samples.columns)
    boards = [build_board([dataclasses.replace(each, source="run")]) for each in (whole, lean)]
    assert boards[0] == boards[1]
