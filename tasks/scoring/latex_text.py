r"""LaTeX as text: what does not change the meaning is taken off, what stands in brackets is kept together."""

import re

_SPACES = re.compile(r"\\(?:[!,;:> ]|q?quad|displaystyle(?![a-zA-Z]))|[~\s]+")
_SIZES = re.compile(r"\\(?:left|right|(?:[Bb]igg?)[lr]?)(?![a-zA-Z])\s*\.?(?=[\s()\[\]{}|\\<>/]|$)")
_WRAPPERS = r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|operatorname)"
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}")
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|°|\\degree(?![a-zA-Z])")
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
)
_OPEN, _CLOSE = "([{", ")]}"


def clean_latex(text: str) -> str:
    r"""Take off dollars, boxes, spacing and sizes, and spell each thing in one way.

    Args:
        text: LaTeX or plain text.

    Returns:
        The same, with single spaces where there were some, so that commands stay apart from letters.
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
    r"""Split an answer into what it says and the unit or word that trails it.

    Args:
        text: as `clean_latex` gives it.

    Returns:
        The answer and the unit, which may be empty; the answer is empty where all is text.
    """
    core, unit = text, ""
    while match := re.search(rf"{_WRAPPERS}\s*\{{([^{{}}]*)\}}\s*(\^\s*\{{?\s*[0-9]\s*\}}?)?\s*$", core):
        core, unit = core[: match.start()], f"{match[1]}{match[2] or ''}{unit}"
        if core.rstrip().endswith("/"):
            core, unit = core.rstrip()[:-1], f"/{unit}"
    if not unit and (match := re.search(r"(?<=[0-9)}])\s+([a-zA-Z]{2,}[a-zA-Z .]*)$", core)):
        core, unit = core[: match.start()], match[1]
    return core.strip(), unit.strip(" .")


def split_top(text: str, separator: re.Pattern[str]) -> list[str]:
    """Split a text at a separator where it stands outside of all brackets and braces.

    Args:
        text: as `clean_latex` gives it.
        separator: never matches a bracket.

    Returns:
        The parts, stripped; one part where the separator does not occur.
    """
    parts, depth, start, position = [], 0, 0, 0
    while position < len(text):
        character = text[position]
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
        elif depth <= 0 and (match := separator.match(text, position)):
            parts.append(text[start:position].strip())
            start = position = match.end()
            continue
        position += 1
    return [*parts, text[start:].strip()]


def bracketed(text: str) -> tuple[str, str, str] | None:
    r"""The opening, inside and closing of a text that is one bracketed group; \{ counts as a bracket."""
    opening = text[:2] if text.startswith("\\{") else text[:1]
    closing = text[-2:] if text.endswith("\\}") else text[-1:]
    if opening not in ("(", "[", "\\{") or closing not in (")", "]", "\\}"):
        return None
    depth = 0
    for position, character in enumerate(text):
        depth += (character in _OPEN) - (character in _CLOSE)
        if not depth and position >= len(opening) - 1:
            if position < len(text) - 1:
                return None
            break
    return opening, text[len(opening) : -len(closing)].strip(), closing


_MATRIX = re.compile(r"\\begin\s*\{([pbB]?matrix|array)\}\s*(?:\{[lcr| ]*\})?(.*)\\end\s*\{\1\}", re.DOTALL)
_ROWS = re.compile(r"\\\\")
_CELLS = re.compile(r"&")


def matrix_rows(text: str) -> list[list[str]] | None:
    """The entries of a text that is one matrix, row by row; None where it is anything else.

    Args:
        text: as `clean_latex` gives it, perhaps with brackets around it.

    Returns:
        Rows of entries, stripped.
    """
    if (group := bracketed(text)) and _MATRIX.fullmatch(group[1]):
        text = group[1]
    match = _MATRIX.fullmatch(text)
    if match is None or "\\begin" in match[2]:
        return None
    rows = [row for row in split_top(match[2].strip(), _ROWS) if row]
    return [split_top(row, _CELLS) for row in rows]
