r"""Answers as text, plain and LaTeX: what does not change the meaning is taken off, groups are kept whole.

All patterns are bounded, or repeat nothing within a repetition, so that no output makes them slow.
"""

import re
import string
import unicodedata
from collections.abc import Sequence
from itertools import accumulate

from tasks.tags.answers import Box

_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}‘’“”–—…]")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|boxed|fbox)\s*\{([^{}]*)\}")
_SPACES = re.compile(r"\\(?:[!,;:> ]|q?quad|displaystyle(?![a-zA-Z]))|[~\s]+")
# \left and \big say nothing of the value, but \leftarrow does: a bracket or space must follow.
_SIZES = re.compile(r"\\(?:left|right|(?:[Bb]igg?)[lr]?)(?![a-zA-Z])\s*\.?(?=[\s()\[\]{}|\\<>/]|$)")
_WRAPPERS = r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|operatorname)"
# Braces three deep within a box; an expression cannot count them.
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}")
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|°|\\degree(?![a-zA-Z])")
# 12{,}345 and 12\,345 are one number; in (12\,3) the space merely sets apart.
_GROUPED = re.compile(r"(?<=[0-9])(?:\{,\}|,\\!\s*|\\,)(?=[0-9]{3}(?![0-9]))")
_SPELLINGS = (
    (re.compile(r"\\(?:leq?slant|leq?|leqq)(?![a-zA-Z])|<=|≤"), r"\\le "),
    (re.compile(r"\\(?:geq?slant|geq?|geqq)(?![a-zA-Z])|>=|≥"), r"\\ge "),
    (re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (re.compile(r"\\gt(?![a-zA-Z])"), ">"),
    (re.compile(r"\\(?:neq?)(?![a-zA-Z])|!=|≠"), r"\\ne "),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:approx|simeq)(?![a-zA-Z])|≈"), r"\\approx "),
    (re.compile(r"\\equiv(?![a-zA-Z])"), "="),
    (re.compile(r"∪"), r"\\cup "),
    (re.compile(r"∈"), r"\\in "),
    (re.compile(r"−|–"), "-"),
    # As plain text has them: sqrt(5), pi/3, 2**3.
    (re.compile(r"(?<![\\a-zA-Z])sqrt ?(?:\(([^()]{1,80})\)|([0-9]{1,20}|[a-z](?![a-z])))"), r"\\sqrt{\1\2}"),
    (re.compile(r"(?<![\\a-zA-Z])(pi|sin|cos|tan|infty|theta)(?![a-zA-Z])"), r"\\\1 "),
    (re.compile(r"\*\*"), "^"),
)
_OPEN, _CLOSE = "([{", ")]}"
_BRACKETS = _OPEN + _CLOSE


def normalise_words(text: str) -> str:
    """Lower the case, drop punctuation and articles, join whitespace: SQuAD's rule (arXiv 1606.05250).

    A text that consists of nothing but punctuation or articles keeps its words, so that it can still be told
    from another one.
    """
    lowered = unicodedata.normalize("NFKC", text).lower()
    bare = " ".join(_PUNCTUATION.sub(" ", lowered).split())
    return " ".join(_ARTICLES.sub(" ", bare).split()) or bare or " ".join(lowered.split())


def strip_markup(text: str) -> str:
    r"""Take off what models put around a short answer: ``**B**``, ``$B$``, ``\text{B}``, quotes, `B`."""
    for _ in range(3):
        text = _WRAPPER.sub(r"\1", text)
    text = re.sub(r"\*\*|__|`", "", text).strip()
    return text.strip('$"“”*').removeprefix("\\(").removesuffix("\\)").strip()


def clean_latex(text: str) -> str:
    r"""Take off dollars, boxes, spacing and sizes of LaTeX or plain text, and spell each thing in one way.

    Single spaces stay where there were some, so that commands stay apart from letters.
    """
    if "\\\\" in text and "\\begin" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text)  # written with its backslashes doubled
    text = _GROUPED.sub("", text)
    text = _SIZES.sub(" ", _DEGREES.sub("", text))
    text = re.sub(r"(?<!\\)(?:\\[()]|\\\[|\\\])|\\?\$", " ", text)
    text = unbox(text)
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    text = " ".join(_SPACES.sub(" ", text.replace("\\\\", "\0")).split()).replace("\0", "\\\\")
    return text.strip(" .,;:") if text.endswith((".", ",", ";", ":", " ")) else text


def unbox(text: str) -> str:
    r"""Replace \boxed{…} and \fbox{…} by what they hold, which may have braces in it."""
    return _BOX.sub(r"\1", text) if "box" in text else text


def unwrap_text(text: str) -> str:
    r"""Replace \text{…}, \mathrm{…} and their like by what they hold."""
    return re.sub(rf"{_WRAPPERS}\s*\{{([^{{}}]*)\}}", r" \1 ", text)


def split_unit(text: str) -> tuple[str, str]:
    r"""Split an answer, as `clean_latex` gives it, into what it says and the unit or word that trails it.

    The unit may be empty; the answer is empty where all is text.
    """
    core, unit = text, ""
    while match := re.search(rf"{_WRAPPERS}\s*\{{([^{{}}]*)\}}\s*(\^\s*\{{?\s*[0-9]\s*\}}?)?\s*$", core):
        core, unit = core[: match.start()], f"{match[1]}{match[2] or ''}{unit}"
        if core.rstrip().endswith("/"):
            core, unit = core.rstrip()[:-1], f"/{unit}"
    if not unit and (match := _BARE_UNIT.search(core)):
        core, unit = core[: match.start()], match[1]
    return core.strip(), unit.strip(" .")


