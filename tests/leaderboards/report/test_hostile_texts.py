"""Names and texts that want to be obeyed, through every form of a report: each shows them, none obeys."""

import csv
import dataclasses
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from synthetic_board import synthetic_run

from leaderboards.board.build import build_board
from leaderboards.board.rows import Board
from leaderboards.report.latex import latex
from leaderboards.report.markdown import CSV_COLUMNS, csv_text, markdown
from leaderboards.report.page.render import page_html
from leaderboards.report.terminal import render
from leaderboards.report.write import json_text
from leaderboards.results.reported import Reported, ReportedFigure
from leaderboards.results.schema import RunResults
from leaderboards.results.store import write_results
from tasks.errors import InputError
from tasks.shown import printable

HOSTILE = (
    *(
        "\x1b[31mred\x1b[0m",
        "\x1b]8;;http://x.y\x07link",
        "\x9b31m",
        "nul\x00",
        "bell\x07\x08\x7f",
        "new\nline",
    ),
    *("car\rriage", "tab\tstop", "\x85next", "a\u2028b\u2029c", "right\u202eleft", "zero\u200bwidth\ufeff"),
    *(
        "[red]x[/red]",
        "[/red]",
        "[link=http://x.y]a[/link]",
        "![image](http://x.y/a.png)",
        "[a](javascript:b)",
    ),
    *("[a]: http://x.y", "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "<!--", "a|b"),
    *("a\\|b", "`code`", "*a* __b__ ~~c~~", "# head", "> quote", "- item", "1. item", "=1+1", "+1", "-1+2"),
    *("@SUM(A1)", "=cmd|' /C calc'!A0", '"quoted","cells"', "{}", "{0!r}", "%s", "{{ 7 * 7 }}", "{% x %}"),
    *("\\input{/etc/passwd}", "\\write18{x}", "$x$ & y \\\\", "%", "^^M", "\\1\\g<0>", ":smile:", "www.x.yz"),
)


def board_of(names: Iterator[str], run: RunResults) -> Board:
    """A board on which all that comes from outside is hostile: names, links, sources, facts of the runs."""
    board = build_board([run])
    rows = tuple(
        dataclasses.replace(
            row, name=next(names), model=next(names), tags=next(names), method=next(names),
            checkpoints=(next(names),), licence=next(names), link=next(names), marks=(next(names),),
        )
        for row in board.rows
    )  # fmt: skip
    figures = (ReportedFigure(next(names), "accuracy", 0.5, ("gsm8k",)),)
    reported = Reported(next(names), next(names), next(names), next(names), next(names), figures)
    facts = ((next(names), {next(names): next(names)}),)
    reference = next(row.name for row in rows if row.is_reference)
    return dataclasses.replace(board, rows=rows, reported=(reported,), provenance=facts, reference=reference)


@pytest.fixture(scope="module")
def boards() -> list[Board]:
    run, names = synthetic_run(n=20), cycle(HOSTILE)
    return [board_of(names, run) for _ in range(4)]


def is_neutral(text: str) -> bool:
    """Nothing but signs, spaces and ends of lines."""
    kinds = set(map(unicodedata.category, text.replace("\n", "")))
    return not {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} & kinds


@pytest.mark.parametrize("width", [80, 160])
def test_on_the_terminal(boards: list[Board], width: int) -> None:
    for board in boards:
        console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
        render(board, console, full=True)
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        assert is_neutral(text)
        assert max(map(len, text.splitlines())) <= width
        bare = re.sub(r"\s+", "", text)
        for row in board.rows:
            assert re.sub(r"\s+", "", printable(row.name)) in bare


def test_in_markdown(boards: list[Board]) -> None:
    for board in boards:
        text = markdown(board)
        assert is_neutral(text)
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
        known = {"h1", "h2", "ul", "li", "p", "table", "thead", "tbody", "tr", "th", "td"}
        assert {token.tag for token in tokens if token.type != "inline"} == known
        inner = [each for token in tokens for each in token.children or ()]
        assert {each.type for each in inner} <= {"text", "text_special", "strong_open", "strong_close"}
        assert sum(each.type == "strong_open" for each in inner) == 1 + len(board.claims), (
            "the headline, and answers"
        )
        words = "".join(each.content for each in inner)
        for row in board.rows:
            assert printable(row.name) in words


def test_in_csv(boards: list[Board]) -> None:
    for board in boards:
        text = csv_text(board)
        assert is_neutral(text)
        lines = list(csv.reader(text.splitlines()))
        assert {len(line) for line in lines} == {len(CSV_COLUMNS)}
        texts = [cell for line in lines[1:] for cell in line if not re.fullmatch(r"-?[\d.e+-]+", cell)]
        assert not [cell for cell in texts if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
        names = {line[CSV_COLUMNS.index("entry")].removeprefix("'") for line in lines}
        assert {printable(row.name) for row in board.rows} <= names


def test_in_latex(boards: list[Board]) -> None:
    for board in boards:
        text = latex(board)
        assert is_neutral(text)
        body = "\n".join(line for line in text.splitlines() if not line.startswith(("%", r"\providecommand")))
        assert body.isascii()
        assert not re.search(r"\\(input|write|g<)|(?<!\\)[$#]|\^\^", body)
        rows = [line for line in body.splitlines() if r"\harnessinterval{" in line]
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(board.benchmarks) + 1}


def test_in_json(boards: list[Board]) -> None:
    for board in boards:
        text = json_text(board)
        assert is_neutral(text)
        assert [row["name"] for row in json.loads(text)["rows"]] == [row.name for row in board.rows]


def test_in_the_page(boards: list[Board]) -> None:
    for board in boards:
        text = page_html(board)
        start = text.index('<script type="application/json" id="board">')
        made, data = text[:start], text[start:].split("</script>")[0].partition(">")[2]
        assert not re.search(r"<(img|script|!--)", made)
        assert 'href="javascript:' not in made
        assert is_neutral(made.replace("\t", ""))
        names = [row["name"] for row in json.loads(data)["rows"]]
        assert names == [row.name for row in board.rows]
        assert not re.search("[<>&\u2028\u2029]", data)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_none_of_them_is_a_name(run: RunResults, tmp_path: Path, name: str) -> None:
    if name in ("www.x.yz", "1. item"):  # as good as any other
        return
    entries = tuple(dataclasses.replace(e, name=name) if e.name == "sft" else e for e in run.entries)
    with pytest.raises(InputError, match="an entry's name: ") as caught:
        write_results(tmp_path, run.provenance, entries, run.samples)
    assert printable(caught.value) == str(caught.value)
