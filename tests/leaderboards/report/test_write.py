"""The written forms: golden files for Markdown and the terminal, and a CSV to compute with."""

import csv
import dataclasses
import io
import os
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_board import BENCHMARKS, VARIANTS, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.latex import latex
from leaderboards.report.markdown import CSV_COLUMNS, csv_text, markdown
from leaderboards.report.terminal import render
from leaderboards.report.wording import duration, large, p_value, points
from leaderboards.report.write import write_report
from leaderboards.results.schema import METRICS, RunResults

GOLDEN = Path(__file__).parent / "golden"


def assert_golden(name: str, text: str) -> None:
    """Compares with a stored file; UPDATE_GOLDEN=1 writes it anew, to be read before it is kept."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def printed(board: Board, width: int, *, full: bool = True) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    render(board, console, full=full)
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


@pytest.fixture(scope="module")
def board(run: RunResults) -> Board:
    return build_board([run])


def test_markdown_matches_its_golden_file(board: Board) -> None:
    assert_golden("leaderboard.md", markdown(board))


def test_latex_matches_its_golden_file(board: Board) -> None:
    assert_golden("leaderboard.tex", latex(board))


@pytest.mark.parametrize("width", [80, 160])
def test_the_terminal_matches_its_golden_file(board: Board, width: int) -> None:
    text = printed(board, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert_golden(f"terminal-{width}-full.txt", text)


@pytest.mark.parametrize("width", [80, 160])
def test_the_answer_comes_first_then_one_table_then_what_to_beware_of(board: Board, width: int) -> None:
    text = printed(board, width, full=False)
    assert max(len(line) for line in text.splitlines()) <= width
    assert text.splitlines()[0].startswith(" Is sftkey-tag better than sft-tag-x2 on accuracy")
    assert "By benchmark" not in text
    assert_golden(f"terminal-{width}.txt", text)


def test_a_wide_terminal_shows_every_benchmark_and_a_narrow_one_the_average(board: Board) -> None:
    assert all(name in printed(board, 160) for name in BENCHMARKS)
    assert "world_choice_gap1 [" not in printed(board, 80)
    crowded = printed(board, 120)
    assert all(name in crowded for name in BENCHMARKS)
    assert "By benchmark" in crowded


def test_csv_has_one_line_per_row_benchmark_and_metric(board: Board) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_text(board))))
    assert len(lines) == 7 * 5 * 4
    assert tuple(lines[0]) == CSV_COLUMNS
    keys = {(line["entry"], line["benchmark"], line["metric"]) for line in lines}
    assert len(keys) == len(lines)
    assert {line["metric"] for line in lines} == set(METRICS)
    assert {line["benchmark"] for line in lines} == {"macro", *BENCHMARKS}


def test_csv_figures_are_those_of_the_board(board: Board) -> None:
    for line in csv.DictReader(io.StringIO(csv_text(board))):
        row = next(row for row in board.rows if row.name == line["entry"])
        cell = row.cell(line["benchmark"])
        assert cell is not None
        figures = next(figures for figures in cell.metrics if figures.metric == line["metric"])
        assert float(line["ci_low"]) == pytest.approx(figures.estimate.low, rel=1e-5)
        assert line["n"] == str(figures.estimate.num_questions)
        assert line["own_format"] == ("true" if figures.own_format else "false")
        assert (line["p_holm"] == "") == (figures.comparison is None)


def test_names_cannot_break_out_of_markdown_or_the_terminal(run: RunResults) -> None:
    evil = "a|b<img src=x>`*[red]x[/red]\n\x1b[31m"
    variants = tuple(v for v in VARIANTS if v.name in ("sft", "sft-tag"))
    small = synthetic_run(variants, n=20)
    entries = tuple(dataclasses.replace(e, name=evil) if e.name == "sft" else e for e in small.entries)
    samples = small.samples.assign(entry=small.samples["entry"].replace("sft", evil))
    board = build_board([dataclasses.replace(small, entries=entries, samples=samples)])
    text = markdown(board)
    assert "<img" not in text
    assert "a\\|b&lt;img src=x>\\`\\*" in text
    shown = printed(board, 160)
    assert "\x1b" not in shown
    assert "[red]x[/red]" in shown


def test_a_single_benchmark_is_not_shown_twice() -> None:
    run = synthetic_run(VARIANTS[:3], n=20)
    entries = tuple(dataclasses.replace(e, evaluations=e.evaluations[:1]) for e in run.entries)
    samples = run.samples[run.samples["benchmark"] == BENCHMARKS[0]]
    board = build_board([dataclasses.replace(run, entries=entries, samples=samples)])
    assert "By benchmark" not in printed(board, 160)
    assert "## By benchmark" not in markdown(board)
    assert "accuracy in %, world_number" in printed(board, 80)


def test_the_report_is_six_files_and_can_be_written_again(board: Board, tmp_path: Path) -> None:
    for _ in range(2):
        paths = write_report(board, tmp_path / "report")
    names = [*(f"leaderboard.{suffix}" for suffix in ("csv", "html", "json", "md", "tex")), "manifest.json"]
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == names
    assert paths.latex.suffix == ".tex"
    assert paths.markdown.read_text(encoding="utf-8") == markdown(board)
    assert paths.html.stat().st_size < 6e6


def test_figures_are_worded_for_people() -> None:
    assert [points(x) for x in (-0.008, 0.015, 0.0, -0.0001)] == ["−0.8", "+1.5", "0.0", "0.0"]
    assert [large(x) for x in (0, 950, 12_345, 999_700, 4.5e12)] == ["0", "950", "12.3k", "1M", "4.5T"]
    assert [duration(x) for x in (2.34, 45, 200, 7500)] == ["2.3 s", "45 s", "3 min 20 s", "2 h 05 min"]
    assert [p_value(x) for x in (0.0002, 0.0314, 0.5)] == ["< 0.001", "0.031", "0.50"]
    assert [p_value(x) for x in (0.0497, 0.0503)] == ["0.0497", "0.0503"]
