r"""Numbers as models and people write them: find them in text, read them exactly, compare them.

Everything is exact (`fractions.Fraction`), nothing large is evaluated, and digits and exponents are bounded,
so that no output can make the comparison slow, nor rounding make it wrong.
"""

import re
import unicodedata
from collections import deque
from fractions import Fraction
from itertools import pairwise, product

from tasks.scoring.algebra import rounds_alike
from tasks.scoring.digits import plain_digits
from tasks.scoring.markup import strip_markup
from tasks.scoring.quantities import (
    SCALES,
    Value,
    conversion,
    first_quantity,
    first_words_number,
    quantity_values,
    words_value,
)

_MAX_CHARS = 2_000
_MAX_DIGITS = 400
_MAX_EXPONENT = 400
_MAX_POWER_BITS = 1_300
_QUANTITY_CHARS = 300

# Hyphen-minus, minus sign, en dash, figure dash, small and full-width hyphen-minus.
_MINUS = "-\u2212\u2013\u2012\ufe63\uff0d"
_CURRENCY = r"(?:\\?\$|[€£¥₹₩₽₫]|US\$|USD|EUR|GBP|INR|Rs\.?)"
# Between groups of three digits: 1,234 1,\!234 1{,}234 1\,234 1\!234 1\ 234 1 234 1'234 (also ’ and the
# no-break spaces).
_GROUP = "(?:,(?:\\\\!\\s?)?|\\{,\\}|\\\\,|\\\\!|\\\\ |[ \u00a0\u202f\u2009'])"
# 12,34,567 groups by twos above the thousands, as India does.
_INTEGER = (
    rf"(?:[0-9]{{1,3}}(?:{_GROUP}[0-9]{{3}})+(?![0-9])"
    r"|[0-9]{1,2}(?:,[0-9]{2}){1,6},[0-9]{3}(?![0-9,])|[0-9]+)"
)
# A comma before other than three digits is a decimal one (3,5), unless more groups follow.
_DECIMAL = rf"(?:{_INTEGER}(?:\.[0-9]+|,[0-9]+(?![0-9,]))?|(?<!\.)\.[0-9]+)"
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_EXPONENT = rf"(?:\^|\*\*)\s*\{{?\s*[{_MINUS}+]?[0-9]+\s*\}}?"
_POWER = (
    rf"(?:[eE][{_MINUS}+]?[0-9]+(?![0-9A-Za-z])"
    rf"|\s*(?:[×x*·⋅]|\\times|\\cdot)\s*10(?:\s*{_EXPONENT}|[⁺⁻]?[{_RAISED}]+))"
)
# \frac{1}{2}, and \frac12 as TeX reads it: a digit each.
_FRACTION = rf"\\[dtc]?frac\s*(?:\{{\s*[{_MINUS}]?{_DECIMAL}\s*\}}\s*\{{\s*{_DECIMAL}\s*\}}|[0-9]\s*[0-9])"
_NUMBER = re.compile(
    # Not in the middle of a word, a command or a decimal number; a minus with a space after it is a sign,
    # unless a list's dash or a subtraction.
    rf"(?<![A-Za-zÀ-ɏ0-9\\])(?<![A-Za-z0-9]_)(?<![0-9]\.)(?P<sign>(?<![)\]}}])[{_MINUS}](?:(?<!\n.)(?<![0-9)]\s.)\s)?)?"
    rf"(?:{_CURRENCY}\s?)?(?P<sign2>[{_MINUS}])?"
    # A whole part is bounded, lest each digit of a long row be tried as the start of a mixed number.
    rf"(?:(?P<latex_whole>[0-9]{{1,30}}\s*)?(?P<latex>{_FRACTION})"
    r"|(?:(?P<vulgar_whole>[0-9]{1,30})\s?)?(?P<vulgar>[¼½¾⅐-⅞])"
    rf"|(?:(?P<whole>[0-9]{{1,30}})\s+)?(?P<top>{_INTEGER})\s*[/⁄]\s*(?P<bottom>{_INTEGER})(?!\s*/)"
    rf"|(?P<decimal>{_DECIMAL})(?:(?P<power>{_POWER})|(?P<exponents>(?:{_EXPONENT})+))?)"
    rf"(?:\s?{_CURRENCY})?(?P<scale>\s?(?i:{'|'.join(SCALES)})\b|[kK]\b)?"
    r"(?P<percent>\s*(?:\\?%|percent(?:age)?\b|per cent\b|pct\b))?"
)
# Nearly all numbers; so short that nothing else has to be asked about them.
_SIMPLE = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,11})?")
# "3, 4", "3 or 4", "3-4": what makes of two numbers a list or a range.
_BETWEEN = re.compile(r"\s*(?:,|;|/|,?\s*\b(?:and|or|to)\b|[-–—~])\s*(?:US)?", re.IGNORECASE)
_BEFORE_LIST = re.compile(r"\s*(?:(?:between|either|from|about|x\s*=)\s*)?", re.IGNORECASE)
# "18 + 2" is still to be computed; "18 - 2" too, but "18 - since" is not.
_OPERATED = re.compile(
    r"\s?(?:[+*/×÷^=]|[-−]\s?[0-9(]|\s[x]\s?[0-9(]|\\(?:times|cdot|div|frac|sqrt|pi)"
    r"|[a-zA-Z](?![a-zA-Z])\s?[-+^=])"
)
_UNIT = re.compile(
    r"\s*(?:\\(?:text|mathrm|mbox)\{\s*)?([A-Za-z¢][A-Za-z ¢]*(?:/\s*[a-z]+)?(?:\^\{?[23]\}?|[²³])?)"
)


