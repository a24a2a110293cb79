"""The form of outputs: every defect, every style, and where reasoning and answer stand."""

import re
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.tags import (
    DEFECTS,
    TAG_FORMATS,
    TagFormat,
    get_tag_format,
    opens_reasoning,
    parse_output,
)

PAPER, R1, NONE = (get_tag_format(name) for name in ("thinking-answer", "think-answer", "none"))
STRICT, THINK, BOXED, GSM8K = (
    get_tag_format(name) for name in ("think-answer-strict", "think", "boxed", "gsm8k")
)
VALID = "<Thinking>r</Thinking>\n<Answer>5</Answer>"


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


PIECES = st.lists(
    st.sampled_from(
        [*PAPER.tag_strings, *R1.tag_strings, "The answer is ", "#### ", "\\boxed{", "}", ".", "\n", " ", "5"]
    )
)


@given(pieces=PIECES, truncated=st.booleans(), name=st.sampled_from(sorted(TAG_FORMATS)))
def test_valid_means_without_defect(pieces: list[str], truncated: bool, name: str) -> None:
    parsed = parse_output("".join(pieces), get_tag_format(name), truncated=truncated)
    assert parsed.format_valid == (not parsed.defects)
    assert list(parsed.defects) == [defect for defect in DEFECTS if defect in parsed.defects]
    if parsed.format_valid:
        assert parsed.answer


@given(pieces=PIECES, name=st.sampled_from(sorted(TAG_FORMATS)), opened=st.booleans())
def test_reasoning_that_is_never_closed_has_no_answer(pieces: list[str], name: str, opened: bool) -> None:
    tag_format = get_tag_format(name)
    inside = "".join(piece for piece in pieces if not piece.startswith("</"))
    text = inside + " so" if opened else f"{tag_format.think_open or '<think>'}{inside} so"
    parsed = parse_output(text, tag_format, truncated=True, reasoning_open=opened)
    assert (parsed.answer, parsed.in_thinking) == (None, True)
    assert not parsed.format_valid


@pytest.mark.parametrize(
    ("output", "defects", "answer"),
    [
        ("<think>r</think>5", "", "5"),
        ("\n<think>\nr\n</think>\n\nSo\n**5** eggs.\n", "", "So\n**5** eggs."),
        ("<think></think> 5", "", "5"),
        ("5", "no_tags", None),
        ("<think>r", "unclosed_thinking", None),
        ("<think>r</think>\n", "empty_answer", None),
        ("r</think>5", "wrong_order text_outside", "5"),
        ("So: <think>r</think>5", "text_outside", "5"),
        ("<think>r</think>5<think>no</think>6", "repeated", "6"),
        ("<think>r</think>5<think>no", "unclosed_thinking repeated", None),
    ],
)
def test_the_text_after_the_reasoning_is_the_answer(output: str, defects: str, answer: str | None) -> None:
    parsed = parse_output(output, THINK, truncated=False)
    assert (parsed.defects, parsed.answer) == (tuple(defects.split()), answer)


@pytest.mark.parametrize(
    ("output", "defects", "answer"),
    [
        (r"r \boxed{5}", "", "5"),
        (r"r $\boxed {\frac{1}{2}}$.", "", r"\frac{1}{2}"),
        (r"\[\n\boxed{\{1, 2\}}\n\]", "", r"\{1, 2\}"),
        (r"\boxed{5} and again \boxed{ 5 }", "", "5"),
        (r"<think>\boxed{4}? no</think> \boxed{5}", "", "5"),
        ("5", "no_tags", None),
        (r"\boxed{5", "unclosed_answer", None),
        (r"\boxed{4} no \boxed{5}", "repeated", "5"),
        (r"\boxed{5} no \boxed{6", "unclosed_answer", "5"),
        ("\\boxed{5}\nI hope it is right", "text_outside", "5"),
        (r"\boxed{ }", "empty_answer", None),
    ],
)
def test_the_box_is_the_answer(output: str, defects: str, answer: str | None) -> None:
    parsed = parse_output(output.replace(r"\n", "\n"), BOXED, truncated=False)
    assert (parsed.defects, parsed.answer) == (tuple(defects.split()), answer)


