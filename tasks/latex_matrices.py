r"""Matrices in LaTeX: pmatrix, bmatrix and their like, or an array in brackets."""

import re

from tasks.latex_text import bracketed, split_top

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