def first_number(text: str) -> str | None:
    """Return the first number of a text as it is written there, or None."""
    match = _NUMBER.search(text)
    return match.group().strip() if match else None


def last_number(text: str) -> str | None:
    """Return the last number of a text as it is written there, or None."""
    matches = deque(_NUMBER.finditer(text), maxlen=1)
    return matches.pop().group().strip() if matches else None


def every_number(text: str) -> list[str]:
    """Return the numbers of a short text as they are written there, in order."""
    return [match.group().strip() for match in _NUMBER.finditer(text)]


def begins_with_number(text: str) -> str | None:
    """Return the number that a text begins with and that nothing is done to, as in "18 dollars a day"."""
    match = _NUMBER.match(text)
    return None if match is None or _OPERATED.match(text, match.end()) else match.group().strip()


def stated_number(text: str) -> str | None:
    """Return the part of a statement that is its number, as in "3 or 4", "5:30 PM" or "twenty-three"."""
    text = text[:_QUANTITY_CHARS]
    if _list_values(text) is not None:
        return text.strip()
    number, quantity = _NUMBER.search(text), first_quantity(text)
    if quantity and number and quantity.start() <= number.start():
        return quantity.group().strip()
    return number.group().strip() if number else first_words_number(text)


def is_number(text: str) -> bool:
    """Whether a text is one number and nothing else but a currency or percent sign."""
    return len(text) <= _MAX_DIGITS and _NUMBER.fullmatch(plain_digits(text).strip()) is not None


def holds_number(text: str) -> bool:
    """Whether a text holds a number that can be compared with others."""
    text = plain_digits(text[:_MAX_CHARS]).strip()
    return _list_values(text) is not None or bool(_values(text))


def _values(text: str) -> tuple[Value, ...]:
    """What the first number, time or quantity of a text can stand for, the likelier first.

    25% is 25 and 1/4, and "2.5 million" both, since a question may ask in millions.
    """
    if len(text) <= _QUANTITY_CHARS:
        stated = stated_number(text)
        if stated and (values := quantity_values(stated)):
            return values
    match = _NUMBER.search(text)
    if match is None:
        words = first_words_number(text[:_QUANTITY_CHARS])
        value = words_value(words) if words else None
        return () if value is None else (value, value * 100) if words and "百分之" in words else (value,)
    value = _value(match)
    if value is None:
        return ()
    if match["scale"]:
        return (value * SCALES.get(match["scale"].strip().lower(), 1000), value)
    return (value, value / 100) if match["percent"] else (value,)


def numbers_equal(gold: str, answer: str) -> bool:
    """Whether two numbers have the same value, whatever their notation.

    Separators, currency and trailing zeros do not matter, a fraction equals its decimal, also one rounded to
    six places or more. 25% equals both 25 and 0.25, since references rarely say which they mean. A unit does
    not matter where only one side has it; two are converted (5 km is 5000 m, and is not 5 kg). A list or a
    range equals only the same one: 3 or 4 is not 3. Of each text the first number counts.
    """
    gold, answer = gold[:_MAX_CHARS].strip(), answer[:_MAX_CHARS].strip()
    if _SIMPLE.fullmatch(gold) and _SIMPLE.fullmatch(answer):
        return gold == answer or Fraction(gold) == Fraction(answer)
    gold, answer = plain_digits(gold), plain_digits(answer)
    lists = _list_values(gold), _list_values(answer)
    if lists[0] is not None or lists[1] is not None:
        return lists[0] == lists[1]
    values = _values(gold), _values(answer)
    if all((match := _NUMBER.search(text)) and match["percent"] for text in (gold, answer)):
        values = values[0][:1], values[1][:1]
    factor = conversion(_unit_of(gold), _unit_of(answer))
    return factor is not None and any(_same(*pair, factor) for pair in product(*values))


