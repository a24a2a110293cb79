"""When two answers are equal: choices and words, real references, and what no input may do to the judge."""

import os
import random
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.benchmarks import load_benchmark
from tasks.records import KINDS, Kind
from tasks.scoring.equality import (
    answers_equal,
    latex_equal,
    reference_answer,
)
from tasks.scoring.extraction import find_answer, read_span
from tasks.scoring.math_verify import MATH_VERIFY

CHOICES = ("a marsh", "a tundra", "the plains", "a sea desert", "desert")
YES_NO = ("yes", "no")
VALUES = ("18 km", "20 km", "-18 km", "1/2 km", "none of these")
SIGNED = ("21", "-21", "2.1", "$210", "1/21")


def final_answer(text: str, kind: Kind, choices: Sequence[str] | None) -> str | None:
    found = find_answer(text, kind, choices)
    return found.answer if found else None


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("(b)", "B"),
        ("[B]", "B"),
        ("B.", "B"),
        ("B)", "B"),
        ("B:", "B"),
        ("B) a tundra", "B"),
        ("(B) a tundra", "B"),
        ("B. A tundra", "B"),
        ("B: a tundra", "B"),
        ("option B", "B"),
        ("Option (B)", "B"),
        ("choice B", "B"),
        ("**B**", "B"),
        ("**(B) a tundra**", "B"),
        ("\\text{B}", "B"),
        ("\\text{(B)}", "B"),
        ("\\boxed{B}", "B"),
        ("\\textbf{(B)}", "B"),
        ("$B$", "B"),
        ('"B"', "B"),
        ("A tundra", "B"),
        ("A TUNDRA!", "B"),
        ("tundra", "B"),
        ("the tundra", "B"),
        ("a marsh.", "A"),
        ("It must be a tundra", "B"),
        ("the sea desert", "D"),
        ("desert", "E"),
        ("a tundra, because it is cold", "B"),
        ("B because it is cold", "B"),
        ("A because it is wet", "A"),
        ("B, not A", "B"),
    ],
)
def test_a_choice_is_named_by_its_letter_or_its_text(answer: str, letter: str) -> None:
    assert answers_equal(letter, answer, "choice", CHOICES)
    assert answers_equal(f"({letter})", answer, "choice", CHOICES)
    assert not answers_equal("C", answer, "choice", CHOICES)


@pytest.mark.parametrize(
    "answer",
    [
        "A or B",
        "A, B",
        "A and B",
        "(A) or (B)",
        "both A and B",
        "F",
        "a marsh or a tundra",
        "",
        "a swamp",
        "?",
    ],
)
def test_a_hedge_or_another_word_names_no_choice(answer: str) -> None:
    assert not any(answers_equal(letter, answer, "choice", CHOICES) for letter in "ABCDE")


@pytest.mark.parametrize(
    ("choices", "answer", "letter"),
    [
        (YES_NO, "Yes", "A"),
        (YES_NO, "no.", "B"),
        (YES_NO, "True", "A"),
        (YES_NO, "False, since it is cold", "B"),
        (("true", "false"), "yes", "A"),
        (VALUES, "18 km", "A"),
        (VALUES, "-18 km", "C"),
        (VALUES, "None of these", "E"),
        (SIGNED, "21", "A"),
        (SIGNED, "-21", "B"),
        (SIGNED, "$21", "A"),
        (SIGNED, "21.0", "A"),
        (SIGNED, "2.10", "C"),
        (SIGNED, "210", "D"),
        (SIGNED, "\\frac{1}{21}", "E"),
        (SIGNED, "12", None),
        (("5(√3 + 1)", "6(√3 + √2)", "7(√3 – 1)"), "5(√3 + 1)", "A"),
        (("5(√3 + 1)", "5(√3 - 1)", "7(√3 – 1)"), "5(√3 - 1)", "B"),
    ],
)
def test_a_choice_is_named_by_its_value(choices: tuple[str, ...], answer: str, letter: str | None) -> None:
    chosen = [each for each in "ABCDE"[: len(choices)] if answers_equal(each, answer, "choice", choices)]
    assert chosen == ([letter] if letter else [])


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("Paris", "paris.", True),
        ("the Eiffel Tower", "Eiffel  tower", True),
        ("Paris", "**Paris**", True),
        ("rock 'n' roll", "Rock-n-Roll", True),
        ("Paris", "London", False),
        ("Paris", "Paris, Texas", False),
        ("?", "!", False),
        ("Paris", "", False),
    ],
)
def test_texts_are_equal_by_their_words(gold: str, answer: str, equal: bool) -> None:
    assert answers_equal(gold, answer, "text", None) is equal


