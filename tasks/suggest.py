"""The "did you mean" that ends an error about an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches


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
