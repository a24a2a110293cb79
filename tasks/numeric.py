r"""Numbers as models and people write them: find them in text, read them exactly, compare them.

Everything is exact (`fractions.Fraction`), nothing is evaluated, and digits and exponents are bounded, so
that no output can make the comparison slow, nor rounding make it wrong.
"""

import re
from collections import deque
from fractions import Fraction

_MAX_DIGITS = 400
_MAX_EXPONENT = 400

_MINUS = "-\u2212\u2013\u2012\ufe63\uff0d"
_CURRENCY = r"(?:\\?\$|[€£¥₹₩₽₫]|US\$|USD|EUR|GBP|INR|Rs\.?)"
_GROUP = "(?:,|\\{,\\}|\\\\,|\\\\!|\\\\ |[\u00a0\u202f\u2009'])"
_INTEGER = rf"(?:[0-9]{{1,3}}(?:{_GROUP}[0-9]{{3}})+(?![0-9])|[0-9]+)"
_DECIMAL = rf"(?:{_INTEGER}(?:\.[0-9]+|,[0-9]+(?![0-9,]))?|\.[0-9]+)"
_POWER = (
    rf"(?:[eE][+{_MINUS}]?[0-9]+(?![0-9A-Za-z])"
    rf"|\s*(?:[×x*·⋅]|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{{?\s*[+{_MINUS}]?[0-9]+\s*\}}?)"
)
_FRACTION = rf"\\[dtc]?frac\s*(?:\{{\s*[{_MINUS}]?{_DECIMAL}\s*\}}\s*\{{\s*{_DECIMAL}\s*\}}|[0-9]\s*[0-9])"
_NUMBER = re.compile(
    rf"(?<![\w\\.])(?P<sign>(?<![)\]}}])[{_MINUS}]\s?)?(?:{_CURRENCY}\s?)?(?P<sign2>[{_MINUS}])?"
    rf"(?:(?P<latex_whole>[0-9]{{1,30}}\s*)?(?P<latex>{_FRACTION})"
    rf"|(?:(?P<whole>[0-9]{{1,30}})\s+)?(?P<top>{_INTEGER})\s*/\s*(?P<bottom>{_INTEGER})(?!\s*/)"
    rf"|(?P<decimal>{_DECIMAL})(?P<power>{_POWER})?)"
    rf"(?:\s?{_CURRENCY})?"
    r"(?P<percent>\s*(?:\\?%|percent\b|per cent\b|pct\b))?"
)


def first_number(text: str) -> str | None:
    """Return the first number of a text as it is written there, or None."""
    match = _NUMBER.search(text)
    return match.group().strip() if match else None


def last_number(text: str) -> str | None:
    """Return the last number of a text as it is written there, or None."""
    matches = deque(_NUMBER.finditer(text), maxlen=1)
    return matches.pop().group().strip() if matches else None


def is_number(text: str) -> bool:
    """Whether a text is one number and nothing else but a currency or percent sign."""
    return len(text) <= _MAX_DIGITS and _NUMBER.fullmatch(text.strip()) is not None


def number_values(text: str) -> tuple[Fraction, ...]:
    """Read the first number of a text exactly.

    Args:
        text: a number with or without currency, unit or percent sign.

    Returns:
        The values it can stand for: none if there is no number or it is out of bounds (more than 400 digits
        or a power of ten beyond 400), two for a percentage (25 and 1/4), else one.
    """
    match = _NUMBER.search(text)
    value = _value(match) if match else None
    if match is None or value is None:
        return ()
    return (value, value / 100) if match["percent"] else (value,)


def numbers_equal(gold: str, answer: str) -> bool:
    """Whether two numbers have the same value, whatever their notation.

    Separators, currency, units and trailing zeros do not matter, and a fraction equals its decimal. 25%
    equals both 25 and 0.25, since references rarely say which they mean.

    Args:
        gold: the reference.
        answer: the answer, already extracted: its first number counts.

    Returns:
        True if some value of the one is a value of the other; False if either has none.
    """
    gold_values, answer_values = number_values(gold), number_values(answer)
    if len(gold_values) == len(answer_values) == 2:
        return gold_values[0] == answer_values[0]
    return not set(gold_values).isdisjoint(answer_values)


def _value(match: re.Match[str]) -> Fraction | None:
    if len(match.group()) > _MAX_DIGITS:
        return None
    negative = bool(match["sign"]) != bool(match["sign2"])
    if match["latex"]:
        value = _latex_fraction(match["latex"], match["latex_whole"])
    elif match["top"]:
        value = _ratio(_decimal(match["top"]), _decimal(match["bottom"]), match["whole"])
    else:
        value = _decimal(match["decimal"])
        if match["power"]:
            value = _scaled(value, match["power"])
    if value is None:
        return None
    return -value if negative else value


def _latex_fraction(latex: str, whole: str | None) -> Fraction | None:
    parts = re.findall(rf"[{_MINUS}]?{_DECIMAL}", latex)
    if len(parts) == 1:  # \frac12
        parts = list(parts[0]) if len(parts[0]) == 2 else []
    if len(parts) != 2:
        return None
    negative = parts[0][0] in _MINUS
    value = _ratio(_decimal(parts[0].lstrip(_MINUS)), _decimal(parts[1]), whole)
    return -value if negative and value is not None else value


def _ratio(top: Fraction, bottom: Fraction, whole: str | None) -> Fraction | None:
    if not bottom:
        return None
    return (int(whole) if whole else 0) + top / bottom


def _scaled(value: Fraction, power: str) -> Fraction | None:
    exponent_text = re.search(rf"([+{_MINUS}]?)([0-9]+)\s*\}}?$", power)
    if exponent_text is None or len(exponent_text[2]) > 4 or int(exponent_text[2]) > _MAX_EXPONENT:
        return None
    exponent = int(exponent_text[2])
    return value / 10**exponent if exponent_text[1] and exponent_text[1] in _MINUS else value * 10**exponent


def _decimal(text: str) -> Fraction:
    """Read digits with separators; a lone comma is a decimal comma unless it groups thousands."""
    text = re.sub(r"\{,\}|\\,|\\!|\\ ", ",", text)
    text = re.sub("[\u00a0\u202f\u2009']", ",", text)
    head, comma, tail = text.rpartition(",")
    if comma and "." not in tail and (len(tail) != 3 or head == "0"):
        text = f"{head}.{tail}"
    return Fraction(text.replace(",", "").rstrip(".") or "0")
