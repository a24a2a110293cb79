"""Numbers of other scripts: their digits are written as 0 to 9, and Chinese numerals are read exactly."""

import re
from decimal import Decimal
from fractions import Fraction

_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_WIDE_COMMA = re.compile("(?<=[０-９])，(?=[０-９]{3})")
_SIGNS = str.maketrans("٫．٬٪％＋＝／：＄￥", "..,%%+=/:$¥")
_ZERO_TO_NINE = dict(
    zip("零一二三四五六七八九〇壹贰叁肆伍陆柒捌玖两兩", "0123456789012345678922", strict=True)
)
_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_UNITS |= dict.fromkeys("万萬", 10**4) | dict.fromkeys("亿億", 10**8)
_RUN, _UNIT = f"[{''.join(_ZERO_TO_NINE)}]{{1,30}}+", f"[{''.join(_UNITS)}]"
_TOKEN = re.compile(rf"(?:[0-9][0-9,]*|{_RUN})(?:[.点](?:[0-9]+|{_RUN}))?|{_UNIT}")
_WHOLE = rf"(?:(?:{_RUN}(?:点{_RUN})?|[十拾]){_UNIT}{{0,2}}+){{1,12}}+"
NUMERAL = re.compile(rf"[负負]?(?:(?:{_WHOLE}|[百千万])分之)?{_WHOLE}")
"""A number in Chinese numerals: 四十二, 负三点五, 百分之二十五."""
# 3万5千 and 3.5亿; but 5千克 is a weight.
_SCALED = re.compile(
    r"(?<![0-9.,])[0-9][0-9,]{0,15}(?:\.[0-9]{1,15})?[百千万萬亿億](?![克米瓦])[0-9百千万萬亿億]{0,20}"
)
_PERCENT = re.compile(r"百分之([0-9.]{1,20})")


def plain_digits(text: str) -> str:
    """Write the decimal digits of every script, and the signs with them, as 0 to 9, and 3万5千 as 35000."""
    if text.isascii():
        return text
    text = _WIDE_COMMA.sub(",", text).translate(_SIGNS)
    text = _OTHER_DIGIT.sub(lambda digit: str(int(digit[0])), text)
    text = _PERCENT.sub(r"\1%", text)
    return _SCALED.sub(lambda scaled: f"{_count(scaled[0]):f}", text)


def numeral_value(numeral: str) -> Fraction | None:
    """Read what `NUMERAL` matches, exactly; None where it divides by zero."""
    below, _, above = numeral.lstrip("负負").rpartition("分之")
    parts = Fraction(_UNITS.get(below) or _count(below)) if below else Fraction(1)
    value = Fraction(_count(above))
    return None if not parts else -value / parts if numeral[0] in "负負" else value / parts


def _count(text: str) -> Decimal:
    """The value of digits and units; a last digit is of the next lower unit: 一百二 is 120, not 102."""
    total = section = digit = Decimal(0)
    unit = 1
    for token in _TOKEN.findall(text):
        size = _UNITS.get(token)
        if size is None:
            digit = Decimal(
                "".join(_ZERO_TO_NINE.get(one, one) for one in token.replace(",", "")).replace("点", ".")
            )
            unit = unit if len(token) == 1 else 1
            continue
        if size < 10**4:
            section += (digit or 1) * size
        else:  # 一万亿, but 一亿二千万
            counted = section + digit
            total, section = (
                (total + counted * size if total >= size else (total + counted) * size),
                Decimal(0),
            )
        digit, unit = Decimal(0), size
    return total + section + digit * max(unit // 10, 1)
