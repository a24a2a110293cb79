r"""Answers that no closing tag ends: the text after the reasoning, a ``\boxed{…}``, a last line.

Everything here is linear in the length of the text: a model can emit a million boxes or lines.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

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


class MarkedAnswer(NamedTuple):
    """What a text says in the style of a format.

    Attributes:
        answer: where the answer stands, stripped and perhaps blank; None where there is none, or where it may
            be cut off.
        start: where its mark begins; None where there is none.
        defects: all that is wrong, but that the output was truncated.
    """

    answer: Offsets | None
    start: int | None
    defects: set[Defect]


def marked_answer(output: str, start: int, tag_format: TagFormat, truncated: bool) -> MarkedAnswer:
    """Read the answer of style `text`, `boxed` or `line`, in time linear in the length of the text.

    Args:
        output: the text.
        start: where its reasoning ends, so that an answer may begin.
        tag_format: of one of the three styles.
        truncated: whether generation stopped at the token limit: the end of the text is then no end.
    """
    text = output[start:]
    if tag_format.answer_style == "boxed":
        found = _last_box(text, tag_format)
    elif tag_format.answer_style == "line":
        found = _last_line(text, tag_format, truncated)
    else:
        whole = stripped(text, 0, len(text))
        found = MarkedAnswer(None if truncated else whole, 0, _empty(whole))
    answer = found.answer and (start + found.answer[0], start + found.answer[1])
    return MarkedAnswer(answer, None if found.start is None else start + found.start, found.defects)


def _empty(answer: Offsets) -> set[Defect]:
    return {"empty_answer"} if answer[0] == answer[1] else set()


def line_answer(line: str, tag_format: TagFormat) -> str | None:
    """Read the X of a line without its newline, such as "The answer is X."; None where it is no such one."""
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
    lines = ((_stated(line, tag_format), line) for line in _answer_lines(text, tag_format))
    found = [(answer, *line.span()) for answer, line in lines if answer is not None]
    if not found:
        return MarkedAnswer(None, None, {"no_tags"})
    answer, start, end = found[-1]
    defects = _empty(answer)
    if len(found) > 1:
        defects.add("repeated")
    if text[end:].strip():
        defects.add("text_outside")
    cut = truncated and not tag_format.answer_close and end == len(text)  # nothing shows that it was not
    return MarkedAnswer(None if cut else answer, start, defects)


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
        return MarkedAnswer(None, None, {"unclosed_answer" if tag_format.answer_open in text else "no_tags"})
    last = boxes[-1]
    contents = {"".join(text[box.content_start : box.content_end].split()) for box in boxes}
    answer = stripped(text, last.content_start, last.content_end)
    defects = _empty(answer)
    if len(contents) > 1:
        defects.add("repeated")
    if text.find(tag_format.answer_open, last.content_end) >= 0:
        defects.add("unclosed_answer")
    if any(map(str.isalnum, text[last.content_end :].partition("\n")[2])):
        defects.add("text_outside")
    return MarkedAnswer(answer, last.start, defects)


class Box(NamedTuple):
    """Where a box starts, and its content: characters content_start to content_end (exclusive)."""

    start: int
    content_start: int
    content_end: int


def closed_boxes(text: str, opening: str = "\\boxed{") -> tuple[Box, ...]:
    r"""Find the last closed boxes of a text, ``\boxed{…}``, in time that does not grow with their number.

    They come in the order of the text, those in other boxes included; whitespace may stand before a brace.
    """
    found: list[Box] = []
    command, position = opening.removesuffix("{"), len(text)
    for _ in range(MOST_BOXES):
        position = text.rfind(command, 0, position)
        if position < 0:
            break
        if box := _box_at(text, position, position + len(command)):
            found.insert(0, box)
    return tuple(found)


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
