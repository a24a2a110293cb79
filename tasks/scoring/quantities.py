"""Quantities of more than one number: times of day, 5 hours 30 minutes; and units, as far as they differ."""

import re
from fractions import Fraction

from tasks.scoring.digits import NUMERAL, numeral_value

# A family measures one thing; a factor is relative to its smallest unit. Metric and imperial units are apart,
# since a conversion between them would be rounded, and months and years from days, which do not divide them.
_UNIT_TABLE = """
length: mm 1, millimeter 1, millimetre 1, cm 10, centimeter 10, centimetre 10, meter 1000, metre 1000,
  km 1000000, kilometer 1000000, kilometre 1000000
imperial: inch 1, inche 1, foot 12, feet 12, ft 12, yard 36, yd 36, mile 63360, mi 63360
time: second 1, sec 1, minute 60, min 60, hour 3600, hr 3600, day 86400, week 604800
calendar: month 1, year 12, yr 12
mass: mg 1, milligram 1, gram 1000, kg 1000000, kilogram 1000000
weight: ounce 1, oz 1, pound 16, lb 16
volume: ml 1, milliliter 1, millilitre 1, liter 1000, litre 1000
cups: cup 1, pint 2, quart 4, gallon 16
dollars: cent 1, ¢ 1, dollar 100, buck 100, usd 100
euros: euro 1, eur 1
pounds: gbp 1
"""
_UNITS = {
    name: (family.strip(), Fraction(factor))
    for line in _UNIT_TABLE.replace(",\n ", ",").strip().split("\n")
    for family, _, members in [line.partition(":")]
    for name, factor in (member.split() for member in members.split(","))
}
_SHORT = {"m": "meter", "s": "second", "h": "hour", "g": "gram", "l": "liter", "d": "day"}
_COUNT = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
_UNIT = r"([A-Za-z¢]{1,12})"
# "5 hours and 30 minutes", "5 ft 3 in": two or three counts with units, not behind a currency sign.
_COMPOUND = re.compile(
    rf"(?<![\w.,/$€£-]){_COUNT}\s*{_UNIT}\.?(?:,?\s+and\s+|\s*,\s*|\s*){_COUNT}\s*{_UNIT}\b"
    rf"(?:(?:,?\s+and\s+|\s*,\s*|\s*){_COUNT}\s*{_UNIT}\b)?"
)
# 5:30, 17:30:05, 5:30 p.m.; not part of a longer row of numbers and colons.
_CLOCK = re.compile(
    r"(?<![\w.:/])([0-9]{1,2}):([0-5][0-9])(?::([0-5][0-9]))?(?![0-9:])(?:\s*([AaPp])\.?\s?[Mm]\b\.?)?"
)
# "3:2" and "3 : 2"; where it could be a time too, it stands for both.
_RATIO = re.compile(r"(?<![\w.:/])([0-9]{1,9})(?::| : )([0-9]{1,9})(?![0-9:.])")

Value = Fraction | tuple[str, int]
"""A number, or a time of day as ("time", seconds since midnight)."""


def first_quantity(text: str) -> re.Match[str] | None:
    """Find the first time of day, ratio or compound quantity of a text."""
    compound = next((match for match in _COMPOUND.finditer(text) if _compound_values(match)), None)
    found = filter(None, (compound, _CLOCK.search(text), _RATIO.search(text)))
    return min(found, key=re.Match.start, default=None)


def quantity_values(text: str) -> tuple[Value, ...]:
    """What the first time of day, ratio or compound quantity of a text can stand for; empty without one.

    A time without a.m. or p.m. may be in either half of the day, a compound in each of its units.
    """
    match = first_quantity(text)
    if match is None:
        return ()
    if match.re is _COMPOUND:
        return _compound_values(match)
    values: list[Value] = [*_clock_values(match)] if match.re is _CLOCK else []
    if match.re is _RATIO or not (match[3] or match[4]):
        top, bottom = Fraction(match[1]), Fraction(match[2])
        values += [top / bottom] if bottom else []
    return tuple(values)


def conversion(left: str, right: str) -> Fraction | None:
    """The factor that turns a number of one unit, as written, into one of another.

    It is 1 where a unit is missing or not known, and None where the units measure different things.
    """
    units = _unit(left), _unit(right)
    if units[0] is None or units[1] is None:
        return Fraction(1)
    return units[0][1] / units[1][1] if units[0][0] == units[1][0] else None


