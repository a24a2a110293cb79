"""What a registered function says of itself: objectives and rewards are described where they are defined."""

import inspect
import re
from collections.abc import Callable
from typing import Any


def summary_of(function: Callable[..., Any]) -> str:
    """The first line of its docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0]


def field_of(function: Callable[..., Any], label: str) -> str:
    """A part of its docstring with a label, such as `Formula` or `Source`; empty where it has none."""
    text = inspect.getdoc(function) or ""
    found = re.search(rf"^{label}: (.+?)(?=\n\n|\n[A-Z][a-z ]+:|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""
