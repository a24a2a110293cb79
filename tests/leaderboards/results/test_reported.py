"""Reported figures: one YAML for each source, shown beside the board and marked as what they are."""

import csv
import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_board import VARIANTS, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.markdown import csv_text, markdown
from leaderboards.report.tables import HEADING, reported_tables
from leaderboards.report.terminal import render
from leaderboards.results.entry_files import ENTRIES_DIR, read_entries, read_entry
from leaderboards.results.reported import Reported, matching_reported, read_reported
from tasks.errors import InputError

PAPER = ENTRIES_DIR / "sftkey_paper.yaml"
MINIMAL = """
kind: reported
source: A paper
averages: {mean of two: [gsm8k, svamp]}
rows:
  - {name: sft, model: tiny, figures: {gsm8k: {accuracy: 0.5}, mean of two: {score: 0.25}}}
"""


def write(folder: Path, text: str, name: str = "paper.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def small_board(reported: list[Reported]) -> Board:
    run = synthetic_run(tuple(v for v in VARIANTS if v.name in ("sft", "sft-tag")), n=10)
    return build_board([run], reported=reported)


def test_the_papers_figures_are_there_and_marked_as_a_transcription() -> None:
    rows = {(row.name, row.model): row for row in read_reported()}
    row = rows["sftkey-tag", "Qwen3-8B-Base"]
    assert [(figure.metric, figure.value) for figure in row.figures] == [
        ("accuracy", 0.7791), ("format_valid", 0.9959),
    ]  # fmt: skip
    assert rows["key-tag", "Qwen2.5-7B"].figures[0].value == 0.0
    assert "secondary transcription; reported, not reproduced" in row.note
    assert row.link == "https://arxiv.org/abs/2512.21017"
    best = {figure.benchmark: figure.value for figure in rows["best of the paper", "not stated"].figures}
    assert best == {
        "gsm8k": 0.8816, "open_r1_math": 0.8633, "openbookqa": 0.9214, "cot_collection": 0.7342,
    }  # fmt: skip
    assert len(rows) == 5 * 3 + 3 + 1


def test_the_readers_of_checkpoints_pass_it_over(tmp_path: Path) -> None:
    assert all(entry.path != PAPER for entry in read_entries())
    with pytest.raises(InputError, match="nothing to evaluate"):
        read_entry(PAPER)
    write(tmp_path, MINIMAL)
    write(tmp_path, "name: x\nweights: org/model\n", "mine.yaml")
    assert [entry.name for entry in read_entries(tmp_path)] == ["x"]
    assert [row.name for row in read_reported(tmp_path)] == ["sft"]


def test_a_board_shows_the_figures_on_its_benchmarks_and_averages_that_share_one(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    rows = read_reported(tmp_path)

    def shown(*benchmarks: str) -> list[str]:
        return [figure.benchmark for row in matching_reported(rows, benchmarks) for figure in row.figures]

    assert shown("gsm8k", "openbookqa") == ["gsm8k", "mean of two"]
    assert shown("svamp") == ["mean of two"]
    assert shown("world_number") == []


def test_every_form_shows_them_apart(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    board = small_board(read_reported(tmp_path))
    [table] = reported_tables(board)
    assert table.columns == ("entry", "benchmark", "accuracy", "score")
    assert table.lines == (
        ("sft · tiny", "gsm8k", "50.0", "–"),
        ("sft · tiny", "mean of two", "–", "25.0"),
    )
    assert table.captions == (
        "Reported by A paper: reported, not reproduced. In %; neither ranked nor tested.",
    )
    assert f"## {HEADING}" in markdown(board)
    assert not list(reported_tables(small_board([])))
    lines = [line for line in csv.DictReader(io.StringIO(csv_text(board))) if line["role"] == "reported"]
    assert [(line["entry"], line["benchmark"], line["metric"], line["mean"]) for line in lines] == [
        ("sft", "gsm8k", "accuracy", "0.5"), ("sft", "mean of two", "score", "0.25"),
    ]  # fmt: skip
    assert {(line["source"], line["rank"], line["ci_low"]) for line in lines} == {("A paper", "", "")}
    assert [row.name for row in board.rows if row.name == "sft"] == ["sft"], "and none of them is a row"


@pytest.mark.parametrize("width", [80, 160])
def test_the_papers_table_fits_a_terminal(width: int) -> None:
    board = small_board(matching_reported(read_reported(), ["gsm8k"]))
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    render(board, console, full=True)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    shown = [" ".join(line.split()) for line in lines]
    assert "sftkey-tag · SmolLM3-3B-Base mean of 4 sets 61.2 90.8 –" in shown


def test_names_cannot_break_out(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    [row] = read_reported(tmp_path)
    evil = dataclasses.replace(row, name="a|b\n\x1b[31m<img>", source="[red]x\x1b[0m")
    board = small_board([evil])
    console = Console(width=160, file=io.StringIO(), color_system=None)
    render(board, console, full=True)
    assert isinstance(console.file, io.StringIO)
    assert "\x1b" not in console.file.getvalue()
    assert "[red]x" in console.file.getvalue()
    assert "<img>" not in markdown(board)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("source:", "sorce:"), "unknown key 'sorce'; did you mean 'source'?"),
        (("source: A paper", ""), "no 'source'; add it"),
        (("name: sft, ", ""), "row 1: no 'name'; add it"),
        (("name: sft", "name: ../sft"), "rows: name: '../sft' has a part that"),
        (("model: tiny", 'model: "a\\e[31m"'), "model: 'a\\x1b[31m' must be one line"),
        (("name: sft", "nmae: sft"), "row 1: unknown key 'nmae'; did you mean 'name'?"),
        (("accuracy: 0.5", "acuracy: 0.5"), "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        (("0.5", "70.69"), "accuracy: 70.69 is outside 0 to 1; write it as a share of 1: 0.7069"),
        (("0.5", "-0.1"), "-0.1 is outside 0 to 1"),
        (("0.5", "half"), "rows.0.figures.gsm8k.accuracy: input should be a valid number"),
        (("{gsm8k:", "{gsm8q:"), "'gsm8q' is no benchmark, nor an average that"),
        (("[gsm8k, svamp]", "[gsm8k, svmap]"), "'svmap' is no benchmark; did you mean 'svamp'"),
        (("[gsm8k, svamp]", "[]"), "averages.mean of two: name the benchmarks that it is over"),
        (("kind: reported", "kind: reportd"), "kind: 'reportd' is not known; say reported"),
        (("kind: reported\n", ""), "no 'kind: reported' above its rows"),
        (("figures: {", "figures: {}, unused: {"), "unknown key 'unused'"),
    ],
)  # fmt: skip
def test_a_faulty_file_is_one_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    path = write(tmp_path, MINIMAL.replace(*change))
    is_kind = expected.startswith("no 'kind")
    with pytest.raises(InputError) as error:
        (read_entries if is_kind else read_reported)(tmp_path)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(path))
    assert expected in str(error.value)


def test_a_row_stands_once_and_has_figures(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL + "  - {name: sft, model: tiny, figures: {svamp: {accuracy: 0.5}}}\n")
    with pytest.raises(InputError, match="row 'sft' of tiny stands twice"):
        read_reported(tmp_path)
    write(tmp_path, MINIMAL + "  - {name: sft, model: tinier, figures: {}}\n")
    with pytest.raises(InputError, match="row 'sft' of tinier has no figures"):
        read_reported(tmp_path)
    write(tmp_path, "kind: reported\nsource: x\nrows: []\n")
    with pytest.raises(InputError, match="rows: there are none"):
        read_reported(tmp_path)
