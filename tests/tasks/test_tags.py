"""Rendering and parsing of tagged and untagged responses."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.records import Record
from tasks.tags import DEFECTS, TAG_FORMATS, TagFormat, get_tag_format, parse_output, render_response

PAPER, R1, NONE = (get_tag_format(name) for name in ("thinking-answer", "think-answer", "none"))
VALID = "<Thinking>r</Thinking>\n<Answer>5</Answer>"


def test_an_unknown_format_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'thinking-answer'"):
        get_tag_format("thinking_answer")


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
    ],
)
def test_what_cannot_be_rendered_names_the_record(
    number_record: Record, change: dict[str, Any], tags: TagFormat, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        render_response(replace(number_record, **change), tags)
    assert "'n1'" in str(caught.value)


@pytest.mark.parametrize(
    "output", [VALID, f"\n {VALID}\n\n", VALID.replace("\n", ""), VALID.replace("5", "\n5 ")]
)
def test_whitespace_around_tags_is_allowed(output: str) -> None:
    parsed = parse_output(output, PAPER, truncated=False)
    assert (parsed.format_valid, parsed.defects, parsed.thinking, parsed.answer) == (True, (), "r", "5")


@pytest.mark.parametrize(
    ("output", "defects"),
    [
        ("", "no_tags"),
        ("the answer is 5", "no_tags"),
        ("<thinking>r</thinking><answer>5</answer>", "no_tags"),
        ("<Answer>5</Answer><Thinking>r</Thinking>", "wrong_order"),
        ("<Answer>5</Answer>", "wrong_order"),
        ("</Thinking><Answer>5</Answer>", "wrong_order"),
        ("r</Thinking><Answer>5</Answer>", "wrong_order text_outside"),
        ("<Thinking>r<Answer>5</Answer></Thinking>", "wrong_order"),
        ("<Thinking>r", "unclosed_thinking"),
        ("<Thinking>r<Answer>5</Answer>", "unclosed_thinking"),
        ("<Thinking>r</Thinking><Answer>5", "unclosed_answer"),
        ("<Thinking>r<Answer>5", "unclosed_thinking unclosed_answer"),
        (f"Sure! {VALID}", "text_outside"),
        (f"{VALID} Done.", "text_outside"),
        ("<Thinking>r</Thinking> so <Answer>5</Answer>", "text_outside"),
        ("<Thinking>r</Thinking> 5", "text_outside"),
        (f"{VALID}{VALID}", "repeated"),
        ("<Thinking><Thinking>r</Thinking><Answer>5</Answer>", "repeated"),
        (f"{VALID}<Answer>6</Answer>", "repeated"),
        ("<Thinking>r</Thinking><Answer> \n</Answer>", "empty_answer"),
        ("<Thinking>r</Thinking>", "empty_answer"),
        (f"x{VALID}{VALID}<Thinking>", "unclosed_thinking text_outside repeated"),
    ],
)
def test_every_defect_is_listed(output: str, defects: str) -> None:
    assert parse_output(output, PAPER, truncated=False).defects == tuple(defects.split())
    cut = parse_output(output, PAPER, truncated=True).defects
    assert set(cut) == {*defects.split(), "truncated"}


@pytest.mark.parametrize(
    ("output", "defects", "answer"),
    [
        ("r\nThe answer is 5.", "", "5"),
        ("The answer is 5.\n", "", "5"),
        ("r", "no_tags", None),
        ("r. The answer is 5.", "no_tags", None),
        ("r\nThe answer is 5", "no_tags", None),
        ("The answer is 5.\nThe answer is 6.", "repeated", "6"),
        ("The answer is 5.\nBye", "text_outside", "5"),
        ("The answer is .", "empty_answer", None),
    ],
)
def test_the_untagged_form_is_one_final_line(output: str, defects: str, answer: str | None) -> None:
    parsed = parse_output(output, NONE, truncated=False)
    assert (parsed.defects, parsed.answer) == (tuple(defects.split()), answer)


def test_an_answer_inside_reasoning_that_goes_on_is_none() -> None:
    assert parse_output("<Thinking>say <Answer>5</Answer> or", PAPER, truncated=True).answer is None
    assert parse_output("<Thinking>so <Answer>5</Answer>", PAPER, truncated=False).answer == "5"


PLAIN = st.text(min_size=1).filter(lambda text: text.strip() and "<" not in text and "The answer" not in text)
PIECES = st.lists(
    st.sampled_from([*PAPER.tag_strings, *R1.tag_strings, "The answer is ", ".", "\n", " ", "5", "é"])
)


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


@given(pieces=PIECES, truncated=st.booleans(), name=st.sampled_from(sorted(TAG_FORMATS)))
def test_valid_means_without_defect(pieces: list[str], truncated: bool, name: str) -> None:
    parsed = parse_output("".join(pieces), get_tag_format(name), truncated=truncated)
    assert parsed.format_valid == (not parsed.defects)
    assert list(parsed.defects) == [defect for defect in DEFECTS if defect in parsed.defects]
    if parsed.format_valid:
        assert parsed.answer


@pytest.mark.parametrize(
    "output",
    [
        "<Thinking>" * 100_000,
        "<Answer>5</Answer>" * 50_000,
        "<" * 10_000_000,
        " " * 10_000_000,
        "x\n" * 5_000_000,
    ],
    ids=["unclosed", "repeated", "brackets", "blanks", "lines"],
)
def test_huge_outputs_are_parsed(output: str) -> None:
    for tag_format in (PAPER, NONE):
        assert not parse_output(output, tag_format, truncated=True).format_valid
