r"""Text from outside as LaTeX: whatever it holds, it compiles with pdflatex and shows what it says.

Apart from `latex` because it must hold for any string: names come from other people's files.
"""

import unicodedata

_ASCII = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "`": r"\textasciigrave{}",
    # After a line's end `[` and `*` would be read as arguments of it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
# Two of them would become a dash or a quotation mark.
_JOINING = frozenset("-',")
_SIGNS = {
    "–": "--",
    "—": "---",
    "−": r"\ensuremath{-}",
    "·": r"\ensuremath{\cdot}",
    "×": r"\ensuremath{\times}",
    "±": r"\ensuremath{\pm}",
    "≥": r"\ensuremath{\geq}",
    "≤": r"\ensuremath{\leq}",
    "→": r"\ensuremath{\rightarrow}",
    "†": r"\ensuremath{\dagger}",
    "‡": r"\ensuremath{\ddagger}",
    "…": r"\ldots{}",
    "‘": "`{}",
    "’": "{'}",
    "“": "``{}",
    "”": "{''}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "\u00a0": "~",
}
_GREEK = {
    **dict(zip("αβγδεζηθικλμνξπρστυφχψω", (
        "alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda",
        "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "varphi", "chi", "psi", "omega",
    ), strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΥΦΨΩ", (
        "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
    ), strict=True)),
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030a": "r", "\u030c": "v",
    "\u0327": "c",
}  # fmt: skip


def escaped(text: str) -> str:
    """The text for the body of a document; what pdflatex has no sign for is named by its code point."""
    line = unicodedata.normalize("NFC", _one_line(text))
    parts = []
    for character, following in zip(line, f"{line[1:]} ", strict=False):
        parts.append(_escaped(character))
        if character in _JOINING and following == character:
            parts.append("{}")
    return "".join(parts)


def comment(text: str) -> str:
    """The text for a comment: on one line, so that nothing of it is set."""
    return "".join(char if char.isprintable() else "\ufffd" for char in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    if character.isascii() and character.isprintable():
        return character
    if character in _SIGNS:
        return _SIGNS[character]
    if character in _GREEK:
        return rf"\ensuremath{{\{_GREEK[character]}}}"
    parts = unicodedata.normalize("NFD", character)
    base, accent = parts[0], _ACCENTS.get(parts[1:])
    if accent and base.isascii() and base.isalpha():
        dotless = {"i": r"\i", "j": r"\j"}.get(base, base)
        return rf"\{accent}{{{dotless}}}"
    return f"{{[}}U+{ord(character):04X}{{]}}"
