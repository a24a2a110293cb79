"""Where an output leaves its own question: base models go on to the next question, or another's turn."""

import re

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
