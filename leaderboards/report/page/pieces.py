"""Cuts an output into reasoning, answer and the rest, so that each character is kept once and in its place.

Each piece is a string whose first character says what it is: `r` reasoning, `a` answer, `_` anything else,
such as tags. Joined without these characters the pieces are the output.
"""

import re
from functools import cache

from tasks.tags import TagFormat, opens_reasoning, parse_output

REASONING, ANSWER, OTHER = "r", "a", "_"
_Span = tuple[int, int, str]


def pieces_of(output: str, prompt: str, tag_format: TagFormat | None, truncated: bool) -> list[str]:
    """The pieces of an output in order; one of kind `_` where the tag format is not known."""
    spans = sorted(_spans(output, prompt, tag_format, truncated)) if tag_format else []
    pieces, end = [], 0
    for start, stop, kind in spans:
        if start < end:
            continue
        if start > end:
            pieces.append(OTHER + output[end:start])
        pieces.append(kind + output[start:stop])
        end = stop
    if end < len(output):
        pieces.append(OTHER + output[end:])
    return pieces


def _spans(output: str, prompt: str, tag_format: TagFormat, truncated: bool) -> list[_Span]:
    opened = opens_reasoning(prompt, tag_format)
    parsed = parse_output(output, tag_format, truncated=truncated, reasoning_open=opened)
    if "no_tags" in parsed.defects and tag_format.span_tags:  # as the scorer does
        parsed = parse_output(
            output, tag_format, truncated=truncated, ignore_case=True, reasoning_open=opened
        )
    spans = []
    if parsed.thinking:
        spans.append(_reasoning(output, parsed.thinking, tag_format))
    elif parsed.in_thinking:
        spans.append((_last_end(output, tag_format.think_open), len(output), REASONING))
    if parsed.answer:
        spans.append(_answer(output, parsed.answer, tag_format))
    return [span for span in spans if 0 <= span[0] < span[1]]


def _reasoning(output: str, text: str, tag_format: TagFormat) -> _Span:
    opening = _mark(tag_format.think_open).search(output) if tag_format.think_open else None
    start = output.find(text, opening.end() if opening else 0)
    return start, start + len(text), REASONING


def _answer(output: str, text: str, tag_format: TagFormat) -> _Span:
    """The last place where the text follows the mark before an answer, else its last place."""
    start = output.rfind(text)
    if tag_format.answer_open:
        ends = [match.end() for match in _mark(tag_format.answer_open).finditer(output)]
        start = next((end for end in reversed(ends) if output.startswith(text, end)), start)
    return start, start + len(text), ANSWER


def _last_end(output: str, mark: str) -> int:
    ends = [match.end() for match in _mark(mark).finditer(output)] if mark else []
    return ends[-1] if ends else 0


@cache
def _mark(mark: str) -> re.Pattern[str]:
    return re.compile(re.escape(mark) + r"\s*", re.IGNORECASE | re.ASCII)
