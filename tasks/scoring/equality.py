"""When an answer is right: one notion of equality for each kind of answer."""

import re
from collections.abc import Sequence

from tasks.records import Kind
from tasks.scoring.choices import choice_letter
from tasks.scoring.extraction import extract_final_answer
from tasks.scoring.latex import latex_equal
from tasks.scoring.math_verify import JUDGE
from tasks.scoring.numbers import numbers_equal
from tasks.scoring.words import normalise_words

__all__ = ["answers_equal", "extract_final_answer", "prepare_judge", "reference_answer"]


_LABELLED_CHARS = 2_000
_MAX_TEXT_CHARS = 50_000
_LABEL = re.compile(r"^\s*[(\[]?[A-Z][)\].:]\s+(?=\S)")


def answers_equal(gold: str, answer: str, kind: Kind, choices: Sequence[str] | None) -> bool:
    """Whether an answer equals the reference, by the rules of its kind.

    number: same exact value, notation and currency aside (`numeric.numbers_equal`); choice: same letter,
    however named; latex: same text, or mathematically equal by form or by Math-Verify; text: same words,
    case, punctuation, articles and the letter of a choice before them, as in "(B) a surplus", aside.

    Args:
        gold: the reference.
        answer: the answer, already extracted.
        kind: how to compare.
        choices: the texts of the choices, for kind choice.

    Returns:
        The verdict; never raises for any text.
    """
    if kind == "number":
        return numbers_equal(gold, answer)
    if kind == "choice":
        wanted = choice_letter(gold, choices)
        return wanted is not None and wanted == choice_letter(answer, choices)
    if kind == "latex":
        return latex_equal(gold, answer)
    if max(len(gold), len(answer)) > _MAX_TEXT_CHARS:
        return gold.strip() == answer.strip()
    wanted = normalise_words(gold)
    return wanted == normalise_words(answer) or (
        len(answer) <= _LABELLED_CHARS and wanted == normalise_words(_LABEL.sub("", answer))
    )


def reference_answer(gold: str) -> str:
    """The answer of a reference that may carry its reasoning before "####", as GSM8K's do."""
    return gold.rpartition("####")[2].strip()


def prepare_judge() -> None:
    """Start what compares LaTeX and wait for it, so that no comparison has to (2 seconds or so)."""
    JUDGE.wait()
