"""Where an output leaves its own question: base models go on to the next question, or another's turn."""

import re

from tasks.scoring.numbers import every_number, first_number, last_number, numbers_equal

_ANOTHER_SPEAKER = re.compile(
    r"<\|(?:im_start|im_end|endoftext|eot_id|end|user|start_header_id)\|>|</s>|\n(?:User|Human)\s?:"
)
_ANOTHER_QUESTION = re.compile(
    r"\n[ \t]{0,20}(?:\*\*|#{1,6} )?(?:Q|Question|Problem|Exercise)(?: ?#?[0-9]{1,4})?(?:\*\*)?\s?[:.]",
    re.IGNORECASE,
)


_SEARCHED_CHARS = 500_000
"""A longer output is no answer with others after it, but one that never ends."""


def own_turn(text: str) -> str:
    """The text up to where another speaker's turn begins; all of it where that is at its start.

    Args:
        text: an output.

    Returns:
        A prefix of the text that is not blank, unless the text is.
    """
    for match in _ANOTHER_SPEAKER.finditer(text, 0, _SEARCHED_CHARS):
        if text[: match.start()].strip():
            return text[: match.start()]
    return text


def before_next_question(text: str, most: int) -> list[str]:
    """The text up to each next question that it goes on to, shortest first, without those that are blank.

    Args:
        text: an output, without another speaker's turn.
        most: how many to give at most.

    Returns:
        The prefixes; none where no question follows.
    """
    prefixes = []
    for match in _ANOTHER_QUESTION.finditer(text, 0, _SEARCHED_CHARS):
        if text[: match.start()].strip():
            prefixes.append(text[: match.start()])
        if len(prefixes) == most:
            break
    return prefixes


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