@pytest.mark.parametrize(
    ("output", "truncated", "defects", "answer"),
    [
        ("r\n#### 5", False, "", "5"),
        ("r\n####5\n\n", False, "", "5"),
        ("r\n##### 5", False, "no_tags", None),
        ("r #### 5", False, "no_tags", None),
        ("#### 5\nQ", False, "text_outside", "5"),
        ("#### 5\n#### 6", False, "repeated", "6"),
        ("r\n####", False, "empty_answer", None),
        ("r\n#### 5", True, "truncated", None),
        ("r\n#### 5\n", True, "truncated", "5"),
    ],
)
def test_the_last_line_is_the_answer(output: str, truncated: bool, defects: str, answer: str | None) -> None:
    parsed = parse_output(output, GSM8K, truncated=truncated)
    assert (parsed.defects, parsed.answer) == (tuple(defects.split()), answer)


@pytest.mark.parametrize(
    ("output", "tags", "defects", "answer"),
    [
        ("r</think><answer>5</answer>", R1, "", "5"),
        ("r\n</think>\n<answer>\n5\n</answer>", STRICT, "", "5"),
        ("r</think>\n<answer>\n5\n</answer>", STRICT, "whitespace", "5"),
        ("r</think>\n5", THINK, "", "5"),
        ("<think>r</think>\n5", THINK, "", "5"),
        ("so 5", THINK, "no_tags unclosed_thinking", None),
        ("so <answer>5</answer> or", R1, "unclosed_thinking text_outside", None),
        ("so \\boxed{5}", BOXED, "no_tags unclosed_thinking", None),
        ("so</think> \\boxed{5}", BOXED, "", "5"),
        ("#### 5\nso", GSM8K, "no_tags unclosed_thinking", None),
        ("r</think>\n<Thinking>r</Thinking><Answer>5</Answer>", PAPER, "text_outside", "5"),
    ],
)
def test_an_output_may_begin_inside_the_reasoning(
    output: str, tags: TagFormat, defects: str, answer: str | None
) -> None:
    opened = parse_output(output, tags, truncated=False, reasoning_open=True)
    assert (opened.defects, opened.answer) == (tuple(defects.split()), answer)
    if tags.think_open:
        assert opened == parse_output(output, replace(tags, think_open_in_prompt=True), truncated=False)


@pytest.mark.parametrize(
    ("prompt", "tags", "expected"),
    [
        ("<|Assistant|><think>\n", R1, True),
        ("<|Assistant|><think>\n", NONE, True),
        ("<|Assistant|><think>\n", PAPER, True),
        ("Q <think> A:", R1, False),
        ("<|Assistant|><think>\n\n</think>\n\n", R1, False),
        ("Question: 1?\n", replace(R1, think_open_in_prompt=True), True),
    ],
)
def test_a_prompt_may_open_the_reasoning(prompt: str, tags: TagFormat, expected: bool) -> None:
    assert opens_reasoning(prompt, tags) is expected


LOOSE = re.compile(r"^<think>.*?</think>\s*<answer>.*?</answer>$", re.DOTALL)
OPEN_R1 = re.compile(r"^<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>$", re.DOTALL)
TRL_THINK = re.compile(r"^<think>(?!.*<think>)(.*?)</think>.*$", re.DOTALL | re.MULTILINE)
SPACES = st.sampled_from(["", "", "\n", "\n\n", " ", "\t", "\u3000", "\n \n"])


def mostly(tag: str) -> st.SearchStrategy[str]:
    """A tag, now and then without its place, twice, or in another case."""
    return st.sampled_from([tag] * 12 + ["", f"{tag}{tag}", tag.upper(), "x"])


SHAPED = st.tuples(
    *(SPACES, mostly("<think>"), SPACES, st.sampled_from(["r", "", "<b>"]), SPACES, mostly("</think>")),
    *(
        SPACES,
        mostly("<answer>"),
        SPACES,
        st.sampled_from(["5", "", "5\n6"]),
        SPACES,
        mostly("</answer>"),
        SPACES,
    ),
).map("".join)


def once_each(text: str, tags: TagFormat) -> bool:
    return all(text.count(tag) == 1 for tag in tags.span_tags)


@settings(max_examples=1500, deadline=None)
@given(output=SHAPED)
def test_the_loose_form_is_that_of_the_usual_pattern(output: str) -> None:
    """But for what is documented: each tag once, whitespace around the whole, an answer that is not blank."""
    parsed = parse_output(output, R1, truncated=False)
    usual = LOOSE.match(output.strip()) is not None and once_each(output, R1)
    assert parsed.format_valid == (usual and "empty_answer" not in parsed.defects)
    assert ("empty_answer" in parsed.defects) <= (
        re.search(r"<answer>\s*</answer>|(</think>|<answer>)\s*$", output) is not None
    )


