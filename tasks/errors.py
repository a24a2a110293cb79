"""The one exception for what the user can mend: shown as a single line, without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class InputError(Exception):
    """Bad input from the user: the message is one line saying what, where and how to mend it.

    The command turns it into exit code 2; a library caller may catch it like any other exception.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which of the known names was probably meant, or list them all.

    Args:
        name: what the user wrote.
        known: the names that exist.

    Returns:
        A clause for the end of an error message, such as ``did you mean 'gsm8k'?``.
    """
    names = sorted(known)
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}"


def check_keys(
    data: Iterable[Any], known: Iterable[str], where: str, fault: str = "unknown key '{key}'; {meant}"
) -> None:
    """Refuses keys that nobody reads.

    Args:
        data: The keys.
        known: Those that are read.
        where: Begins the error.
        fault: What the error says of `{key}`, and of what is `{meant}`.

    Raises:
        InputError: One of them, and what was probably meant.
    """
    known = list(known)
    for key in data:
        if key not in known:
            meant = did_you_mean(str(key), known)
            raise InputError(f"{where}: {fault.format(key=key, meant=meant)}")
