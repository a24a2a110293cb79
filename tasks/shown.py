r"""How a text from outside is shown: on a terminal, in Markdown, CSV and JSON (LaTeX has a room of its own).

Nothing in it is obeyed: what would act is written as an escape, as Python writes it (`a\x1b[2Jb`,
`a\u202eb`), so that a reader sees that it was there.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

# Signs of GitHub's Markdown that open something wherever they stand, written so that they open nothing.
_MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", **{sign: f"\\{sign}" for sign in "\\|`*~$"}},
)
# Those that do in some places: images and links, words between underscores, an address without `http`.
_IN_PLACES = re.compile(r"!(?=\[)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])|(?<=\bwww)\.", re.IGNORECASE)
# At the beginning of a line: headings, lists, quotes, rules, boxes to tick.
_AT_START = re.compile(r"^(?:(?=[#>]|[-+=](?:[-= ]|$)|\[x\])|\d+(?=[.)](?: |$)))", re.IGNORECASE)
# A spreadsheet takes a cell that begins so for a formula; the last four are their wide forms.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def neutral(text: object) -> str:
    """A text that a terminal shows and does not obey, and whose end of line ends no line.

    Control and format characters (ESC, C1, zero-width ones, marks of direction), lone surrogates and what has
    no sign at all are written as escapes.
    """
    line = str(text)
    return line if line.isprintable() else "".join(map(_neutral, line))


def printable(text: object) -> str:
    """The same, with whitespace of any kind and length as one space."""
    return neutral(" ".join(str(text).split()))


def markdown_text(text: str) -> str:
    """A text within a line of GitHub's Markdown, such as a cell, which shows it as it is.

    Addresses that begin with http stay links: they say where they lead.
    """
    return _IN_PLACES.sub(r"\\\g<0>", printable(text).translate(_MARKDOWN))


def markdown_line(text: str) -> str:
    """The same as a line of its own, or an item of a list."""
    return _AT_START.sub(r"\g<0>\\", markdown_text(text))


def markdown_code(text: str) -> str:
    """A text between backticks, where nothing is obeyed; as other text where it could end them, or a cell."""
    line = printable(text)
    return markdown_text(line) if not line or set("`|") & set(line) else f"`{line}`"


def csv_text(text: str) -> str:
    """A text as a cell of CSV, on one line; an apostrophe stands before what would be a formula."""
    line = printable(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def json_text(value: Any, **how: Any) -> str:
    """A value as JSON in UTF-8, in which what cannot be printed is escaped; there is no NaN.

    `how` goes to `json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, **how)
    return "\n".join(
        line
        if line.isprintable()
        else "".join(char if _is_shown(char) else json.dumps(char)[1:-1] for char in line)
        for line in text.split("\n")
    )


def _neutral(char: str) -> str:
    return char if _is_shown(char) else repr(char)[1:-1]


def _is_shown(char: str) -> bool:
    """Whether it is a sign, or a space of any width."""
    return char.isprintable() or unicodedata.category(char) == "Zs"
