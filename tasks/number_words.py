"""Numbers in words: twenty-three, three hundred and five, minus two, two thirds, half a dozen."""

import re
from fractions import Fraction

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ONES = {word: value for value, word in enumerate(_SMALL)} | {
    word: 10 * value for value, word in enumerate(_TENS, 2)
}
SCALES = {
    "hundred": 100,
    "dozen": 12,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
"""The words that multiply the number before them."""
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
}  # fmt: skip
_WORD = "|".join(sorted((*_ONES, *_PARTS, *SCALES), key=len, reverse=True))
_PHRASE = re.compile(
    rf"(?<![\w-])(?:(?:minus|negative)\s+)?(?:(?:an?\s+)?(?:{_WORD}))"
    rf"(?:(?:\s*-\s*|\s+(?:and\s+)?(?:an?\s+)?)(?:{_WORD})){{0,15}}(?![\w-])",
    re.IGNORECASE,
)


def first_words_number(text: str) -> str | None:
    """Return the first number in words of a text as it is written there, or None."""
    for match in _PHRASE.finditer(text):
        if words_value(match.group()) is not None:
            return match.group()
    return None


def words_value(text: str) -> Fraction | None:
    """Read a number in words exactly.

    Args:
        text: words such as "twenty-three", "minus two", "one and a half", "a dozen".

    Returns:
        The value, or None where the words make no number ("five six").
    """
    words = text.lower().replace("-", " ").split()
    negative = bool(words) and words[0] in ("minus", "negative")
    words = [word for word in words[negative:] if word != "and"]
    words = [word for place, word in enumerate(words) if word not in ("a", "an") or _counts(words, place)]
    value = _mixed(words)
    return None if value is None else -value if negative else value


def _counts(words: list[str], place: int) -> bool:
    """Whether "a" stands for one: a hundred, and a half, but not half a dozen."""
    return words[place + 1 : place + 2] != ["dozen"] or place == 0


def _mixed(words: list[str]) -> Fraction | None:
    words = ["one" if word in ("a", "an") else word for word in words]
    if not words or (words[-1] not in _PARTS and words[0] != "half"):
        return _whole(words)
    if words[0] == "half":
        rest = _whole(["one", *words[1:]]) if words[1:] else Fraction(1)
        return None if rest is None else rest / 2
    count, part = _whole(words[-2:-1]), _PARTS[words[-1]]
    if count is None or count >= part:
        return None
    rest = _whole(words[:-2]) if words[:-2] else Fraction(0)
    return None if rest is None else rest + count / part


def _whole(words: list[str]) -> Fraction | None:
    total, group, last = 0, 0, None
    for word in words:
        if word in SCALES:
            scale = SCALES[word]
            if scale >= 1000:
                total, group = total + (group or 1) * scale, 0
            else:
                group = (group or 1) * scale
        elif word in _ONES and _may_follow(_ONES[word], last):
            group += _ONES[word]
        else:
            return None
        last = word
    return Fraction(total + group) if words else None


def _may_follow(value: int, last: str | None) -> bool:
    """Whether these units or tens may stand after a word: 20 3 and 100 20 do, 5 6 and 3 20 do not."""
    if last is None or last in SCALES:
        return True
    return last in _TENS and 0 < value < 10