def _same(left: Value, right: Value, factor: Fraction) -> bool:
    if isinstance(left, tuple) or isinstance(right, tuple):
        return left == right
    left *= factor
    if left == right:
        return True
    places = _places(left), _places(right)
    most = max(places[0] or 0, places[1] or 0)
    if most >= 12 and abs(left - right) * 10**11 <= abs(right):
        return True  # they differ as floating point does, such as 0.30000000000000004 from 0.3
    return None in places and most >= 6 and rounds_alike(left, right)


def _places(value: Fraction) -> int | None:
    """How many decimal places a number needs; None where no number of them is enough."""
    rest, twos, fives = value.denominator, 0, 0  # a denominator of twos and fives alone has an end
    if rest.bit_length() > 200:  # with a factor of 3 it has no end; else it was written out, at such length
        return None if rest % 3 == 0 else 100
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def _unit_of(text: str) -> str:
    """The word after the number of a short text, or its currency; empty where there is none."""
    match = _NUMBER.search(text) if len(text) <= _QUANTITY_CHARS else None
    after = _UNIT.match(text, match.end()) if match else None
    return after[1] if after else ""


def _list_values(text: str) -> frozenset[Fraction] | None:
    """The values of a text that is several different numbers and nothing else but a unit."""
    if len(text) > _QUANTITY_CHARS or not _BETWEEN.search(text):
        return None
    bare = strip_markup(text).rstrip(".,;: ")
    matches = list(_NUMBER.finditer(bare))
    if len(matches) < 2 or not _BEFORE_LIST.fullmatch(bare, 0, matches[0].start()):
        return None
    if not all(_BETWEEN.fullmatch(bare[one.end() : other.start()]) for one, other in pairwise(matches)):
        return None
    if not re.fullmatch(r"\s*[A-Za-z]*", bare[matches[-1].end() :]):
        return None
    values = [value for match in matches if (value := _value(match)) is not None]
    return frozenset(values) if len(set(values)) > 1 else None


def _value(match: re.Match[str]) -> Fraction | None:
    if len(match.group()) > _MAX_DIGITS:
        return None
    negative = bool(match["sign"]) != bool(match["sign2"])
    if match["latex"]:
        value = _latex_fraction(match["latex"], match["latex_whole"])
    elif match["vulgar"]:
        top, _, bottom = unicodedata.normalize("NFKC", match["vulgar"]).partition("⁄")
        value = _ratio(Fraction(top), Fraction(bottom), match["vulgar_whole"]) if bottom else None
    elif match["top"]:
        value = _ratio(_decimal(match["top"]), _decimal(match["bottom"]), match["whole"])
    else:
        value = _decimal(match["decimal"])
        if match["power"]:
            value = _scaled(value, match["power"])
        elif match["exponents"]:
            value = _raised(value, match["exponents"])
    return -value if negative and value is not None else value


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
    return int(whole or 0) + top / bottom if bottom else None


def _scaled(value: Fraction, power: str) -> Fraction | None:
    power = unicodedata.normalize("NFKC", re.sub(rf"(?<=10)(?=[⁺⁻{_RAISED}])", "^", power))
    exponent_text = re.search(rf"([{_MINUS}+]?)([0-9]+)\s*\}}?$", power)
    if exponent_text is None or len(exponent_text[2]) > 4 or int(exponent_text[2]) > _MAX_EXPONENT:
        return None
    exponent = int(exponent_text[2])
    return value / 10**exponent if exponent_text[1] and exponent_text[1] in _MINUS else value * 10**exponent


def _raised(value: Fraction, exponents: str) -> Fraction | None:
    """A power such as 10^2; a tower of them is out of bounds."""
    found = re.fullmatch(rf"(?:\^|\*\*)\s*\{{?\s*([{_MINUS}+]?)([0-9]{{1,4}})\s*\}}?", exponents)
    if found is None:
        return None
    exponent = int(found[2])
    if (value.numerator.bit_length() + value.denominator.bit_length()) * exponent > _MAX_POWER_BITS:
        return None
    if found[1] and found[1] in _MINUS:
        return 1 / value**exponent if value else None
    return value**exponent


def _decimal(text: str) -> Fraction:
    """Read digits with separators; a lone comma is a decimal comma unless it groups thousands."""
    text = re.sub(_GROUP, ",", text)
    head, comma, tail = text.rpartition(",")
    if comma and "." not in tail and (len(tail) != 3 or head == "0"):
        text = f"{head}.{tail}"
    return Fraction(text.replace(",", "").rstrip(".") or "0")
