"""Reference, answer, verdict for numbers: whatever the notation, the same value; another value, never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.scoring import answers_equal

RIGHT = [
    ("18", "18"),
    ("18", "18.00"),
    ("18", "18."),
    ("18", "$18"),
    ("18", "$18.00"),
    ("18", "\\$18"),
    ("18", "18$"),
    ("18", "18 dollars"),
    ("18", "18 eggs"),
    ("18", "**18**"),
    ("18", "= 18"),
    ("18", "x = 18"),
    ("18", "US$18"),
    ("18", "€18"),
    ("18", "18€"),
    ("18", "\\boxed{18}"),
    ("18", "$\\boxed{18}$ dollars"),
    ("10000", "10,000"),
    ("10000", "10{,}000"),
    ("10000", "10\\,000"),
    ("10000", "10,\\!000"),
    ("10000", "10 000"),
    ("10000", "10\u00a0000"),
    ("10000", "10\u202f000"),
    ("10000", "10'000"),
    ("10000", "$10,000.00"),
    ("12345678", "12,345,678"),
    ("12345678", "12 345 678"),
    ("1000.99", "1000,99"),
    ("1000.99", "1,000.99"),
    ("0,111", "0.111"),
    ("3.4", "3,4"),
    (".5", "0.5"),
    ("0.5", ".50"),
    # fractions
    ("0.75", "3/4"),
    ("3/4", "0.75"),
    ("3/4", "6/8"),
    ("1.75", "1 3/4"),
    ("1.5", "1 1/2"),
    ("2.75", "2 3/4"),
    ("1.75", "1\\frac{3}{4}"),
    ("0.5", "\\frac12"),
    ("0.5", "½"),
    ("0.75", "¾"),
    ("2.5", "2½"),
    ("2.5", "2 ½"),
    ("-2.5", "-\\dfrac{5}{2}"),
    ("1/3", "0.333333"),
    ("1/3", "⅓"),
    ("0.3", "0.30000000000000004"),
    ("75", "75.00000000000001"),
    ("0.6666666666666666", "0.66666666666666667"),
    # signs
    ("-5", "\u22125"),
    ("-5", "-$5"),
    ("-5", "$-5"),
    ("-5", "- 5"),
    ("-5", "–5"),
    # percent
    ("25", "25%"),
    ("25", "25 %"),
    ("25", "25\\%"),
    ("25", "25 percent"),
    ("25", "25 percentage points"),
    ("0.25", "25%"),
    ("25%", "25"),
    ("25%", "0.25"),
    ("25\\%", "25 percent"),
    # powers of ten and other powers
    ("1500", "1.5e3"),
    ("1500", "1.5E3"),
    ("0.0015", "1.5e-3"),
    ("300000", "3e5"),
    ("3000000000000000", "3e15"),
    ("300000000000", "3 \\times 10^{11}"),
    ("1500", "1.5 \\times 10^{3}"),
    ("300000", "3×10⁵"),
    ("300000", "3 x 10^5"),
    ("300000", "3 \\cdot 10^5"),
    ("0.003", "3×10⁻³"),
    ("100", "10^2"),
    ("100", "10^{2}"),
    ("1024", "2**10"),
    ("2500000", "2.5 million"),
    ("2.5", "2.5 million"),
    ("5000", "5 thousand"),
    ("5000", "$5k"),
    ("24", "2 dozen"),
    # words
    ("1", "one"),
    ("0", "zero"),
    ("23", "twenty-three"),
    ("23", "twenty three"),
    ("23", "Twenty-three apples"),
    ("305", "three hundred and five"),
    ("305", "three hundred five"),
    ("-2", "minus two"),
    ("-2", "negative two"),
    ("0.5", "half"),
    ("0.5", "one half"),
    ("0.5", "a half"),
    ("0.75", "three quarters"),
    ("0.75", "three-fourths"),
    ("2/3", "two thirds"),
    ("1.5", "one and a half"),
    ("12", "a dozen"),
    ("6", "half a dozen"),
    ("24", "two dozen"),
    ("100", "a hundred"),
    ("1000", "one thousand"),
    ("2000000", "two million"),
    ("12345", "twelve thousand three hundred and forty-five"),
    # units
    ("5", "5 cm"),
    ("5 cm", "5"),
    ("5 cm", "5 cm"),
    ("5 cm", "5 centimeters"),
    ("5 m/s", "5 m/s"),
    ("5", "5 m/s"),
    ("50", "50 km/h"),
    ("5 km", "5000 meters"),
    ("2 hours", "120 minutes"),
    ("18 dollars", "$18"),
    ("5", "5 m²"),
    ("5", "5 cm^2"),
    ("5", "5 square feet"),
    ("90", "90°"),
    ("90", "90 degrees"),
    ("5600", "Rs. 5600"),
    ("1000.99", "1,000.99m²"),
    # times
    ("5:30", "5:30"),
    ("5:30", "5:30 PM"),
    ("17:30", "5:30 PM"),
    ("17:30", "5:30 p.m."),
    ("5:30 PM", "17:30"),
    ("5:30 AM", "05:30"),
    ("5", "5:00 PM"),
    ("5.5", "5 hours 30 minutes"),
    ("330", "5 hours and 30 minutes"),
    ("330", "5h 30m"),
    ("5 hours 30 minutes", "5 hrs 30 mins"),
    ("66", "5 feet 6 inches"),
    ("5.2", "5 dollars and 20 cents"),
    # ratios, lists
    ("3:2", "3:2"),
    ("3:2", "6:4"),
    ("3:2", "3/2"),
    ("3, 4", "3 and 4"),
    ("3, 4", "4, 3"),
    ("18", "18 or 18.00"),
]

WRONG = [
    ("5", "-5"),
    ("-5", "5"),
    ("5", "5.0001"),
    ("5", "50"),
    ("12", "12,345"),
    ("25", "0.25"),
    ("0.25", "25"),
    ("25%", "2500"),
    ("0.333", "1/3"),
    ("1/2", "2"),
    ("1/2", "1"),
    ("1/2", "12"),
    ("1 1/2", "1"),
    ("1.5", "1 1/3"),
    ("10", "10^2"),
    ("34", "3,4"),
    ("3", "3,4"),
    ("3", "3 or 4"),
    ("3", "3, 4"),
    ("4", "3-4"),
    ("3", "between 3 and 4"),
    ("3", "3 to 5"),
    ("1234", "1.234"),
    ("1.234", "1,234"),
    ("12.30", "12:30"),
    ("12", "12:30"),
    ("5:30", "5:45"),
    ("5:30", "5.30"),
    ("5:30 AM", "5:30 PM"),
    ("17:30", "5:30 AM"),
    ("3:2", "3"),
    ("3:2", "2:3"),
    ("3", "3:2"),
    ("5 hours 30 minutes", "5 hours 45 minutes"),
    ("5", "5 hours 30 minutes"),
    ("5 cm", "5 m"),
    ("5 cm", "5 kg"),
    ("5 hours", "5 days"),
    ("5 m/s", "5 km/h"),
    ("18 dollars", "18 cents"),
    ("23", "twenty"),
    ("20", "twenty-three"),
    ("2", "minus two"),
    ("3", "thirteen"),
    ("6", "sixteen"),
    ("300", "three hundred and five"),
    ("1", "someone"),
    ("10", "often"),
    ("2", "½"),
    ("2", "2½"),
    ("300000", "3×10⁴"),
    ("3", "3×10⁵"),
    ("1", "1e999999999"),
    ("2", "2/0"),
    ("9" * 401, "9" * 401),
    ("9", "9**9**9**9"),
    ("9", "9^9^9^9"),
    ("2", "2**9999"),
    ("18", ""),
    ("18", "no"),
    ("18", "eighteenth"),
]


@pytest.mark.parametrize(("gold", "answer"), RIGHT)
def test_the_same_value_is_right(gold: str, answer: str) -> None:
    assert answers_equal(gold, answer, "number", None)


@pytest.mark.parametrize(("gold", "answer"), WRONG)
def test_another_value_is_wrong(gold: str, answer: str) -> None:
    assert not answers_equal(gold, answer, "number", None)


@given(value=st.integers(-(10**12), 10**12))
def test_a_number_with_separators_is_itself(value: int) -> None:
    assert answers_equal(str(value), f"{value:,}.00", "number", None)
    assert answers_equal(str(value), f"{value:,}".replace(",", " "), "number", None)
    assert not answers_equal(str(value), f"{value + 1:,}", "number", None)


@given(left=st.sampled_from(RIGHT + WRONG), right=st.sampled_from(RIGHT + WRONG))
def test_equality_of_numbers_has_no_direction(left: tuple[str, str], right: tuple[str, str]) -> None:
    for gold in left:
        for answer in right:
            assert answers_equal(gold, answer, "number", None) == answers_equal(answer, gold, "number", None)


SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
ONES = [*SMALL.split(), "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(value: int) -> str:
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10 - 2] + (f"-{ONES[value % 10]}" if value % 10 else "")
    unit, name = next(
        (unit, name)
        for unit, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred"))
        if value >= unit
    )
    rest = value % unit
    joint = " and " if rest and rest < 100 else " "
    return f"{in_words(value // unit)} {name}" + (f"{joint}{in_words(rest)}" if rest else "")


@given(value=st.integers(0, 999_999_999))
def test_numbers_in_words_are_read_exactly(value: int) -> None:
    assert answers_equal(str(value), in_words(value), "number", None)
    assert not answers_equal(str(value + 1), in_words(value), "number", None)
