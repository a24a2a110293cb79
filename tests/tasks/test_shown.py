"""Whatever a text holds, each form shows it and obeys nothing in it."""

import csv
import io
import json
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tasks.shown import csv_text, json_text, markdown_code, markdown_line, markdown_text, neutral, printable

HOSTILE = (
    *("\x1b[31mred\x1b[0m", "\x1b]8;;http://x.y\x07link\x1b]8;;\x07", "\x9b31m", "a\x00b", "a\x07\x08\x7f"),
    *("line\nbreak", "carriage\rreturn", "tab\tstop", "\x85next", "a\u2028b\u2029c", "vertical\x0btab\x0c"),
    *(
        "right\u202eleft",
        "\u2066isolate\u2069",
        "zero\u200bwidth\u200d\ufeff",
        "soft\u00adhyphen",
        "\U000e0041",
    ),
    *(
        "half\ud83d",
        "\udc80bytes",
        "\ue000private",
        "\u0378unassigned",
        "[red]x[/red]",
        "[/red]",
        "[link=x]a",
    ),
    *(
        "![image](http://x.y/a.png)",
        "[a](javascript:b)",
        "[a][b]",
        "[a]: http://x.y",
        "<http://x.y>",
        "www.x.yz",
    ),
    *(
        "<img src=x onerror=a>",
        "<!-- x",
        "&lt;b&gt;",
        "a|b",
        "a\\|b",
        "`code`",
        "``a`|`",
        "*a* _b_ __c__ ~~d~~",
    ),
    *(
        "# head",
        "> quote",
        "- item",
        "1. item",
        "---",
        "===",
        "[x] task",
        "```",
        "~~~",
        "\\",
        "\\\\",
        "$x$ $$y$$",
    ),
    *(
        "=1+1",
        "+1",
        "-1+2",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "＝1",
        '=HYPERLINK("http://x.y")',
        '"quoted","',
    ),
    *("{}", "{0}", "{error}", "%s", "%(x)s", "{{ x }}", "{% x %}", "\\1", "\\g<0>", ":smile:", "a  b", "   "),
)
PIECES = st.sampled_from(
    [*"[](){}!|`*_~<>&#+-=.:;\\/$@^ 01aé\n\x1b\u202e\0", *HOSTILE, "](", "http://x.y", "1. "]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def is_neutral(text: str) -> bool:
    """No control or format character, no separator of lines, no half of a character, nothing unassigned."""
    return not {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} & set(map(unicodedata.category, text))


def words_of(tokens: Sequence[Token] | None) -> str:
    """The text that Markdown shows; anything else that it makes is named."""
    plain = ("text", "text_special", "code_inline")
    return "".join(each.content if each.type in plain else f"<{each.type}>" for each in tokens or ())


@given(TEXTS)
def test_a_terminal_gets_signs_and_spaces_alone(text: str) -> None:
    assert is_neutral(neutral(text))
    assert is_neutral(printable(text))
    assert "  " not in printable(text)
    assert printable(printable(text)) == printable(text)


def test_what_would_act_is_still_to_be_seen() -> None:
    assert neutral("a\x1b[2J\u202e\U000e0041\udc80\n") == r"a\x1b[2J\u202e\U000e0041\udc80\n"
    assert printable(" a \n b ") == "a b"
    assert neutral("naïve 模型 हिन्दी «x» a\u00a0b") == "naïve 模型 हिन्दी «x» a\u00a0b"


@given(TEXTS)
def test_markdown_shows_a_cell_as_it_is(text: str) -> None:
    tokens = MARKDOWN.parse(f"| a | b |\n|---|---|\n| {markdown_text(text)} | end |\n| next | |\n")
    cells = [words_of(token.children) for token in tokens if token.type == "inline"]
    assert cells == ["a", "b", printable(text), "end", "next", ""]


@given(TEXTS)
def test_markdown_shows_a_line_as_it_is(text: str) -> None:
    tokens = MARKDOWN.parse(f"- first\n- {markdown_line(text)}\n- last\n")
    lines = [words_of(token.children) for token in tokens if token.type == "inline"]
    assert lines == ["first", *filter(None, [printable(text)]), "last"]
    assert {token.tag for token in tokens if token.type != "inline"} == {"ul", "li", "p"}


@given(TEXTS)
def test_markdown_shows_code_as_it_is(text: str) -> None:
    tokens = MARKDOWN.parse(f"| a |\n|---|\n| x {markdown_code(text)} y |\n")
    [_, cell] = [words_of(token.children) for token in tokens if token.type == "inline"]
    assert cell.split() == ["x", *printable(text).split(), "y"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_an_address_without_http_is_no_link_of_githubs(text: str) -> None:
    assert "www." not in markdown_text(text)


@given(TEXTS)
def test_a_spreadsheet_takes_no_text_for_a_formula(text: str) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(["first", csv_text(text), -1.5])
    [[first, cell, number]] = csv.reader(buffer.getvalue().splitlines())
    assert (first, number) == ("first", "-1.5")
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
    assert cell.removeprefix("'") == printable(text).removeprefix("'")


@given(st.dictionaries(TEXTS, TEXTS))
def test_json_is_read_back_to_the_same(value: dict[str, str]) -> None:
    text = json_text(value, indent=1)
    assert is_neutral(text.replace("\n", ""))
    assert json.loads(text) == json.loads(json.dumps(value))
    assert text.encode("utf-8")