def test_a_reference_may_carry_its_reasoning() -> None:
    assert reference_answer("9 * 2 = 18\n#### 18") == "18"
    assert reference_answer("18") == "18"


NESTED = "\\sqrt{" * 10_000 + "2" + "}" * 10_000
HOSTILE = [
    "9^{9^{9^{9^9}}}",
    "9**9**9**9",
    "10^{10^{10}}",
    "10^{10^{10}}x",
    "100000!",
    "(((9!)!)!)!",
    "2^{99999}",
    "\\sum_{n=1}^{10^9} n^{n}",
    "\\int_0^1 x^{x^{x^x}} dx",
    "(x+y+z+w)^{32}(x-y)^{32}",
    "\\binom{10^6}{5\\cdot 10^5}",
    "\\frac{" * 600,
    "1/" * 2_000 + "1",
    "-" * 3_999 + "1",
    "x^2+" * 900 + "1",
    "1," * 1_900 + "1",
    "{" * 2_000,
    "(" * 3_000,
    "(" * 1_900 + "1" + ")" * 1_900,
    "x" * 10**6,
    "\\boxed{" * 100_000,
    "$" * 10**6,
    " " * 10**6,
    NESTED[:3_900],
    NESTED,
    "1" * 3_999,
    "\\text{" * 500 + "a" + "}" * 500,
    "\\left(" * 500,
    "\\begin{pmatrix}" * 200,
    "a=" * 1_500 + "a",
    "1 million " * 300,
    "5 hours " * 400,
    "one " * 900,
    "\\mathrm{m}" * 300,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_takes_a_second(answer: str, kind: Kind) -> None:
    MATH_VERIFY.wait()
    for gold in ("\\sqrt{2}", answer + "1"):
        start = time.monotonic()
        answers_equal(gold, answer, kind, CHOICES if kind == "choice" else None)
        assert time.monotonic() - start < 1.0


LONG = [
    *HOSTILE,
    "answer is " * 1_000_000,
    "answer to " * 1_000_000,
    "\nQuestion:" * 1_000_000,
    "\nQ: the answer is \\boxed{" * 300_000,
    "#" * 10_000_000,
    "\n" + " " * 10_000_000,
    "1 " * 5_000_000,
    "1,111," * 1_600_000,
    "$1$ and " * 1_000_000,
    "\\(" * 5_000_000,
    "\\boxed{1} and " * 700_000,
    "<|im_end|>" * 1_000_000,
    "**" * 5_000_000,
    "A " * 5_000_000,
    "5:30 " * 2_000_000,
]


TOKENS = [
    "answer",
    "The final answer",
    "answer to",
    "answer,",
    "####",
    "A",
    "1",
    "1,",
    "-",
    "$",
    "5 hours",
    "5:30",
]
TOKENS += [
    "one",
    "one and",
    "either",
    "\\text{a}",
    "\\frac{1}{2}",
    "\\boxed{1}",
    "(B)",
    "[1,",
    "=",
    "x^",
    "**",
    ".",
]
TOKENS += [
    "\\(1\\)",
    "\\[",
    "$1$ and",
    "\nQ",
    "\n**Question",
    "</s>",
    "1 /",
    "1 million",
    "10\\",
    "\\begin{matrix}",
]
TOKENS += [
    "½",
    "3×10⁵",
    "the answer is",
    "\\sqrt{",
    "<answer>",
    "</answer>",
    "<think>",
    "1e",
    "is",
    "or",
    "Rs",
]


@pytest.mark.parametrize("token", TOKENS)
def test_no_token_and_no_space_repeated_takes_long(token: str) -> None:
    for text in (token + " " * 50_000, (token + " ") * 8_000, (token + "\n") * 8_000, token * 8_000):
        for kind in KINDS:
            choices = CHOICES if kind == "choice" else None
            start = time.process_time()
            found = final_answer(text, kind, choices)
            read_span(text, kind, choices)
            if kind != "latex":
                answers_equal("B", found or text, kind, choices)
            assert time.process_time() - start < 0.9, (kind, text[:30], len(text))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_no_text_takes_a_second_to_search(text: str, kind: Kind) -> None:
    start = time.process_time()
    final_answer(text, kind, CHOICES if kind == "choice" else None)
    assert time.process_time() - start < 0.9


def test_a_worker_that_dies_or_hangs_is_replaced() -> None:
    MATH_VERIFY.wait()
    assert MATH_VERIFY.equal("x<1", "-x>-1")
    assert MATH_VERIFY.worker_id is not None
    os.kill(MATH_VERIFY.worker_id, signal.SIGKILL)
    assert MATH_VERIFY.equal("x<2", "-x>-2")
    assert not MATH_VERIFY.equal("\\sqrt{2}", "9^{9^{9^{9^9}}}")
    MATH_VERIFY.wait()
    assert MATH_VERIFY.equal("x<3", "-x>-3")
    assert MATH_VERIFY._nursery is not None
    os.kill(MATH_VERIFY._nursery.pid, signal.SIGKILL)
    assert MATH_VERIFY.equal("x<4", "-x>-4")


ANYTHING = st.one_of(
    st.text(max_size=40),
    st.text("0123456789.,/:%$-+^*{}()[]\\ eExX", max_size=25),
    st.lists(
        st.sampled_from(
            [
                "\\frac",
                "{",
                "}",
                "1",
                "23",
                "x",
                "\\sqrt",
                "^",
                "_",
                "(",
                "]",
                ",",
                "\\text{cm}",
                "=",
                "-",
                "/",
            ]
        ),
        max_size=12,
    ).map("".join),
)


@settings(max_examples=300, deadline=900)
@given(gold=ANYTHING, answer=ANYTHING, kind=st.sampled_from(("number", "choice", "text")))
def test_no_comparison_raises(gold: str, answer: str, kind: Kind) -> None:
    assert answers_equal(gold, answer, kind, CHOICES) in (True, False)


@settings(max_examples=60, deadline=None)
@given(gold=ANYTHING, answer=ANYTHING)
def test_no_comparison_of_latex_raises(gold: str, answer: str) -> None:
    assert latex_equal(gold, answer) in (True, False)
    assert latex_equal(gold, gold) or not re.search(r"\w", gold) or "_" in gold or "{" in gold


def test_every_grade_school_solution_gives_its_answer(data_dir: Path) -> None:
    records = [*load_benchmark("gsm8k").records("test", data_dir)]
    following = (
        "\n\nQuestion: Tom has 3 pens and buys 4. How many?\nAnswer: 3 + 4 = 7. The answer is 7.\n#### 7"
    )
    for record in records:
        for ending in (
            f"\n#### {record.answer}",
            f"\nA: {record.answer}",
            f"\nThe answer is ${record.answer}.00.",
            f"\nThe final answer is: $\\boxed{{{int(record.answer):,}}}$ dollars",
            f"\nAnswer: {record.answer} eggs",
        ):
            for text in (f"{record.rationale}{ending}", f"{record.rationale}{ending}{following}"):
                found = final_answer(text, "number", None)
                assert found is not None
                assert answers_equal(record.answer, found, "number", None), (record.id, text[-200:])
                assert not answers_equal(str(int(record.answer) + 1), found, "number", None)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("aqua_rat", "test"),
        ("arc_challenge", "test"),
        ("openbookqa", "test"),
        ("qasc", "validation"),
        ("commonsenseqa", "validation"),
        ("strategyqa", "test"),
    ],
)
def test_every_choice_is_recognised_by_letter_and_by_text(data_dir: Path, name: str, split: str) -> None:
    wrong = []
    for record in load_benchmark(name).records(split, data_dir):
        assert record.choices is not None
        chosen = record.choices["ABCDEFGHIJ".index(record.answer)]
        told = [
            f"The answer is ({record.answer}).",
            f"Answer: {record.answer}. {chosen}",
            f"#### {record.answer}",
        ]
        if [choice.lower().strip() for choice in record.choices].count(chosen.lower().strip()) == 1:
            told.append(f"The answer is {chosen}")
        for text in told:
            whole = f"{record.rationale or 'By reasoning.'}\n{text}"
            if final_answer(whole, "choice", record.choices) != record.answer:
                wrong.append((record.id, text, record.choices))
    assert not wrong


def _perturbed(gold: str, dice: random.Random) -> str | None:
    """The reference with one of its digits changed."""
    places = [match.start() for match in re.finditer(r"[0-9]", gold)]
    if not places:
        return None
    place = dice.choice(places)
    return f"{gold[:place]}{(int(gold[place]) + dice.randrange(1, 9)) % 10}{gold[place + 1 :]}"


def test_every_college_answer_equals_itself_and_no_other(data_dir: Path) -> None:
    dice = random.Random(4)
    equal, tried = [], 0
    for record in load_benchmark("college_math").records("test", data_dir):
        assert answers_equal(record.answer, record.answer, "latex", None)
        if len(record.answer) >= 60:
            continue
        assert answers_equal(record.answer, f"\\boxed{{{record.answer}}}", "latex", None)
        other = _perturbed(record.answer, dice)
        if other is not None:
            tried += 1
            if answers_equal(record.answer, other, "latex", None):
                equal.append((record.answer, other))
    assert tried > 900
    assert not equal
