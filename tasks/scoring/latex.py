r"""Whether two LaTeX answers are equal: by text or form where that settles it, else by Math-Verify."""

import re

from tasks.scoring.latex_forms import equal_forms
from tasks.scoring.latex_text import split_top, unbox
from tasks.scoring.math_verify import JUDGE, judged_equal
from tasks.scoring.numbers import is_number, numbers_equal

_MAX_CHARS = 4_000
_EQUALS = re.compile(r"&?=|\\approx(?![a-zA-Z])")
_MARKUP = re.compile(
    r"\\left|\\right|\\[!,;:> ]|\\(?:big|Big|bigg|Bigg)[lr]?(?![a-zA-Z])|\\displaystyle|\\quad|\\qquad|[~$\s]"
)


def latex_equal(gold: str, answer: str) -> bool:
    """Whether an answer in LaTeX (or plain text) equals the reference.

    Args:
        gold: the reference, with or without dollars or a box.
        answer: the answer or, as Math-Verify allows, the text that ends in it.

    Returns:
        True where text or form agree or Math-Verify finds them equal; False otherwise, also for inputs over
        4,000 characters and where Math-Verify takes over 0.3 seconds.
    """
    if not JUDGE.started:
        JUDGE.start()
    settled = settled_equal(gold, answer)
    return judged_equal(gold, answer) if settled is None else settled


def settled_equal(gold: str, answer: str) -> bool | None:
    """The same without Math-Verify: None where only that can tell."""
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

    Args:
        text: LaTeX or plain text.

    Returns:
        The bare text; equal results mean equal answers.
    """
    bare = " ".join(text[: _MAX_CHARS + 1].split()).rstrip(".")
    bare = _MARKUP.sub("", bare).removeprefix("\\(").removesuffix("\\)")
    bare = unbox(bare)
    bare = re.sub(r"\\[dt]frac", r"\\frac", bare)
    return re.sub(r"(?<=[0-9])\{,\}(?=[0-9]{3})", "", bare).rstrip(".")
