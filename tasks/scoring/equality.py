r"""When an answer is right: one notion of equality for each kind of answer.

Two answers in LaTeX are equal by their text or form where that settles it, else Math-Verify is asked: on
49,891 outputs that others had judged, the comparison of numbers, choices and forms agreed with them as often
as Math-Verify or more often, in a third to a ninth of its time.
"""

import re
from collections.abc import Sequence

from tasks.records import Kind
from tasks.scoring.choices import choice_letter
from tasks.scoring.latex_forms import equal_forms
from tasks.scoring.markup import normalise_words, split_top, unbox
from tasks.scoring.math_verify import MATH_VERIFY, math_verify_equal
from tasks.scoring.numbers import is_number, numbers_equal

_LABELLED_CHARS = 2_000
_MAX_TEXT_CHARS = 50_000
_LABEL = re.compile(r"^\s*[(\[]?[A-Z][)\].:]\s+(?=\S)")
_MAX_CHARS = 4_000
_EQUALS = re.compile(r"&?=|\\approx(?![a-zA-Z])")
_MARKUP = re.compile(
    r"\\left|\\right|\\[!,;:> ]|\\(?:big|Big|bigg|Bigg)[lr]?(?![a-zA-Z])|\\displaystyle|\\quad|\\qquad|[~$\s]"
)


def answers_equal(gold: str, answer: str, kind: Kind, choices: Sequence[str] | None) -> bool:
    """Whether an answer equals the reference, by the rules of its kind.

    number: same exact value, notation and currency aside (`numbers_equal`); choice: same letter,
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


def latex_equal(gold: str, answer: str) -> bool:
    """Whether an answer in LaTeX (or plain text) equals the reference.

    Args:
        gold: the reference, with or without dollars or a box.
        answer: the answer or, as Math-Verify allows, the text that ends in it.

    Returns:
        True where text or form agree or Math-Verify finds them equal; False otherwise, also for inputs over
        4,000 characters and where Math-Verify takes over 0.3 seconds.
    """
    if not MATH_VERIFY.started:
        MATH_VERIFY.start()  # it loads while the forms are compared
    settled = settled_equal(gold, answer)
    return math_verify_equal(gold, answer) if settled is None else settled


def settled_equal(gold: str, answer: str) -> bool | None:
    """Whether they are equal as far as their text and form tell; None where only Math-Verify can."""
    plain_gold, plain_answer = normalise_latex(gold), normalise_latex(answer)
    if plain_gold and plain_gold == plain_answer:
        return True
    if not plain_gold or not plain_answer or max(len(gold), len(answer)) > _MAX_CHARS:
        return False
    if is_number(plain_gold) and is_number(plain_answer):
        if numbers_equal(plain_gold, plain_answer):
            return True
        if "," not in plain_gold + plain_answer:  # 3,4 may be two numbers
            return False
    return equal_forms(gold, answer)


def last_side(answer: str) -> str:
    """What stands after the last equals sign of a formula that is worked out in steps; all of it else."""
    return split_top(answer, _EQUALS)[-1] if len(answer) <= _MAX_CHARS else answer


def normalise_latex(text: str) -> str:
    r"""Take off what does not change the meaning: dollars, a box, spacing, \left and \right, a full stop.

    Equal results mean equal answers.
    """
    bare = " ".join(text[: _MAX_CHARS + 1].split()).rstrip(".")
    bare = _MARKUP.sub("", bare).removeprefix("\\(").removesuffix("\\)")
    bare = unbox(bare)
    bare = re.sub(r"\\[dt]frac", r"\\frac", bare)
    return re.sub(r"(?<=[0-9])\{,\}(?=[0-9]{3})", "", bare).rstrip(".")