# "12 cm", "12 m/s", "5 cm^2": two letters at least, or a division or power, lest it be a variable.
_BARE_UNIT = re.compile(
    r"(?<=[0-9)}])\s+([a-zA-Z]{2,}[a-zA-Z .]*|[a-zA-Z]{1,12} ?/ ?[a-zA-Z]{1,12}(?:\^\{?[23]\}?)?"
    r"|[a-zA-Z]{2,12}\^\{?[23]\}?)$"
)


def split_top(text: str, separator: re.Pattern[str]) -> list[str]:
    """The stripped parts of a text of `clean_latex` between separators outside of all brackets and braces."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSE)
        if position < start or depth > 0 or character in _BRACKETS:
            continue
        if match := separator.match(text, position):
            parts.append(text[start:position].strip())
            start = match.end()
    return [*parts, text[start:].strip()]


def bracketed(text: str) -> tuple[str, str, str] | None:
    r"""The opening, inside and closing of a text that is one bracketed group; \{ counts as a bracket."""
    opening = text[:2] if text.startswith("\\{") else text[:1]
    closing = text[-2:] if text.endswith("\\}") else text[-1:]
    if opening not in ("(", "[", "\\{") or closing not in (")", "]", "\\}"):
        return None
    depths = accumulate((character in _OPEN) - (character in _CLOSE) for character in text)
    end = next((at for at, depth in enumerate(depths) if not depth and at >= len(opening) - 1), len(text))
    return (opening, text[len(opening) : -len(closing)].strip(), closing) if end >= len(text) - 1 else None


_MATRIX = re.compile(r"\\begin\s*\{([pbB]?matrix|array)\}\s*(?:\{[lcr| ]*\})?(.*)\\end\s*\{\1\}", re.DOTALL)
_ROWS = re.compile(r"\\\\")
_CELLS = re.compile(r"&")


def matrix_rows(text: str) -> list[list[str]] | None:
    """The entries, row by row, of a text of `clean_latex` that is one matrix, perhaps in brackets."""
    if (group := bracketed(text)) and _MATRIX.fullmatch(group[1]):
        text = group[1]
    match = _MATRIX.fullmatch(text)
    if match is None or "\\begin" in match[2]:
        return None
    rows = [row for row in split_top(match[2].strip(), _ROWS) if row]
    return [split_top(row, _CELLS) for row in rows]


_FORMULA_CHARS = 5_000
_STATED_CHARS = 2_000
# A dollar before a digit closes nothing: it is money. The lengths bound the search for what closes.
_MATH = (
    r"(?:\$\$[^$]{1,2000}?\$\$|\\\[(?:[^\\]|\\[^\]]){1,2000}?\\\]|\\\((?:[^\\]|\\[^)]){1,2000}?\\\)"
    r"|(?<![\\$])\$(?:[^$\n\\]|\\.){1,2000}?\$(?!\d))"
)
_FORMULA = re.compile(_MATH)
_CHAIN = re.compile(
    rf"{_MATH}(?:\s{{0,5}}\\?%|\s{{0,5}}percent\b)?(?:\s{{0,5}}(?:,|,?\s{{0,5}}(?:and|or)\b)\s{{0,5}}{_MATH}){{0,10}}"
)
# "the area is" before a formula is prose, and is left out; "5 or" is part of the answer.
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_VALUE = re.compile(r"[0-9]|\b(?:and|or)\s*$")
_END = re.compile(r"\.\s+(?=[^\s\d])|\n\n|\.?\s+I hope it is correct")
_VERB = re.compile(r"\s{0,5}(?:is|are|equals?)\b:?(?=\s{0,5}(?:[-0-9.$]|\\[(\[]))")
# Spacing, then a comma or "and", then spacing and perhaps "x =": the boxes are one answer.
_BETWEEN_BOXES = re.compile(
    r"(?:[\s$\\()\[\],;.{}~]|\\[!,;: ]|\\q?quad|\\text|\\left|\\right)*"
    r"(?:,|;|and|or|\\quad|\\text\{[^{}]{0,40}\b(?:and|or)\s?\})"
    r"(?:[\s$\\()\[\],;{}~]|\\q?quad|\\text)*(?:[a-zA-Z](?:_\{?\w{1,3}\}?)?\s*=\s*)?"
)


def first_formula(stated: str) -> str:
    """The answer in LaTeX that the rest of "The answer is …" begins with, without the words around it.

    It may be formulas set apart by commas, "and" or "or", in their delimiters; else it is the first sentence.
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
    formula = next(reversed(_FORMULA.findall(text[-_FORMULA_CHARS:])), "")
    width = 1 if formula.startswith("$") and not formula.startswith("$$") else 2
    return formula[width:-width].strip() or None


def joined_boxes(text: str, boxes: Sequence[Box]) -> str:
    r"""The content of the last box and of those before it that only commas or "and" set apart, in order."""
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
