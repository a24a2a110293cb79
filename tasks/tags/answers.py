r"""Answers that no closing tag ends: the text after the reasoning, a ``\boxed{…}``, a last line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tasks.tags.boxes import closed_boxes
from tasks.tags.formats import Defect, TagFormat

_MOST_LINES = 1_000
_TAIL_CHARS = 100_000


@dataclass(frozen=True, slots=True)
class MarkedAnswer:
    """What a text says in the style of a format.

    Attributes:
        answer: the answer, stripped and perhaps blank; None where there is none, or where it may be cut off.
        start: where its mark begins; None where there is none.
        defects: all that is wrong, but that the output was truncated.
    """

    answer: str | None
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
    answer = text.strip()
    return MarkedAnswer(
        None if truncated else answer, 0, frozenset() if answer else frozenset({"empty_answer"})
    )


def line_answer(line: str, tag_format: TagFormat) -> str | None:
    """Read one line as the answer line of a format.

    Args:
        line: a line without its newline.
        tag_format: of style `line`.

    Returns:
        X of "The answer is X." or "#### X", blank where X is missing; None where it is no such line.
    """
    match = _line_pattern(tag_format).search(line)
    return _stated(match, tag_format) if match and _starts_line(match) else None


def _starts_line(match: re.Match[str]) -> bool:
    """Only the first lead of a line is matched, so that the line before it is looked through once."""
    line_start = match.string.rfind("\n", 0, match.start()) + 1
    return not match.string[line_start : match.start()].strip(" \t")


def _stated(line: re.Match[str], tag_format: TagFormat) -> str | None:
    stated = line[1].strip()
    if not stated.endswith(tag_format.answer_close):
        return None
    return stated.removesuffix(tag_format.answer_close).rstrip()


def _last_line(text: str, tag_format: TagFormat, truncated: bool) -> MarkedAnswer:
    answer, start, end = None, None, 0
    defects: set[Defect] = set()
    for match in _answer_lines(text, tag_format):
        stated = _stated(match, tag_format)
        if stated is not None:
            if answer is not None:
                defects.add("repeated")
            answer, start, end = stated, match.start(), match.end()
    if answer is None:
        return MarkedAnswer(None, None, frozenset({"no_tags"}))
    if not answer:
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
    answer = text[last.content_start : last.content_end].strip()
    if not answer:
        defects.add("empty_answer")
    return MarkedAnswer(answer, last.start, frozenset(defects))
