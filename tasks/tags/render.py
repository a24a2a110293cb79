"""Write the reference response of a record, with the segment of each of its characters."""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from tasks.errors import InputError
from tasks.records import Record
from tasks.tags.answers import closed_boxes, line_answer, marked_answer
from tasks.tags.formats import Segment, TagFormat

_Parts = list[tuple[Segment, str]]


class Span(NamedTuple):
    """Characters start to end (exclusive) of a response belong to a segment."""

    segment: Segment
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Response:
    """A rendered response; its spans tile the text without gap or overlap, in order."""

    text: str
    spans: tuple[Span, ...]


def render_response(record: Record, tag_format: TagFormat) -> Response:
    r"""Write the reference response of a record.

    Style `tags`: ``<Thinking>{rationale}</Thinking>\n<Answer>{answer}</Answer>``, for a strict format with a
    newline inside every tag too; newlines belong to the tag before them, inside a closing one to that. Style
    `text`: ``<think>\n{rationale}\n</think>\n\n{answer}``. Without tags around the reasoning: ``{rationale}``
    and on the next line ``The answer is {answer}.``, ``#### {answer}`` or ``\boxed{{answer}}``, where what
    stands around the answer is the answer tag; a line or box of this kind that already ends the rationale is
    not written twice, and an answer of several lines is joined into one where it must be a line. Where the
    prompt opens the reasoning, the response starts after the opening tag.

    Raises:
        InputError: the record has no rationale, or its texts contain what marks the format.
    """
    rationale, answer = (record.rationale or "").strip(), record.answer.strip()
    _refuse_tags(record, rationale, answer, tag_format)
    parts: _Parts | None = None
    if tag_format.answer_style == "boxed":
        _refuse_unbalanced(record, answer, tag_format)
        if not tag_format.think_open and tag_format.answer_open in rationale:
            parts = _boxed_in_place(record, rationale, answer, tag_format)
    if tag_format.answer_style == "line" and not tag_format.think_open:
        rationale = _without_final_line(record, rationale, tag_format)
    if not rationale:
        raise InputError(f"record {record.id!r} has no rationale to render; drop it or add one")
    return _tile(parts or [*_thinking(rationale, tag_format), *_answer(answer, tag_format)])


def _thinking(rationale: str, tag_format: TagFormat) -> _Parts:
    if not tag_format.think_open:
        return [("thinking", rationale + "\n")]
    airy = tag_format.whitespace == "strict" or tag_format.answer_style != "tags"
    newline, gap = "\n" if airy else "", "\n" if tag_format.answer_style == "tags" else "\n\n"
    opening = "" if tag_format.think_open_in_prompt else tag_format.think_open + newline
    return [
        ("thinking_tag", opening),
        ("thinking", rationale),
        ("thinking_tag", newline + tag_format.think_close + gap),
    ]


def _answer(answer: str, tag_format: TagFormat) -> _Parts:
    newline = "\n" if tag_format.whitespace == "strict" and tag_format.answer_style == "tags" else ""
    return [
        ("answer_tag", tag_format.answer_open + newline),
        ("answer", " ".join(answer.split()) if tag_format.answer_style == "line" else answer),
        ("answer_tag", newline + tag_format.answer_close),
    ]


def _boxed_in_place(record: Record, rationale: str, answer: str, tag_format: TagFormat) -> _Parts:
    """The rationale as it is, where it ends in a box with the answer, as the solutions of MATH do."""
    found = marked_answer(rationale, 0, tag_format, truncated=False)
    written = rationale[slice(*found.answer)] if found.answer else ""
    if found.defects or "".join(written.split()) != "".join(answer.split()):
        raise InputError(
            f"record {record.id!r}: its rationale has a box that is not its answer at its end; drop the "
            "record or choose another format"
        )
    box = closed_boxes(rationale, tag_format.answer_open)[-1]
    return [
        ("thinking", rationale[: box.start]),
        ("answer_tag", rationale[box.start : box.content_start]),
        ("answer", rationale[box.content_start : box.content_end]),
        ("answer_tag", rationale[box.content_end :]),
    ]


def _refuse_unbalanced(record: Record, answer: str, tag_format: TagFormat) -> None:
    boxed = tag_format.answer_open + answer + tag_format.answer_close
    found = marked_answer(boxed, 0, tag_format, truncated=False)
    if found.answer is None or boxed[slice(*found.answer)] != answer:
        raise InputError(
            f"record {record.id!r}: its answer has braces without partner; drop the record or choose another "
            "format"
        )


def _refuse_tags(record: Record, rationale: str, answer: str, tag_format: TagFormat) -> None:
    texts = (("rationale", rationale), ("answer", answer))
    for (part, text), tag in product(texts, tag_format.span_tags):
        if tag in text:
            raise InputError(
                f"record {record.id!r}: its {part} contains {tag}, a tag of the format "
                f"'{tag_format.name}'; drop the record or choose another format"
            )


def _without_final_line(record: Record, rationale: str, tag_format: TagFormat) -> str:
    head, _, last = rationale.rpartition("\n")
    if line_answer(last, tag_format) is not None:
        rationale = head.rstrip()
    if any(line_answer(line, tag_format) is not None for line in rationale.split("\n")):
        raise InputError(
            f"record {record.id!r}: its rationale has a line '{tag_format.answer_open}…', which ends a "
            f"response of the format '{tag_format.name}'; drop the record or choose a format with tags"
        )
    return rationale


def _tile(parts: _Parts) -> Response:
    spans, end = [], 0
    for segment, text in parts:
        if text:
            spans.append(Span(segment, end, end + len(text)))
            end += len(text)
    return Response("".join(text for _, text in parts), tuple(spans))
