"""Which choice an answer names: by its letter, its words or its value."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.benchmarks import load_benchmark
from tasks.records import Kind
from tasks.scoring import answers_equal
from tasks.scoring.extraction import find_answer

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
