"""Reference responses: how each format writes them, and that they parse back."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.records import Record
from tasks.tags import (
    TAG_FORMATS,
    TagFormat,
    get_tag_format,
    parse_output,
    render_response,
)

PAPER, R1, NONE = (get_tag_format(name) for name in ("thinking-answer", "think-answer", "none"))
STRICT, THINK, BOXED, GSM8K = (
    get_tag_format(name) for name in ("think-answer-strict", "think", "boxed", "gsm8k")
)


def test_the_tagged_response(number_record: Record) -> None:
    response = render_response(number_record, PAPER)
    assert response.text == "<Thinking>2 + 3 = 5</Thinking>\n<Answer>5</Answer>"
    assert [(span.segment, response.text[span.start : span.end]) for span in response.spans] == [
        ("thinking_tag", "<Thinking>"),
        ("thinking", "2 + 3 = 5"),
        ("thinking_tag", "</Thinking>\n"),
        ("answer_tag", "<Answer>"),
        ("answer", "5"),
        ("answer_tag", "</Answer>"),
    ]


def test_the_untagged_response(choice_record: Record) -> None:
    response = render_response(choice_record, NONE)
    assert response.text == "Fog needs water.\nThe answer is A."
    assert [(span.segment, response.text[span.start : span.end]) for span in response.spans] == [
        ("thinking", "Fog needs water.\n"),
        ("answer_tag", "The answer is "),
        ("answer", "A"),
        ("answer_tag", "."),
    ]


@pytest.mark.parametrize(
    ("tags", "parts"),
    [
        (STRICT, "<think>¶|2 + 3 = 5|¶</think>¶|<answer>¶|5|¶</answer>"),
        (THINK, "<think>¶|2 + 3 = 5|¶</think>¶¶|5"),
        (BOXED, r"2 + 3 = 5¶|\boxed{|5|}"),
        (GSM8K, "2 + 3 = 5¶|#### |5"),
        (replace(THINK, think_open_in_prompt=True), "2 + 3 = 5|¶</think>¶¶|5"),
        (replace(R1, think_open="", think_close=""), "2 + 3 = 5¶|<answer>|5|</answer>"),
        (replace(THINK, answer_style="line", answer_open="A:"), "<think>¶|2 + 3 = 5|¶</think>¶¶|A:|5"),
    ],
)
def test_the_response_of_each_style(number_record: Record, tags: TagFormat, parts: str) -> None:
    response = render_response(number_record, tags)
    texts = [response.text[span.start : span.end].replace("\n", "¶") for span in response.spans]
    assert "|".join(texts) == parts
    assert parse_output(response.text, tags, truncated=False).format_valid


def test_a_box_that_ends_the_rationale_is_not_written_twice(number_record: Record) -> None:
    record = replace(number_record, rationale="It is $\\boxed{ 5}$ eggs.")
    response = render_response(record, BOXED)
    assert response.text == record.rationale
    assert [(span.segment, response.text[span.start : span.end]) for span in response.spans] == [
        ("thinking", "It is $"),
        ("answer_tag", "\\boxed{"),
        ("answer", " 5"),
        ("answer_tag", "}$ eggs."),
    ]


def test_a_final_line_of_the_rationale_is_not_written_twice(number_record: Record) -> None:
    record = replace(number_record, rationale="2 + 3 = 5\nThe answer is 5.")
    assert render_response(record, NONE).text == "2 + 3 = 5\nThe answer is 5."


@pytest.mark.parametrize(
    ("change", "tags", "complaint"),
    [
        ({"rationale": None}, PAPER, "no rationale"),
        ({"rationale": " \n"}, NONE, "no rationale"),
        ({"rationale": "so </Thinking>"}, PAPER, "rationale contains </Thinking>"),
        ({"answer": "<Answer>"}, PAPER, "answer contains <Answer>"),
        ({"rationale": "The answer is 4.\nNo, 5."}, NONE, "has a line"),
        ({"rationale": "#### 4\nNo, 5."}, GSM8K, "has a line"),
        ({"rationale": "so </think>"}, THINK, "rationale contains </think>"),
        ({"rationale": "so \\boxed{4}"}, BOXED, "a box that is not its answer"),
        ({"rationale": "so \\boxed{4} or \\boxed{5}"}, BOXED, "a box that is not its answer"),
        ({"answer": "}{"}, BOXED, "braces without partner"),
    ],
)
def test_what_cannot_be_rendered_names_the_record(
    number_record: Record, change: dict[str, Any], tags: TagFormat, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        render_response(replace(number_record, **change), tags)
    assert "'n1'" in str(caught.value)


MARKS = ("<", "{", "}", "\\", "#", "The answer")
PLAIN = st.text(min_size=1).filter(lambda text: text.strip() and not any(mark in text for mark in MARKS))


@given(rationale=PLAIN, answer=PLAIN, name=st.sampled_from(sorted(TAG_FORMATS)))
def test_what_is_rendered_parses_back(rationale: str, answer: str, name: str) -> None:
    record = Record("x", "q", None, rationale, answer, "text")
    tag_format = get_tag_format(name)
    response = render_response(record, tag_format)
    starts = [span.start for span in response.spans]
    assert starts == [0, *(span.end for span in response.spans[:-1])]
    assert response.spans[-1].end == len(response.text)
    parsed = parse_output(response.text, tag_format, truncated=False)
    assert parsed.format_valid
    assert (parsed.thinking or "").split() == rationale.split()
    assert (parsed.answer or "").split() == answer.split()


EVERY_FORMAT = (
    *TAG_FORMATS.values(),
    replace(THINK, think_open_in_prompt=True),
    replace(R1, think_open="", think_close=""),
    replace(THINK, answer_style="line", answer_open="A:"),
    replace(BOXED, think_open="<t>", think_close="</t>"),
)


@pytest.mark.parametrize("tags", EVERY_FORMAT, ids=lambda tags: f"{tags.name} {tags.answer_style}")
@settings(max_examples=40, deadline=None)
@given(
    rationale=st.text("ab 1\n", min_size=1).filter(str.strip),
    answer=st.text("xy2 ", min_size=1).filter(str.strip),
    around=st.sampled_from(("", "\n", "  \n")),
)
def test_the_spans_of_a_rendered_response_are_its_own(
    tags: TagFormat, rationale: str, answer: str, around: str
) -> None:
    """Told by the renderer, which knows where it wrote what."""
    response = render_response(Record("r", "q", None, rationale, answer, "text"), tags)
    parsed = parse_output(around + response.text + around, tags, truncated=False)
    for segment, span in (("thinking", parsed.thinking_span), ("answer", parsed.answer_span)):
        (written,) = (one for one in response.spans if one.segment == segment)
        text = response.text[written.start : written.end]
        start = len(around) + written.start + len(text) - len(text.lstrip())
        assert span == (start, start + len(text.strip()))
