"""What comes from outside, checked against the dataclass that it fills: one line says what is wrong with it.

A dataclass declares the range of a field in its type (`seeds: Count`); pydantic holds it, and the words of a
fault are made here, for configurations, entry files and whatever else people write by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

from pydantic import Field

from tasks.errors import InputError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")
MOST = 1_000_000_000
"""Of whatever is counted: more is a slip, and past what clocks, arrays and slices take."""
Count = Annotated[int, Field(gt=0, le=MOST)]
CountOr0 = Annotated[int, Field(ge=0, lt=MOST)]
CountOrNone = Annotated[int | None, Field(gt=0, le=MOST)]
Positive = Annotated[float, Field(gt=0, le=MOST, allow_inf_nan=False)]
PositiveOrNone = Annotated[float | None, Field(gt=0, le=1e15, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, lt=MOST, allow_inf_nan=False)]

_RANGE_FAULTS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number")
_BOUNDS = ("gt", "ge", "lt", "le", "allow_inf_nan")
_SHOWN_CHARS = 100


def checked(kind: type[T], data: Mapping[str, Any], where: str, prefix: str = "") -> T:
    """Fills a dataclass, or says the first fault: of a wrong type before one that is out of range.

    Args:
        kind: The dataclass, its fields' ranges declared in their types.
        data: What was written; keys are known to be fields.
        where: Begins the line of a value of a wrong type.
        prefix: Stands before the key, with its dot.

    Raises:
        InputError: A value is of a wrong type, missing, or out of range.
    """
    from pydantic import ValidationError

    _check_booleans(kind, data, where, prefix)
    try:
        wanted: Any = kind
        found: T = _adapter(wanted).validate_python(dict(data))
        return found
    except ValidationError as error:
        faults = [(fault, _range_in_words(kind, fault)) for fault in error.errors()]
        fault, range_words = min(faults, key=lambda found: found[1] is not None)
        key = prefix + ".".join(str(part) for part in fault["loc"] if part not in ("str", "dict[str,any]"))
        if range_words:
            raise InputError(f"{key} must be {range_words}") from error
        said = repr(fault["input"])
        said = said if len(said) <= _SHOWN_CHARS else f"{said[:_SHOWN_CHARS]}…"
        raise InputError(f"{where}: {key}: {fault['msg'].lower()}, not {said}") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Made once: that takes much longer than a check."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _check_booleans(kind: Any, data: Mapping[str, Any], where: str, prefix: str) -> None:
    """InputError where true or false stands for a number, which pydantic takes for 1 or 0."""
    hints = get_type_hints(kind)
    for key, value in data.items():
        if is_dataclass(hints.get(key)) and isinstance(value, Mapping):
            _check_booleans(hints[key], value, where, f"{prefix}{key}.")
        elif isinstance(value, bool) and hints.get(key) in (int, float, int | None, float | None):
            raise InputError(f"{where}: {prefix}{key}: {str(value).lower()} is no number")


def _range_in_words(kind: Any, fault: ErrorDetails) -> str | None:
    """`above 0, not -1`; None where the fault is no value out of range."""
    if fault["type"] not in _RANGE_FAULTS:
        return None
    for name in fault["loc"]:  # ranges are declared in fields alone, not within lists or mappings
        kind = get_type_hints(kind, include_extras=True)[str(name)] if is_dataclass(kind) else None
    declared = kind.__metadata__[0].metadata if hasattr(kind, "__metadata__") else ()
    bounds = {name: getattr(each, name) for each in declared for name in _BOUNDS if hasattr(each, name)}
    is_float = "allow_inf_nan" in bounds
    if not bounds or (fault["type"] == "finite_number" and not is_float):
        return None  # where a whole number is wanted, infinity is of a wrong type
    # What was written may be a text; what is said is the number that pydantic understood.
    value = float(fault["input"]) if is_float else int(fault["input"])
    return f"{_words(fault['type'], bounds)}, not {str(value)[:_SHOWN_CHARS]}"


def _words(fault: str, bounds: Mapping[str, float]) -> str:
    """The side of a range that a value is on the wrong side of; infinity and NaN are below all of them."""
    if {"ge", "le"} <= bounds.keys():
        return f"between {bounds['ge']} and {bounds['le']}"
    if fault.startswith("less_than"):
        return f"below {bounds['lt']}" if "lt" in bounds else f"at most {bounds['le']}"
    return f"above {bounds['gt']}" if "gt" in bounds else f"at least {bounds['ge']}"
