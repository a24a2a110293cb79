"""One output, one verdict: what counts as an answer, strictly and leniently, and what never does."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.benchmarks import load_benchmark
from tasks.records import Kind, Record
from tasks.scoring import Item, Score, fault_of_gold, score, scorer_digest, spans
from tasks.tags import TAG_FORMATS, get_tag_format, render_response

PAPER, NONE = "thinking-answer", "none"
MARSH = ("a marsh", "a desert")


def judged(
    output: str, gold: str = "5", *, tags: str = PAPER, kind: Kind = "number", truncated: bool = False
) -> Score:
    choices = MARSH if kind == "choice" else None
    return score(Item(output, gold, kind, choices, get_tag_format(tags), truncated))


def test_a_right_and_valid_output_scores_one() -> None:
    verdict = judged("<Thinking>2+3</Thinking>\n<Answer>5</Answer>")
    assert verdict == Score(True, True, True, 1.0, False, (), "5", 3, thinking=(10, 13), answer=(33, 34))


def test_the_score_weighs_accuracy_and_format() -> None:
    output = "<Thinking>2+3</Thinking>\n<Answer>6</Answer>"
    assert judged(output).score == pytest.approx(0.3)
    halves = score(Item(output, "5", "number", None, get_tag_format(PAPER), alpha=0.5))
    assert halves.score == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("output", "lenient", "strict"),
    [
        ("<Thinking>2+3</Thinking><Answer>5</Answer>", True, True),
        ("Sure: <Thinking>2+3</Thinking><Answer>5</Answer> 7", True, False),
        ("<Thinking>9</Thinking> It is 5", True, False),
        ("2+3</Thinking>\nIt is 5", True, False),
        ("<Thinking>2+3</Thinking><Answer>5", True, False),
        ("<thinking>2+3</thinking><answer>5</answer> or 7", True, False),
        ("2+3 is 5", True, False),
        ("<Thinking>2+3 is 5", False, False),
        ("<Thinking>2+3 is <Answer>5</Answer> or so", False, False),
        ("<Thinking>2+3 is 5</Thinking><Answer></Answer>", False, False),
        ("<Thinking>5</Thinking><Answer>6</Answer>", False, False),
    ],
)
def test_where_an_answer_counts_in_a_tagged_output(output: str, lenient: bool, strict: bool) -> None:
    verdict = judged(output)
    assert (verdict.accuracy, verdict.accuracy_strict) == (lenient, strict)


@pytest.mark.parametrize(
    ("output", "lenient", "strict"),
    [
        ("2+3\nThe answer is 5.", True, True),
        ("2+3. So the answer is 5", True, True),
        ("2+3\n#### 5", True, True),
        ("2+3 = \\boxed{5}, not 7", True, True),
        ("2+3 = 5", True, False),
        ("2+3\nThe answer is 6.", False, False),
    ],
)
def test_where_an_answer_counts_in_an_untagged_output(output: str, lenient: bool, strict: bool) -> None:
    verdict = judged(output, tags=NONE)
    assert (verdict.accuracy, verdict.accuracy_strict) == (lenient, strict)


@pytest.mark.parametrize(
    ("output", "tags", "counts"),
    [
        ("<Thinking>2+3 is 5", PAPER, False),
        ("<Thinking>The answer is 5. But", PAPER, False),
        ("<Thinking>2+3</Thinking><Answer>5</Answer> and", PAPER, True),
        ("<Thinking>2+3</Thinking><Answer>5", PAPER, False),
        ("<Thinking>2+3</Thinking> it is 5", PAPER, False),
        ("<Thinking>2+3</Thinking> The answer is 5. Check", PAPER, True),
        ("2+3 is 5", NONE, False),
        ("The answer is 5", NONE, False),
        ("The answer is 5,", NONE, False),
        ("The answer is 5.", NONE, True),
        ("The answer is 5 eggs", NONE, True),
        ("#### 5", NONE, False),
        ("#### 5\nNow", NONE, True),
        ("\\boxed{5}", NONE, True),
        ("\\boxed{5", NONE, False),
    ],
)
def test_truncated_reasoning_is_never_an_answer(output: str, tags: str, counts: bool) -> None:
    verdict = judged(output, tags=tags, truncated=True)
    assert verdict.accuracy is counts
    assert verdict.truncated
    assert not verdict.format_valid
    assert "truncated" in verdict.defects


@pytest.mark.parametrize(
    ("output", "tags", "lenient", "strict"),
    [
        ("<think>2+3</think>5", "think", True, True),
        ("<think>2+3</think>\n\nIt is 5.", "think", True, True),
        ("<think>2+3</think>\nI add.\nThe answer is 5.\nBye", "think", True, True),
        ("<think>2+3</think>\nI add 2 and 3.\nThat makes 5", "think", True, False),
        ("<think>2+3</think>\n<answer>5</answer>, all 7 of us say", "think", True, True),
        ("<think>2+3 is 5", "think", False, False),
        ("2+3 is 5", "think", True, False),
        ("2+3, so \\boxed{5}, not 7", "boxed", True, True),
        ("2+3, so \\boxed{7}\n\\boxed{5}", "boxed", True, False),
        ("2+3, so 5", "boxed", True, False),
        ("\\boxed{5", "boxed", True, False),
        ("<think>\\boxed{5}? No, let me", "boxed", False, False),
        ("<think>\\boxed{7}?</think>It is \\boxed{5}", "boxed", True, True),
        ("2+3\n#### 5", "gsm8k", True, True),
        ("2+3\n#### 5\nQuestion", "gsm8k", True, False),
        ("2+3. The answer is 5", "gsm8k", True, False),
        ("<think>2+3 is 5", NONE, False, False),
        ("<think>The answer is 5. But", NONE, False, False),
        ("<think>2+3</think><answer>It is 5, of 7</answer>", NONE, False, False),
        ("<think>2+3</think><answer>5</answer> of 7", NONE, True, True),
        ("<think>2+3 is 5", PAPER, False, False),
        ("<think>\n2+3\n</think>\n<answer>\n5\n</answer>", "think-answer-strict", True, True),
        ("<think>2+3</think><answer>5</answer>", "think-answer-strict", True, False),
    ],
)
def test_where_an_answer_counts_in_each_format(output: str, tags: str, lenient: bool, strict: bool) -> None:
    verdict = judged(output, tags=tags)
    assert (verdict.accuracy, verdict.accuracy_strict) == (lenient, strict)


@pytest.mark.parametrize("tags", sorted(TAG_FORMATS))
def test_an_output_that_begins_in_the_reasoning_has_its_answer_after_it(tags: str) -> None:
    tag_format = get_tag_format(tags)
    close = tag_format.think_close or "</think>"
    for text, right in (("so 5", False), ("#### 5\nso", False), (f"so 7{close} It is 5", True)):
        item = Item(text, "5", "number", None, tag_format, reasoning_open=True)
        assert score(item).accuracy is right
        assert not score(replace(item, truncated=True)).accuracy


@pytest.mark.parametrize("tags", sorted(set(TAG_FORMATS) - {"think"}))
def test_an_output_that_goes_on_to_another_question_is_read_up_to_there(tags: str) -> None:
    tag_format = get_tag_format(tags)
    one, other = (
        render_response(Record("x", "q", None, "I add.", answer, "number"), tag_format).text
        for answer in ("5", "7")
    )
    verdict = judged(f"{one}\n\nQuestion: And 3+4?\n{other}", tags=tags)
    assert (verdict.accuracy, verdict.extracted, verdict.format_valid) == (True, "5", False)


def test_several_boxes_may_be_one_answer() -> None:
    output = "So $x = \\boxed{1}$ or $x = \\boxed{2}$."
    verdict = judged(output, "$\\{1,2\\}$", tags="boxed", kind="latex")
    assert (verdict.accuracy, verdict.accuracy_strict, verdict.defects) == (True, False, ("repeated",))


def test_the_scorer_has_a_digest_of_what_judges(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, repository: Path
) -> None:
    import tasks.scoring.verdict

    shutil.copytree(repository / "tasks", tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(tasks.scoring.verdict, "__file__", str(tmp_path / "scoring" / "verdict.py"))
    same, changed = scorer_digest.__wrapped__, []
    assert same() == scorer_digest()
    assert len(scorer_digest()) == 12
    for name in (
        *("scoring/verdict", "scoring/numbers", "scoring/math_verify", "tags/parse", "tags/answers"),
        "benchmarks/__init__",
    ):
        text = (tmp_path / f"{name}.py").read_bytes()
        (tmp_path / f"{name}.py").write_bytes(text + b"# more\n")
        changed.append(same() != scorer_digest())
        (tmp_path / f"{name}.py").write_bytes(text)
    assert changed == [True] * 5 + [False]
    monkeypatch.setattr(tasks.scoring.verdict, "version", lambda package: "another")
    assert same() != scorer_digest()


def test_a_cut_letter_does_not_count() -> None:
    assert not judged("The answer is A", "A", tags=NONE, kind="choice", truncated=True).accuracy
    assert judged("The answer is A\n", "A", tags=NONE, kind="choice", truncated=True).accuracy


def test_the_text_of_a_choice_counts() -> None:
    output = "<Thinking>Fog needs water.</Thinking><Answer>a marsh</Answer>"
    verdict = judged(output, "A", kind="choice")
    assert (verdict.accuracy_strict, verdict.extracted) == (True, "A")


def test_a_reference_may_be_a_whole_solution() -> None:
    assert judged("<Thinking>r</Thinking><Answer>5</Answer>", "2 + 3 = 5\n#### 5").accuracy


OUTPUTS = st.lists(
    st.one_of(
        st.text(max_size=10),
        st.sampled_from(
            [*get_tag_format(PAPER).tag_strings, "The answer is ", "\\boxed{", "}", "5", "A", ".", "\n"]
        ),
    )
).map("".join)


@settings(max_examples=300, deadline=None)
@given(
    output=OUTPUTS,
    gold=st.text(max_size=5),
    kind=st.sampled_from(("number", "choice", "text")),
    tags=st.sampled_from(sorted(TAG_FORMATS)),
    truncated=st.booleans(),
)
def test_no_output_raises(output: str, gold: str, kind: Kind, tags: str, truncated: bool) -> None:
    verdict = judged(output, gold, tags=tags, kind=kind, truncated=truncated)
    assert verdict.score == 0.7 * verdict.accuracy + (1 - 0.7) * verdict.format_valid
    assert not verdict.accuracy_strict or verdict.accuracy
    assert verdict.format_valid == (not verdict.defects)


@settings(deadline=None)
@given(
    rationale=st.text(min_size=1).filter(
        lambda text: text.strip() and "<" not in text and "answer" not in text
    ),
    value=st.integers(-(10**9), 10**9),
    tags=st.sampled_from(sorted(TAG_FORMATS)),
)
def test_every_rendered_response_scores_one(rationale: str, value: int, tags: str) -> None:
    record = Record("x", "q", None, rationale, str(value), "number")
    text = render_response(record, get_tag_format(tags)).text
    verdict = judged(text, str(value), tags=tags)
    assert (verdict.score, verdict.accuracy_strict, verdict.defects) == (1.0, True, ())
    assert not judged(text, str(value + 1), tags=tags).accuracy


@pytest.mark.parametrize("kind", ["number", "choice", "latex", "text"])
@pytest.mark.parametrize(
    "output",
    [
        "<Thinking>" * 100_000,
        "1 " * 5_000_000,
        "answer is " * 1_000_000,
        "\\boxed{" * 1_000_000,
        "$" * 10_000_000,
    ],
    ids=["unclosed", "numbers", "statements", "boxes", "dollars"],
)
def test_huge_outputs_are_scored(output: str, kind: Kind) -> None:
    assert not judged(output, "B" if kind == "choice" else "7", kind=kind).accuracy_strict


@pytest.mark.parametrize(
    "name", ["gsm8k", "openbookqa", "arc_challenge", "commonsenseqa", "qasc", "strategyqa", "aqua_rat"]
)
@pytest.mark.parametrize("tags", [PAPER, NONE])
def test_real_training_responses_score_one(data_dir: Path, name: str, tags: str) -> None:
    tag_format = get_tag_format(tags)
    records = [record for record in load_benchmark(name).records("train", data_dir) if record.rationale]
    wrong = []
    for record in records:
        text = render_response(record, tag_format).text
        verdict = score(Item.of(record, text, tag_format))
        if not (verdict.accuracy_strict and verdict.score == 1.0):
            wrong.append(record.id)
    assert not wrong
    assert records


@pytest.mark.parametrize("tags", [PAPER, NONE])
def test_real_latex_answers_score_one(data_dir: Path, tags: str) -> None:
    tag_format = get_tag_format(tags)
    for record in load_benchmark("college_math").records("test", data_dir):
        solved = Record(record.id, record.question, None, "By algebra.", record.answer, "latex")
        text = render_response(solved, tag_format).text
        verdict = score(Item.of(record, text, tag_format))
        assert verdict.score == 1.0, record.id


KNOWN_DISAGREEMENTS = {
    "test_all.py:586": "0.33 for 1/3: there with a rounding to two places that we do not grant",
}


def test_agreement_with_published_verdicts(data_dir: Path) -> None:
    lines = (data_dir / "conformance" / "math_equivalence.jsonl").read_text(encoding="utf-8").split("\n")
    pairs = [json.loads(line) for line in lines if line]
    disagree = {
        pair["source"].split()[-1]
        for pair in pairs
        if judged(pair["pred"], pair["gold"], tags=NONE, kind="latex").accuracy != pair["equal"]
    }
    assert len(pairs) == 129
    assert disagree <= set(KNOWN_DISAGREEMENTS)


@pytest.mark.parametrize(
    ("output", "tags", "thinking", "answer"),
    [
        ("<Thinking> 2+3 </Thinking>\n<Answer> 5\n</Answer>", PAPER, "2+3", "5"),
        ("<thinking>2+3</thinking> <answer>5</answer>", PAPER, "2+3", "5"),
        ("<Thinking>a</Thinking><Answer>5</Answer>\n\nQuestion: b\n<Answer>7</Answer>", PAPER, "a", "5"),
        ("<think> 2+3 </think>\n\n It is 5. \n", "think", "2+3", "It is 5."),
        ("5 and 5 so \\boxed{ 5 }", "boxed", "5 and 5 so", "5"),
        ("5\n#### 5 ", "gsm8k", "5", "5"),
        ("The answer is 5.\nThe answer is 5.", NONE, "The answer is 5.", "5"),
        ("<think> it is 5", "think", "it is 5", None),
        ("It is 5", PAPER, None, None),
    ],
)
def test_a_score_says_where_reasoning_and_answer_stand(
    output: str, tags: str, thinking: str | None, answer: str | None
) -> None:
    verdict = judged(output, tags=tags)
    for span, text in ((verdict.thinking, thinking), (verdict.answer, answer)):
        assert (None if span is None else output[slice(*span)]) == text
    if answer is not None and verdict.answer is not None:
        start = output.index(answer) if tags == PAPER else output.rindex(answer)
        assert verdict.answer[0] == start
    assert spans(Item(output, "5", "number", None, get_tag_format(tags))) == (
        verdict.thinking,
        verdict.answer,
    )


def test_the_prompt_says_whether_an_output_begins_in_the_reasoning() -> None:
    record, tags = Record("x", "q", None, None, "5", "number"), get_tag_format(PAPER)
    opened = Item.of(record, "so 5", tags, prompt="Question: q\n<|Assistant|><think>\n")
    assert (opened.reasoning_open, score(opened).accuracy) == (True, False)
    assert score(Item.of(record, "so 5", tags, prompt="Question: q\n")).accuracy
    assert Item.of(record, "so 5", tags).reasoning_open is None


HOSTILE = {
    "an exponent without end": "1e999999999",
    "a tower of powers": "10^10^10",
    "a tower in braces": "10^{10^{10}}",
    "a power in Python": "2**999999999",
    "digits": "9" * 1_000_000,
    "braces": "{" * 100_000,
    "fractions": "\\frac" * 10_000,
    "nested fractions": "\\frac{1}{" * 10_000,
    "parentheses": "(" * 100_000 + "1" + ")" * 100_000,
    "roots": "\\sqrt{" * 10_000 + "2" + "}" * 10_000,
    "boxes": "\\boxed{" * 10_000,
    "a sum": "\\sum_{i=1}^{999999999} i",
    "a factorial": "999999999!",
    "blanks": " " * 10_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("kind", ["number", "choice", "text"])
def test_no_output_or_reference_raises(kind: Kind, text: str) -> None:
    """Nor takes long: whole seconds would be felt here."""
    fault_of_gold(text, kind, None)
    for output in (text, f"<think>so</think><answer>{text}</answer>", f"The answer is {text}"):
        assert not judged(output, "7" if kind == "number" else "B", kind=kind).accuracy
    judged("The answer is 7.", text, kind=kind)
