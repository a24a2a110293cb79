r"""Closed boxes, ``\boxed{…}``, in a text: braces are matched, and escaped braces are text."""

import re
from dataclasses import dataclass

MOST_BOXES = 20
"""Only the last so many openings are looked at."""
LONGEST_BOX_CHARS = 5_000
"""A longer content is no answer."""
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box starts, and its content: characters content_start to content_end (exclusive)."""

    start: int
    content_start: int
    content_end: int


def closed_boxes(text: str, opening: str = "\\boxed{") -> tuple[Box, ...]:
    """Find the last closed boxes of a text, in time that does not grow with their number.

    Args:
        text: any text.
        opening: how a box begins; whitespace may stand before its brace.

    Returns:
        The boxes in the order of the text, those in other boxes included.
    """
    found: list[Box] = []
    command, position = opening.removesuffix("{"), len(text)
    for _ in range(MOST_BOXES):
        position = text.rfind(command, 0, position)
        if position < 0:
            break
        box = _box_at(text, position, position + len(command))
        if box:
            found.append(box)
    return tuple(reversed(found))


def _box_at(text: str, start: int, after_command: int) -> Box | None:
    brace = re.compile(r"\s{0,100}\{").match(text, after_command)
    if brace is None:
        return None
    depth = 1
    for match in _BRACE.finditer(text, brace.end(), brace.end() + LONGEST_BOX_CHARS):
        if match.group() in "{}":
            depth += 1 if match.group() == "{" else -1
        if not depth:
            return Box(start, brace.end(), match.start())
    return None
