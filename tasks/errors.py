"""The one exception for what the user can mend: shown as a single line, without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class InputError(Exception):
    """Bad input from the user: the message is one line saying what, where and how to mend it.

    The command turns it into exit code 2; a library caller may catch it like any other exception.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which of the known names was probably meant, or list them all: a clause that ends an error."""
    names = sorted(known)
    close = get_close_matches(name[:100].lower(), names, n=1, cutoff=0.6)  # its time grows with the square
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}"


def check_keys(
    data: Iterable[Any], known: Iterable[str], where: str, fault: str = "unknown key '{key}'; {meant}"
) -> None:
    """Refuses keys that nobody reads; `fault` words what is wrong with `{key}` and what was `{meant}`.

    Raises:
        InputError: One of the keys is not known; begins with `where`.
    """
    known = list(known)
    for key in data:
        if key not in known:
            meant = did_you_mean(str(key), known)
            raise InputError(f"{where}: {fault.format(key=key, meant=meant)}")
