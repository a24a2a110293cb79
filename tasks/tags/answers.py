r"""Answers that no closing tag ends: the text after the reasoning, a ``\boxed{…}``, a last line.

Everything here is linear in the length of the text: a model can emit a million boxes or lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tasks.tags.formats import Defect, TagFormat

_MOST_LINES = 1_000
_TAIL_CHARS = 100_000
MOST_BOXES = 20
"""Only the last so many openings are looked at."""
LONGEST_BOX_CHARS = 5_000
"""A longer content is no answer."""
# An escaped character is skipped as a whole, so that \{ and \} count as text and \\{ as a brace.
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)

Offsets = tuple[int, int]
"""Where a part of a text stands: its first character and the one after its last."""


@dataclass(frozen=True, slots=True)
class MarkedAnswer:
    """What a text says in the style of a format.

    Attributes:
        answer: where the answer stands, stripped and perhaps blank; None where there is none, or where it may
            be cut off.
        start: where its mark begins; None where there is none.
        defects: all that is wrong, but that the output was truncated.
    """

    answer: Offsets | None
    start: int | None
    defects: frozenset[Defect]


def marked_answer(text: str, tag_format: TagFormat, truncated: bool) -> MarkedAnswer:
    """Read the answer of style `text`, `boxed` or `line`, in time linear in the length of the text.

    Args:
        text: the output after its reasoning, or all of it.
        tag_format: of one of the three styles.
        truncated: whether generation stopped at the token limit: the end of the text is then no end.

    Returns:
        The answer and the defects.
    """
    if tag_format.answer_style == "boxed":
        return _last_box(text, tag_format)
    if tag_format.answer_style == "line":
        return _last_line(text, tag_format, truncated)
    answer = stripped(text, 0, len(text))
    blank = answer[0] == answer[1]
    return MarkedAnswer(None if truncated else answer, 0, frozenset({"empty_answer"} if blank else ()))


def line_answer(line: str, tag_format: TagFormat) -> str | None:
    """Read one line, without its newline, as the answer line of a format of style `line`.

    It gives X of "The answer is X." or "#### X", blank where X is missing; None where it is no such line.
    """
    match = _line_pattern(tag_format).search(line)
    stated = _stated(match, tag_format) if match and _starts_line(match) else None
    return None if stated is None else line[slice(*stated)]


def stripped(text: str, start: int, end: int) -> Offsets:
    """The offsets of a part of a text without the whitespace at its ends; of a blank one both are `end`."""
    start = end - len(text[start:end].lstrip())
    return start, start + len(text[start:end].rstrip())


def _starts_line(match: re.Match[str]) -> bool:
    """Only the first lead of a line is matched, so that the line before it is looked through once."""
    line_start = match.string.rfind("\n", 0, match.start()) + 1
    return not match.string[line_start : match.start()].strip(" \t")


def _stated(line: re.Match[str], tag_format: TagFormat) -> Offsets | None:
    """Where the answer of a line stands; None where what should close it is missing."""
    start, end = stripped(line.string, *line.span(1))
    if not line.string[start:end].endswith(tag_format.answer_close):
        return None
    return start, start + len(line.string[start : end - len(tag_format.answer_close)].rstrip())


def _last_line(text: str, tag_format: TagFormat, truncated: bool) -> MarkedAnswer:
    answer: Offsets | None = None
    start, end = None, 0
    defects: set[Defect] = set()
    for match in _answer_lines(text, tag_format):
        stated = _stated(match, tag_format)
        if stated is not None:
            if answer is not None:
                defects.add("repeated")
            answer, start, end = stated, match.start(), match.end()
    if answer is None:
        return MarkedAnswer(None, None, frozenset({"no_tags"}))
    if answer[0] == answer[1]:
        defects.add("empty_answer")
    if text[end:].strip():
        defects.add("text_outside")
    if truncated and not tag_format.answer_close and end == len(text):
        answer = None  # nothing shows that it was not cut off
    return MarkedAnswer(answer, start, frozenset(defects))


def _answer_lines(text: str, tag_format: TagFormat) -> Iterator[re.Match[str]]:
    """The lines of the format; of more than 1,000 the first and those in the last 100,000 characters."""
    pattern, end, num_lines = _line_pattern(tag_format), 0, 0
    for match in pattern.finditer(text):
        end, num_lines = match.end(), num_lines + 1
        if _starts_line(match):
            yield match
        if num_lines == _MOST_LINES:
            break
    else:
        return
    yield from filter(_starts_line, pattern.finditer(text, max(end, len(text) - _TAIL_CHARS)))


@lru_cache(maxsize=64)
def _line_pattern(tag_format: TagFormat) -> re.Pattern[str]:
    lead = tag_format.answer_open.strip()
    close = f"|{re.escape(tag_format.answer_close)}" if tag_format.answer_close else ""
    # "The answer is" must not match "The answer isn't", nor "####" a longer row of hashes.
    border = rf"(?=[ \t]{close})" if lead[-1].isalnum() else rf"(?!{re.escape(lead[-1])})"
    return re.compile(rf"{re.escape(lead)}{border}(.*)")


def _last_box(text: str, tag_format: TagFormat) -> MarkedAnswer:
    boxes = closed_boxes(text, tag_format.answer_open)
    if not boxes:
        opened = tag_format.answer_open in text
        return MarkedAnswer(None, None, frozenset({"unclosed_answer" if opened else "no_tags"}))
    last = boxes[-1]
    contents = {"".join(text[box.content_start : box.content_end].split()) for box in boxes}
    defects: set[Defect] = set()
    if len(contents) > 1:
        defects.add("repeated")
    if text.find(tag_format.answer_open, last.content_end) >= 0:
        defects.add("unclosed_answer")
    if any(map(str.isalnum, text[last.content_end :].partition("\n")[2])):
        defects.add("text_outside")
    answer = stripped(text, last.content_start, last.content_end)
    if answer[0] == answer[1]:
        defects.add("empty_answer")
    return MarkedAnswer(answer, last.start, frozenset(defects))


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box starts, and its content: characters content_start to content_end (exclusive)."""

    start: int
    content_start: int
    content_end: int


def closed_boxes(text: str, opening: str = "\\boxed{") -> tuple[Box, ...]:
    r"""Find the last closed boxes of a text, ``\boxed{…}``, in time that does not grow with their number.

    Args:
        text: any text.
        opening: how a box begins; whitespace may stand before its brace.

    Returns:
        The boxes in the order of the text, those in other boxes included.
    """
    found: list[Box] = []
    command, position = opening.removesuffix("{"), len(text)
    for _ in range(MOST_BOXES):
        position = text.rfind(command, 0, position)
        if position < 0:
            break
        box = _box_at(text, position, position + len(command))
        if box:
            found.append(box)
    return tuple(reversed(found))


def _box_at(text: str, start: int, after_command: int) -> Box | None:
    brace = re.compile(r"\s{0,100}\{").match(text, after_command)
    if brace is None:
        return None
    depth = 1
    for match in _BRACE.finditer(text, brace.end(), brace.end() + LONGEST_BOX_CHARS):
        if match.group() in "{}":
            depth += 1 if match.group() == "{" else -1
        if not depth:
            return Box(start, brace.end(), match.start())
    return None
