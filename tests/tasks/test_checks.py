"""What people write by hand is checked against a dataclass; the words of a fault are ours."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from pydantic import Field

from tasks.checks import Count, CountOr0, CountOrNone, NotNegative, Positive, PositiveOrNone, checked
from tasks.errors import InputError, check_keys


@dataclass(frozen=True)
class Inner:
    size: Count = 1
    rate: PositiveOrNone = None


@dataclass(frozen=True)
class Outer:
    many: Count = 1
    least: CountOr0 = 0
    few: CountOrNone = None
    rate: Positive = 1.0
    decay: NotNegative = 0.0
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    top: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    alpha: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.5
    inner: Inner = field(default_factory=Inner)
    named: dict[str, Inner] = field(default_factory=dict)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"many": 0}, "many must be above 0, not 0"),
        ({"many": "-3"}, "many must be above 0, not -3"),
        ({"least": -1}, "least must be at least 0, not -1"),
        ({"few": 0}, "few must be above 0, not 0"),
        ({"rate": 0}, "rate must be above 0, not 0.0"),
        ({"rate": NAN}, "rate must be above 0, not nan"),
        ({"rate": INFINITY}, "rate must be above 0, not inf"),
        ({"decay": -1}, "decay must be at least 0, not -1.0"),
        ({"decay": INFINITY}, "decay must be at least 0, not inf"),
        ({"share": 1}, "share must be below 1, not 1.0"),
        ({"share": NAN}, "share must be above 0, not nan"),
        ({"top": 2}, "top must be at most 1, not 2.0"),
        ({"alpha": -0.5}, "alpha must be between 0 and 1, not -0.5"),
        ({"alpha": NAN}, "alpha must be between 0 and 1, not nan"),
        ({"inner": {"size": 0}}, "inner.size must be above 0, not 0"),
        ({"inner": {"rate": -2}}, "inner.rate must be above 0, not -2.0"),
        ({"many": 1.5},
         "a file: many: input should be a valid integer, got a number with a fractional part, not 1.5"),
        ({"many": NAN}, "a file: many: input should be a finite number, not nan"),
        ({"many": True}, "a file: many: true is no number"),
        ({"inner": {"rate": False}}, "a file: inner.rate: false is no number"),
        ({"many": 10**12}, "many must be at most 1000000000, not 1000000000000"),
        ({"least": 10**12}, "least must be below 1000000000, not 1000000000000"),
        ({"rate": 1e300}, "rate must be at most 1000000000, not 1e+300"),
        ({"many": -1, "rate": "x"},
         "a file: rate: input should be a valid number, unable to parse string as a number, not 'x'"),
    ],
)  # fmt: skip
def test_the_first_fault_is_said_in_one_line(data: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(Outer, data, "a file")
    assert str(caught.value) == fault


def test_what_is_right_fills_the_dataclass() -> None:
    found = checked(Outer, {"many": "2", "few": None, "inner": {"rate": 3}}, "a file")
    assert found == Outer(many=2, inner=Inner(rate=3.0))


def test_a_prefix_stands_before_the_key() -> None:
    with pytest.raises(InputError, match=r"^train\.many must be above 0, not 0$"):
        checked(Outer, {"many": 0}, "a file", "train.")


def test_an_unknown_key_is_said_with_what_was_meant() -> None:
    check_keys({"many": 1}, ["many"], "a file")
    with pytest.raises(InputError, match=r"^a file: unknown key 'mny'; did you mean 'many'\?"):
        check_keys(["mny"], ["many"], "a file")
    with pytest.raises(InputError, match=r"^a file: no 1 here: known: many$"):
        check_keys({1: 2}, ["many"], "a file", "no {key} here: {meant}")
