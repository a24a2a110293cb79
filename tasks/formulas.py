r"""Formulas in running text: `$…$`, `\(…\)`, `\[…\]` and boxes that belong together."""

import re
from collections.abc import Sequence

from tasks.boxes import Box

_TAIL_CHARS = 5_000
_STATED_CHARS = 2_000
_MATH = (
    r"(?:\$\$[^$]{1,2000}?\$\$|\\\[(?:[^\\]|\\[^\]]){1,2000}?\\\]|\\\((?:[^\\]|\\[^)]){1,2000}?\\\)"
    r"|(?<![\\$])\$(?:[^$\n\\]|\\.){1,2000}?\$(?!\d))"
)
_FORMULA = re.compile(_MATH)
_CHAIN = re.compile(
    rf"{_MATH}(?:\s{{0,5}}\\?%|\s{{0,5}}percent\b)?(?:\s{{0,5}}(?:,|,?\s{{0,5}}(?:and|or)\b)\s{{0,5}}{_MATH}){{0,10}}"
)
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_VALUE = re.compile(r"[0-9]|\b(?:and|or)\s*$")
_END = re.compile(r"\.\s+(?=[^\s\d])|\n\n|\.?\s+I hope it is correct")
_VERB = re.compile(r"\s{0,5}(?:is|are|equals?)\b:?(?=\s{0,5}(?:[-0-9.$]|\\[(\[]))")
_BETWEEN_BOXES = re.compile(
    r"(?:[\s$\\()\[\],;.{}~]|\\[!,;: ]|\\q?quad|\\text|\\left|\\right)*"
    r"(?:,|;|and|or|\\quad|\\text\{[^{}]{0,40}\b(?:and|or)\s?\})"
    r"(?:[\s$\\()\[\],;{}~]|\\q?quad|\\text)*(?:[a-zA-Z](?:_\{?\w{1,3}\}?)?\s*=\s*)?"
)


def first_formula(stated: str) -> str:
    """The answer in LaTeX that a statement begins with, without the words around it.

    Args:
        stated: the rest of "The answer is …".

    Returns:
        Formulas that are set apart by commas, "and" or "or", in their delimiters; where there is none, the
        first sentence. Empty where the statement is.
    """
    text = stated.strip()
    while (chain := _CHAIN.search(text[:_STATED_CHARS])) and (verb := _VERB.match(text, chain.end())):
        text = text[verb.end() :].strip()  # "the area of $ABC$ is 5"
    head = text[:_STATED_CHARS]
    end = _END.search(head)
    if chain and (not end or chain.start() < end.start()):
        before = head[: chain.start()]
        if not before.strip(" :*") or (_PROSE.search(before) and not _VALUE.search(before)):
            return chain.group()
        return head[: chain.end()].strip()
    if end and "\\begin" not in text:
        text = text[: end.start()]
    return text.strip().rstrip(".").strip("* ")


def last_formula(text: str) -> str | None:
    """The last formula of a text, without its delimiters; None where there is none."""
    formulas = _FORMULA.findall(text[-_TAIL_CHARS:])
    if not formulas:
        return None
    formula = formulas[-1]
    width = 1 if formula.startswith("$") and not formula.startswith("$$") else 2
    return formula[width:-width].strip() or None


def joined_boxes(text: str, boxes: Sequence[Box]) -> str:
    r"""The content of the last box, together with those before it that only commas or "and" set apart.

    Args:
        text: what the boxes are in.
        boxes: at least one.

    Returns:
        The contents, separated by commas.
    """
    last = boxes[-1]
    contents = [text[last.content_start : last.content_end].strip()]
    for box in reversed(boxes[:-1]):
        gap = text[box.content_end + 1 : last.start]
        if len(gap) > 80 or box.content_end > last.start or not _BETWEEN_BOXES.fullmatch(gap):
            break
        content = text[box.content_start : box.content_end].strip()
        if content not in contents:
            contents.insert(0, content)
        last = box
    return ", ".join(contents)