def _unit(text: str) -> tuple[str, Fraction] | None:
    text = text.strip(" .,!?").lower()
    top, over, bottom = re.sub(r"\s+per\s+", "/", text).partition("/")
    if over:
        parts = [_UNITS.get(_singular(_SHORT.get(part.strip(), part.strip()))) for part in (top, bottom)]
        if parts[0] is None or parts[1] is None:
            return None
        return f"{parts[0][0]}/{parts[1][0]}", parts[0][1] / parts[1][1]
    powered = re.fullmatch(r"(\w+?)\s*(?:\^\s*\{?\s*([2-9])\s*\}?|([²³]))", text)
    if powered and (unit := _UNITS.get(_singular(powered[1]))):
        exponent = int(powered[2] or "23"["²³".index(powered[3])])
        return f"{unit[0]}^{exponent}", unit[1] ** exponent
    return _UNITS.get(_singular(_SHORT.get(text, text)))


def _singular(word: str) -> str:
    return word.removesuffix("s") if len(word) > 2 else word


def _compound_values(match: re.Match[str]) -> tuple[Value, ...]:
    short, total, units = {"h": "hour", "m": "min", "s": "sec"}, Fraction(0), list[tuple[str, Fraction]]()
    for group in (1, 3, 5) if match[5] else (1, 3):
        name = match[group + 1].lower()
        unit = _UNITS.get(_singular(short.get(name, name)))
        if unit is None or (units and (unit[0] != units[-1][0] or unit[1] >= units[-1][1])):
            return ()
        total += Fraction(match[group]) * unit[1]
        units.append(unit)
    return tuple(total / factor for _, factor in units)


def _clock_values(match: re.Match[str]) -> list[Value]:
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 23:
        return []
    half = (match[4] or "").lower()
    if half and 1 <= hour <= 12:
        hours = [hour % 12 + 12 * (half == "p")]
    elif 1 <= hour <= 12 and not match[1].startswith("0"):
        hours = [hour % 12, hour % 12 + 12]
    else:
        hours = [hour]
    times: list[Value] = [("time", 3600 * each + 60 * minute + second) for each in hours]
    return [*times, Fraction(hour)] if minute == second == 0 else times


_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ONES = dict(zip((*_SMALL, *_TENS), (*range(20), *range(20, 100, 10)), strict=True))
SCALES = {
    "hundred": 100, "dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "lakh": 10**5, "lakhs": 10**5, "crore": 10**7, "crores": 10**7,
}  # fmt: skip
"""The words that multiply the number before them."""
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
}  # fmt: skip
_WORD = "|".join(sorted((*_ONES, *_PARTS, *SCALES), key=len, reverse=True))
# At most 16 words of numbers in a row, joined by hyphens, spaces, "and" or "a": a million and a half.
_PHRASE = re.compile(
    rf"(?<![\w-])(?:(?:minus|negative)\s+)?(?:(?:an?\s+)?(?:{_WORD}))"
    rf"(?:(?:\s*-\s*|\s+(?:and\s+)?(?:an?\s+)?)(?:{_WORD})){{0,15}}(?![\w-])",
    re.IGNORECASE,
)


def first_words_number(text: str) -> str | None:
    """Return the first number in words of a text, English or Chinese, as it is written there, or None."""
    pattern = _PHRASE if text.isascii() or not NUMERAL.search(text) else NUMERAL
    phrases = (match.group() for match in pattern.finditer(text))
    return next((phrase for phrase in phrases if words_value(phrase) is not None), None)


def words_value(text: str) -> Fraction | None:
    """Read a number in words exactly: "twenty-three", "minus two", "one and a half", "a dozen".

    None where the words make no number ("five six"). Chinese numerals too: 两千零五, 三点五.
    """
    if NUMERAL.fullmatch(text):
        return numeral_value(text)
    words = text.lower().replace("-", " ").split()
    negative = bool(words) and words[0] in ("minus", "negative")
    words = [word for word in words[negative:] if word != "and"]
    # "a" stands for one: a hundred, and a half, but not half a dozen.
    words = [
        word
        for place, word in enumerate(words)
        if place == 0 or word not in ("a", "an") or words[place + 1 : place + 2] != ["dozen"]
    ]
    value = _mixed(words)
    return -value if negative and value is not None else value


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
        # 20 3 and 100 20 may follow each other, 5 6 and 3 20 may not.
        elif word in _ONES and (last is None or last in SCALES or (last in _TENS and 0 < _ONES[word] < 10)):
            group += _ONES[word]
        else:
            return None
        last = word
    return Fraction(total + group) if words else None
