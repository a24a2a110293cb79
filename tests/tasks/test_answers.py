"""When two answers are equal, and where the answer of a free text is."""

import os
import signal
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import latex
from tasks.answers import answers_equal, extract_final_answer, reference_answer
from tasks.latex import latex_equal
from tasks.records import KINDS, Kind

CHOICES = ("a marsh", "a tundra", "the plains", "a sea desert", "desert")


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("18", "18.00"),
        ("18", "$18"),
        ("18", "18 dollars"),
        ("18", "**18**"),
        ("10000", "10,000"),
        ("10000", "10{,}000"),
        ("10000", "10\\,000"),
        ("12345678", "12,345,678"),
        ("1000.99", "1000,99"),
        ("0,111", "0.111"),
        ("25", "25%"),
        ("0.25", "25%"),
        ("25\\%", "25 percent"),
        ("0.75", "3/4"),
        ("1.75", "1 3/4"),
        ("1.75", "1\\frac{3}{4}"),
        ("0.5", "\\frac12"),
        ("-2.5", "-\\dfrac{5}{2}"),
        ("-5", "\u22125"),
        ("-5", "-$5"),
        ("1500", "1.5e3"),
        ("1500", "1.5 \\times 10^{3}"),
        (".5", "0.5"),
        ("5600", "Rs. 5600"),
        ("3", "x=3"),
    ],
)
def test_numbers_are_equal_whatever_their_notation(gold: str, answer: str) -> None:
    assert answers_equal(gold, answer, "number", None)
    assert answers_equal(answer, gold, "number", None)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("5", "-5"),
        ("12", "12,345"),
        ("25", "0.25"),
        ("0.333", "1/3"),
        ("1", "1e999999999"),
        ("2", "2/0"),
        ("1", "one"),
        ("9" * 401, "9" * 401),
        ("387420489", "9**9"),
    ],
)
def test_numbers_that_differ_or_are_out_of_bounds(gold: str, answer: str) -> None:
    assert not answers_equal(gold, answer, "number", None)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B) a tundra", "B"),
        ("option B", "B"),
        ("**B**", "B"),
        ("\\text{B}", "B"),
        ("$B$", "B"),
        ("A tundra", "B"),
        ("a marsh.", "A"),
        ("It must be a tundra", "B"),
        ("the sea desert", "D"),
        ("desert", "E"),
    ],
)
def test_a_choice_is_named_by_its_letter_or_its_text(answer: str, letter: str) -> None:
    assert answers_equal(letter, answer, "choice", CHOICES)
    assert not answers_equal("C", answer, "choice", CHOICES)


@pytest.mark.parametrize("answer", ["A or B", "A, B", "F", "a marsh or a tundra", "", "a swamp"])
def test_a_hedge_or_another_word_names_no_choice(answer: str) -> None:
    assert not any(answers_equal(letter, answer, "choice", CHOICES) for letter in "ABCDE")


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("Paris", "paris.", True),
        ("the Eiffel Tower", "Eiffel  tower", True),
        ("Paris", "London", False),
        ("?", "!", False),
    ],
)
def test_texts_are_equal_by_their_words(gold: str, answer: str, equal: bool) -> None:
    assert answers_equal(gold, answer, "text", None) is equal


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("\\frac{1}{2}", "0.5", True),
        ("$\\dfrac{1}{2}$", "\\boxed{\\frac{1}{2}}", True),
        ("10-4 n", "-4n + 10", True),
        ("10-4 n", "6", False),
        ("(45,2),(-10,-9)", "(45, 2), (-10, -9)", True),
        ("x^2-1", "(x-1)(x+1)", True),
        ("[0,1)", "(0,1)", False),
        ("2\\sqrt{3}", "\\sqrt{12}", True),
        ("4", "4\\sqrt{2}", False),
    ],
)
def test_latex_is_equal_when_the_mathematics_is(gold: str, answer: str, equal: bool) -> None:
    assert latex_equal(gold, answer) is equal


@pytest.mark.parametrize(
    "answer",
    ["9^{9^{9^{9^9}}}", "9**9**9**9", "{" * 2000, "(" * 3000, "x" * 10**6],
)
def test_hostile_latex_is_bounded(answer: str) -> None:
    latex_equal("1", "\\frac{2}{2}")  # the worker is up
    start = time.monotonic()
    assert not latex_equal("\\sqrt{2}", answer)
    assert time.monotonic() - start < 10


def test_a_worker_that_dies_is_replaced() -> None:
    assert latex_equal("\\frac{3}{4}", "0.75")
    process = latex._WORKER._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert latex_equal("\\frac{3}{8}", "0.375")


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("number", "so \\boxed{18} it is, of 20", "18"),
        ("number", "6 * 3 = 18\n#### 18", "18"),
        ("number", "#### $1,200 per day\nbye 3", "$1,200"),
        ("number", "The answer is 18. He has 3 left.", "18"),
        ("number", "The final answer is: **18**", "18"),
        ("number", "**Answer:** 9 * 2 = 18 eggs", "18"),
        ("number", "**Final Answer:**\n\n18", "18"),
        ("number", "A: 18", "18"),
        ("number", "The answer to the question is 18 dollars for 2 days.", "18"),
        ("number", "The answer is 3. Wait, no. The correct answer is 18.", "18"),
        ("number", "He makes 9 * 2 = $18 every day.", "$18"),
        ("number", "no digits", None),
        ("choice", "So the answer is (B).", "B"),
        ("choice", "Answer: B. a tundra", "B"),
        ("choice", "The correct option is C because A is dry", "C"),
        ("choice", "It's not A because it is dry, therefore I think it's B", "B"),
        ("choice", "The answer is a tundra.", "B"),
        ("choice", "Fog forms over a marsh", "A"),
        ("choice", "A dry place has no fog", None),
        ("choice", "a marsh or a tundra?\nIn the end a tundra", "B"),
        ("latex", "Thus $x = \\boxed{\\frac{1}{\\sqrt{2}}}$.", "\\frac{1}{\\sqrt{2}}"),
        ("latex", "We get $y=2$ and so $x=3$", "x=3"),
        ("text", "Reason.\nThe answer is Paris.", "Paris"),
        ("text", "Reason.\nParis", "Paris"),
    ],
)
def test_the_final_answer_of_a_text(kind: Kind, text: str, answer: str | None) -> None:
    choices = CHOICES if kind == "choice" else None
    assert extract_final_answer(text, kind, choices) == answer


def test_a_yes_counts_though_the_reason_says_no() -> None:
    text = "So the answer is yes, since there is no law against it."
    assert extract_final_answer(text, "choice", ("yes", "no")) == "A"


def test_a_reference_may_carry_its_reasoning() -> None:
    assert reference_answer("9 * 2 = 18\n#### 18") == "18"
    assert reference_answer("18") == "18"


TRICKY = st.lists(
    st.sampled_from(
        ["\\boxed{", "}", "{", "$", "The answer is ", "####", "A", "(B)", "1", ",", ".", "/", "-", "\n", "%"]
    )
)


@settings(max_examples=200)
@given(text=st.one_of(st.text(), TRICKY.map("".join)), kind=st.sampled_from(KINDS))
def test_extraction_never_raises(text: str, kind: Kind) -> None:
    answer = extract_final_answer(text, kind, CHOICES)
    assert answer is None or (isinstance(answer, str) and answer)


@given(value=st.integers(-(10**12), 10**12))
def test_a_number_with_separators_is_itself(value: int) -> None:
    assert answers_equal(str(value), f"{value:,}.00", "number", None)
    assert not answers_equal(str(value), f"{value + 1:,}", "number", None)
