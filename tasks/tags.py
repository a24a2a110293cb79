"""Tag formats at work: write a reference response, judge the form of an output.

The trainer renders responses here and the scorer parses outputs here, so that what is trained and what is
judged cannot drift apart.
"""

from dataclasses import dataclass

from tasks.errors import InputError
from tasks.records import Record
from tasks.tag_formats import DEFECTS, TAG_FORMATS, Defect, Segment, TagFormat, get_tag_format
from tasks.tag_parser import FINAL_LEAD, Parsed, final_line_answer, parse_output

__all__ = [
    "DEFECTS",
    "TAG_FORMATS",
    "Defect",
    "Parsed",
    "Response",
    "Segment",
    "Span",
    "TagFormat",
    "get_tag_format",
    "parse_output",
    "render_response",
]


@dataclass(frozen=True, slots=True)
class Span:
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

    Tagged: ``<Thinking>{rationale}</Thinking>\n<Answer>{answer}</Answer>``; the newline belongs to the
    thinking tag. Untagged: ``{rationale}\nThe answer is {answer}.``, where the lead and the final full stop
    are the answer tag; a final-answer line that already ends the rationale is not written twice, and an
    answer of several lines is joined into one.

    Args:
        record: must have a rationale.
        tag_format: the format.

    Returns:
        The text and its spans, in characters.

    Raises:
        InputError: the record has no rationale, or its texts contain what marks the format.
    """
    rationale, answer = (record.rationale or "").strip(), record.answer.strip()
    if tag_format.tagged:
        _refuse_tags(record, rationale, answer, tag_format)
        parts: list[tuple[Segment, str]] = [
            ("thinking_tag", tag_format.think_open),
            ("thinking", rationale),
            ("thinking_tag", tag_format.think_close + "\n"),
            ("answer_tag", tag_format.answer_open),
            ("answer", answer),
            ("answer_tag", tag_format.answer_close),
        ]
    else:
        rationale = _without_final_line(record, rationale)
        parts = [
            ("thinking", rationale + "\n"),
            ("answer_tag", FINAL_LEAD),
            ("answer", " ".join(answer.split())),
            ("answer_tag", "."),
        ]
    if not rationale:
        raise InputError(f"record {record.id!r} has no rationale to render; drop it or add one")
    return _tile(parts)


def _refuse_tags(record: Record, rationale: str, answer: str, tag_format: TagFormat) -> None:
    for part, text in (("rationale", rationale), ("answer", answer)):
        for tag in tag_format.tag_strings:
            if tag in text:
                raise InputError(
                    f"record {record.id!r}: its {part} contains {tag}, a tag of the format "
                    f"'{tag_format.name}'; drop the record or choose another format"
                )


def _without_final_line(record: Record, rationale: str) -> str:
    head, _, last = rationale.rpartition("\n")
    if final_line_answer(last) is not None:
        rationale = head.rstrip()
    if any(final_line_answer(line) is not None for line in rationale.split("\n")):
        raise InputError(
            f"record {record.id!r}: its rationale has a line '{FINAL_LEAD}….', which ends an untagged "
            "response; drop the record or choose a tagged format"
        )
    return rationale


def _tile(parts: list[tuple[Segment, str]]) -> Response:
    spans, end = [], 0
    for segment, text in parts:
        spans.append(Span(segment, end, end + len(text)))
        end += len(text)
    return Response("".join(text for _, text in parts), tuple(spans))