@settings(max_examples=1500, deadline=None)
@given(output=SHAPED)
def test_the_strict_form_is_that_of_open_r1(output: str) -> None:
    parsed = parse_output(output, STRICT, truncated=False)
    usual = OPEN_R1.match(output) is not None and once_each(output, STRICT)
    assert parsed.format_valid == (usual and "empty_answer" not in parsed.defects)
    if parsed.format_valid:
        assert parse_output(output, R1, truncated=False).format_valid


@settings(max_examples=1500, deadline=None)
@given(output=SHAPED)
def test_the_think_form_is_that_of_trl(output: str) -> None:
    parsed = parse_output(output, THINK, truncated=False)
    usual = TRL_THINK.match(output.strip()) is not None and once_each(output, THINK)
    assert parsed.format_valid == (usual and "empty_answer" not in parsed.defects)


@pytest.mark.parametrize(
    ("output", "valid"),
    [
        ("<think>\nr\n</think>\n<answer>\n5\n</answer>", True),
        ("<think>\nr\n</think>\n<answer>\n5\n</answer>\n", True),
        ("<think>\nr\n</think>\n<answer>\n5\n</answer>\n\n", False),
        ("\n<think>\nr\n</think>\n<answer>\n5\n</answer>", False),
        ("<think>\nr\n</think>\n\n<answer>\n5\n</answer>", False),
        ("<think>r</think>\n<answer>5</answer>", False),
        ("<think>\nr\n</think>\n<answer>5</answer>", False),
    ],
)
def test_strict_whitespace_is_a_line_for_each_tag(output: str, valid: bool) -> None:
    parsed = parse_output(output, STRICT, truncated=False)
    assert (parsed.format_valid, parsed.answer) == (valid, "5")
    assert parsed.defects == (() if valid else ("whitespace",))


HUGE = {
    "unclosed": "<Thinking>" * 100_000,
    "think": "<think>" * 1_400_000,
    "closing": "</think>" * 1_250_000,
    "repeated": "<Answer>5</Answer>" * 600_000,
    "brackets": "<" * 10_000_000,
    "blanks": " " * 10_000_000,
    "lines": "x\n" * 5_000_000,
    "boxes": "\\boxed{" * 1_400_000,
    "braces": "\\boxed{" + "{" * 10_000_000,
    "hashes": "####\n" * 2_000_000,
    "statements": "The answer is .\n" * 600_000,
    "one pair": f"<think>{'r ' * 5_000_000}",
}


@pytest.mark.parametrize("shape", HUGE)
def test_huge_outputs_are_parsed_in_linear_time(shape: str) -> None:
    for tag_format in TAG_FORMATS.values():
        start = time.process_time()
        assert not parse_output(HUGE[shape], tag_format, truncated=True).format_valid
        assert time.process_time() - start < 2, tag_format.name


EVERY_FORMAT = (
    *TAG_FORMATS.values(),
    replace(THINK, think_open_in_prompt=True),
    replace(R1, think_open="", think_close=""),
    replace(THINK, answer_style="line", answer_open="A:"),
    replace(BOXED, think_open="<t>", think_close="</t>"),
)
PIECES = (
    *{mark for tags in EVERY_FORMAT for mark in (*tags.span_tags, tags.answer_open, tags.answer_close)},
    *("<thinking>", "</THINK>", "\n", " ", "5", "}", "{", "x y", "\n\nQuestion: another?\n", "\u2028"),
)


@settings(max_examples=400, deadline=None)
@given(
    pieces=st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=14),
    tags=st.sampled_from(EVERY_FORMAT),
    truncated=st.booleans(),
    ignore_case=st.booleans(),
    reasoning_open=st.sampled_from((None, True, False)),
)
def test_spans_are_where_the_texts_stand(
    pieces: list[str], tags: TagFormat, truncated: bool, ignore_case: bool, reasoning_open: bool | None
) -> None:
    output = "".join(pieces)
    parsed = parse_output(
        output, tags, truncated=truncated, ignore_case=ignore_case, reasoning_open=reasoning_open
    )
    for span, text in ((parsed.thinking_span, parsed.thinking), (parsed.answer_span, parsed.answer)):
        assert (span is None) == (text is None)
        if span is not None and text is not None:
            assert 0 <= span[0] <= span[1] <= len(output)
            assert output[span[0] : span[1]] == text == text.strip()
    assert parsed.answer != ""
    if parsed.thinking_span and parsed.answer_span and tags.answer_style != "tags":
        assert parsed.thinking_span[1] <= parsed.answer_span[0]
    assert parsed.rest is None or output.endswith(parsed.rest)
