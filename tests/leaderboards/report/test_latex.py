"""The LaTeX table: what is bold, underlined and starred, and that no name breaks it."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_board import VARIANTS, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.latex import escaped, latex
from leaderboards.results.reported import Reported, ReportedFigure
from leaderboards.results.schema import RunResults
from leaderboards.stats import MACRO
from tasks.shown import printable

EVIL = '[a_b%&#${}~^\\*α Δ−‡é中🙂 "q" `x` --z\n\x1b[31m'


@pytest.fixture(scope="module")
def board(run: RunResults) -> Board:
    return build_board([run])


def lines_of(text: str, name: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith(name)]


def test_it_is_a_booktabs_table_with_a_column_for_each_benchmark_and_the_average(board: Board) -> None:
    text = latex(board)
    for part in (
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
        r"\caption{Accuracy in \%",
        r"\usepackage{booktabs}",
    ):
        assert part in text
    header = next(line for line in text.splitlines() if "entry &" in line)
    assert header.strip().split(" & ") == [
        *("entry", r"world\_number", r"world\_number\_gap1", r"world\_choice", r"world\_choice\_gap1"),
        r"macro average \\",
    ]
    rows = [line for line in text.splitlines() if r"\harnessinterval{" in line and line.startswith("    ")]
    assert len(rows) == len(board.rows)
    assert all(row.count("&") == 5 for row in rows)


def test_the_best_is_bold_and_what_cannot_be_told_from_it_is_underlined(board: Board) -> None:
    text = latex(board)
    best = board.rows[0]
    ties = {
        board.rows[row].name
        for (row, place, metric), found in board.versus[best.name].items()
        if (place, metric) == (MACRO, "accuracy") and found.verdict in ("equivalent", "undecided")
    }
    assert ties
    for row in board.rows:
        last = lines_of(text, f"{escaped(row.name)} ")[0].split(" & ")[-1]
        assert (r"\textbf" in last) == (row is best)
        assert (r"\underline" in last) == (row.name in ties)
        comparison = row.macro.metric("accuracy").comparison if row.macro else None
        assert (r"\textsuperscript{{*}}" in last) == bool(
            comparison and comparison.verdict in ("better", "worse")
        )
    assert text.count(r"\textbf{") == len(board.benchmarks) + 1


def test_a_figure_of_another_format_is_marked_and_never_the_best(run: RunResults) -> None:
    text = latex(build_board([run], rank_by="format_valid"))
    [line] = [line for line in lines_of(text, "sftkey") if line.startswith("sftkey &")]
    assert r"\ensuremath{\dagger}" in line
    assert r"\textbf" not in line


def test_another_model_is_not_underlined_for_want_of_a_test() -> None:
    small = synthetic_run(tuple(v for v in VARIANTS if v.name in ("sft", "sft-tag")), n=30)
    entries = tuple(dataclasses.replace(entry, model="other") for entry in small.entries)
    other = dataclasses.replace(small, entries=entries, samples=small.samples.assign(model="other"))
    text = latex(build_board([small, other]))
    rows = [line for line in text.splitlines() if r"\harnessinterval{" in line and line.startswith("    ")]
    assert sum(r"\textbf" in row.split(" & ")[-1] for row in rows) == 1
    assert sum(r"\underline" in row.split(" & ")[-1] for row in rows) <= 1


def test_reported_rows_stand_apart_in_italics_with_their_source(board: Board) -> None:
    figures = (
        ReportedFigure("world_number", "accuracy", 0.5),
        ReportedFigure("mean of all", "accuracy", 0.75, board.benchmarks),
        ReportedFigure("mean of two", "accuracy", 0.25, ("world_number", "gsm8k")),
    )
    row = Reported("sft", "Other_1B", "arXiv 1", "https://example.org", "seen in 100 % of copies", figures)
    hidden = dataclasses.replace(row, name="hidden", figures=(ReportedFigure("world_number", "score", 0.5),))
    text = latex(dataclasses.replace(board, reported=(row, hidden)))
    first, second = lines_of(text, r"\textit{sft")
    assert first == (
        r"\textit{sft \ensuremath{\cdot} Other\_1B} & \textit{50.0} & -- & -- & -- & \textit{75.0} \\"
    )
    assert r"\multicolumn{5}{r@{}}{\textit{25.0 (mean of two)}}" in second
    assert "reported by arXiv 1, not reproduced here" in text
    assert r"seen in 100 \% of copies" in text
    assert "hidden" not in text


@given(st.text())
def test_escaped_text_is_plain_ascii_with_balanced_braces(text: str) -> None:
    shown = escaped(text)
    assert shown.isascii()
    assert "\n" not in shown
    bare = re.sub(r"\\[{}$&#%_]", "", shown.replace(r"\textbackslash", ""))
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[$&#%_~]", bare.replace(r"\~", ""))


def test_special_characters_are_named_by_their_commands() -> None:
    assert escaped("a_b & 5 %") == r"a\_b \& 5 \%"
    assert escaped("α Δ−‡ é") == (
        r"\ensuremath{\alpha} \ensuremath{\Delta}\ensuremath{-}\ensuremath{\ddagger} \'{e}"
    )
    assert escaped("sft-tag--x") == "sft-tag-{}-x"
    assert escaped("中") == "{[}U+4E2D{]}"
    assert printable("a\nb\x1b") == r"a b\x1b"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex on this machine")
def test_it_compiles_whatever_an_entry_is_called(run: RunResults, tmp_path: Path) -> None:
    entries = tuple(dataclasses.replace(e, name=EVIL) if e.name == "sft" else e for e in run.entries)
    samples = run.samples.assign(entry=run.samples["entry"].replace("sft", EVIL))
    board = build_board([dataclasses.replace(run, entries=entries, samples=samples)])
    figure = ReportedFigure("100 % of α", "accuracy", 0.5, ("gsm8k",))
    board = dataclasses.replace(board, reported=(Reported(EVIL, EVIL, EVIL, EVIL, EVIL, (figure,)),))
    (tmp_path / "board.tex").write_text(latex(board), encoding="utf-8")
    main = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{board.tex}\end{document}"
    (tmp_path / "main.tex").write_text(main)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
