"""The number that reasoning ends with where it never says "the answer is": not always its last number.

"Ann needs $6.31 to buy 7 jars and 3 cans" answers 6.31. Apart from `numeric` because it is a guess.
"""

import re

from tasks.numeric import every_number, first_number, last_number, numbers_equal

_TAIL_CHARS = 2_000
_SENTENCE_CHARS = 400
_SENTENCE_START = re.compile(r"[.!?]\s+(?=[^\s\d])|\n")
_RESULT = re.compile(r"(?:[=≈]|\b(?:equals|total of|total is|which is)\b)\s*(?=[^\s=≈])")
_OPERATION = re.compile(r"[0-9)]\s?[-+*/×÷^]\s?\Z")
_TELLS_HOW_MANY = re.compile(
    r"\W*(?:(?:so|thus|hence|therefore|in total|altogether)\b,?\s*)?"
    r"there\s+(?:are|were|is|was|will be|would be)\s+(?:a total of\s+|only\s+)?[0-9]",
    re.IGNORECASE,
)


def concluding_number(text: str) -> str | None:
    """The number that a text concludes with, as written there.

    Of several numbers in the last sentence it is the one that was computed last, that of "there are 25
    spiders on 5 twigs", or else the last.

    Args:
        text: reasoning that never states its answer outright.

    Returns:
        The number, or None where there is none.
    """
    tail = text[-_TAIL_CHARS:].rstrip()
    sentence = _SENTENCE_START.split(tail)[-1]
    numbers = every_number(sentence) if len(sentence) <= _SENTENCE_CHARS else []
    if len(numbers) < 2:
        return last_number(text)
    computed = _last_result(tail)
    if _OPERATION.search(sentence[: sentence.rfind(numbers[-1])]):
        return numbers[-1]
    if computed:
        return next((number for number in numbers if numbers_equal(computed, number)), numbers[-1])
    if _TELLS_HOW_MANY.match(sentence):
        return first_number(sentence)
    return numbers[-1]


def _last_result(tail: str) -> str | None:
    """What stands after the last equals sign."""
    results = list(_RESULT.finditer(tail))
    return first_number(tail[results[-1].end() : results[-1].end() + 60]) if results else None
