"""A table as text, which the terminal, Markdown and the page lay out each in its way.

Apart from `tables`, which gathers those of a board from the modules that make them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextTable:
    """Cells as text under a heading; `detail` where a narrow terminal may leave it out.

    Where `in_terminal` is false it is too long for any terminal.
    """

    heading: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    captions: tuple[str, ...] = ()
    detail: bool = False
    in_terminal: bool = True


def printable(text: str) -> str:
    """Text from outside on one line, with a replacement character for what no terminal should be sent."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
