r"""The leaderboard as a LaTeX table with booktabs rules, to be put into a paper by ``\input``.

Best figure of each column in bold; figures that the paired test cannot tell from it are underlined, so that
nobody takes a bold one for more than it is.
"""

import unicodedata
from collections.abc import Iterator, Sequence

from leaderboards.board.rows import Board, Cell
from leaderboards.report import wording
from leaderboards.report.findings import sentences
from leaderboards.report.wording import MISSING, OWN_FORMAT_MARK, SIGNIFICANT_MARK, percent
from leaderboards.results.reported import Reported
from leaderboards.stats import MACRO
from tasks.shown import printable

_PREAMBLE = r"""% The leaderboard as a table: put it into a paper with \input{leaderboard.tex}.
% Needs \usepackage{booktabs} and nothing else; pdflatex, xelatex and lualatex set it alike.
% For a page of two columns write table* for table. How an interval looks is said once, here; for brackets:
% \newcommand{\harnessinterval}[2]{{\scriptsize\,[#1,\,#2]}}
\providecommand{\harnessinterval}[2]{\ensuremath{^{#2}_{#1}}}"""


def latex(board: Board) -> str:
    """The ranking metric on each benchmark and on all of them, as a table that compiles as it is."""
    places = [*board.benchmarks, *([MACRO] if len(board.benchmarks) > 1 else [])]
    marked = {place: _marked(board, place) for place in places}
    body = []
    for number, row in enumerate(board.rows):
        name = escaped(wording.role_label(row, board)) + (" (reference)" if row.is_reference else "")
        body.append(_joined([name, *(_cell(board, row.cell(p), marked[p].get(number)) for p in places)]))
    words, headline = wording.title(board), sentences(board.summary[:1], board)
    caption = f"{words[0].upper()}{words[1:]}. {headline[0]}" if headline else f"{words}."
    parts = [
        _PREAMBLE,
        # Printable, and so on one line: nothing of a comment is set.
        *(f"% {printable(answer)}" for answer in sentences(board.claims, board)),
        *(f"% Beware: {printable(note)}" for note in sentences(board.notes, board)),
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escaped(caption)}}}",
        r"  \label{tab:leaderboard}",
        r"  \small",
        r"  \setlength{\tabcolsep}{4pt}",
        rf"  \begin{{tabular}}{{@{{}}l{'r' * len(places)}@{{}}}}",
        r"    \toprule",
        "    " + _joined(["entry", *("macro average" if p == MACRO else escaped(p) for p in places)]),
        r"    \midrule",
        *(f"    {line}" for line in (*body, *_reported_lines(board, places))),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"  \par\medskip",
        r"  \begin{minipage}{\linewidth}",
        rf"    \footnotesize {' '.join(escaped(note) for note in _notes(board, marked))}",
        r"  \end{minipage}",
        r"\end{table}",
    ]
    return "\n".join(parts) + "\n"


def _marked(board: Board, place: str) -> dict[int, str]:
    """How the best row is set, by its position, and those that the paired test cannot tell from it."""
    rows, metric = board.rows, board.rank_by
    cells = {number: cell.metric(metric) for number, row in enumerate(rows) if (cell := row.cell(place))}
    comparable = {number: cell for number, cell in cells.items() if not cell.own_format} or cells
    if not comparable:
        return {}
    best = max(comparable, key=lambda number: comparable[number].estimate.mean)
    comparisons = board.versus.get(rows[best].name, {})
    # Each is made within its own model: where several rows have the best one's name, to that of the model.
    alone = sum(row.name == rows[best].name for row in rows) == 1
    ties = (
        number
        for number in comparable
        if (alone or rows[number].model == rows[best].model)
        and (found := comparisons.get((number, place, metric)))
        and found.verdict in ("equivalent", "undecided")
    )
    return dict.fromkeys(ties, "underline") | {best: "textbf"}


def _cell(board: Board, cell: Cell | None, command: str | None) -> str:
    if cell is None:
        return escaped(MISSING)
    figures = cell.metric(board.rank_by)
    estimate = figures.estimate
    text = rf"\{command}{{{percent(estimate.mean)}}}" if command else percent(estimate.mean)
    marks = OWN_FORMAT_MARK * figures.own_format + wording.mark(cell, board.rank_by)
    # Without width, so that the figures of a column stay aligned.
    hanging = rf"\rlap{{\textsuperscript{{{escaped(marks)}}}}}" if marks else ""
    return rf"{text}\harnessinterval{{{percent(estimate.low)}}}{{{percent(estimate.high)}}}{hanging}"


def _reported_lines(board: Board, places: Sequence[str]) -> Iterator[str]:
    said: set[str] = set()
    for row in _shown(board):
        if row.source not in said:
            said.add(row.source)
            heading = escaped(f"reported by {row.source}, not reproduced here")
            yield r"\midrule"
            yield rf"\multicolumn{{{len(places) + 1}}}{{@{{}}l@{{}}}}{{\itshape {heading}}} \\"
        yield from _reported_row(board, row, places)


def _shown(board: Board) -> list[Reported]:
    """The reported rows that have a figure for the ranking metric."""
    return [row for row in board.reported if any(f.metric == board.rank_by for f in row.figures)]


def _reported_row(board: Board, row: Reported, places: Sequence[str]) -> Iterator[str]:
    """A line with the figures that have a column, and one for each average over other benchmarks."""
    name = rf"\textit{{{escaped(f'{row.name} · {row.model}')}}}"
    values, others = {}, []
    for figure in (each for each in row.figures if each.metric == board.rank_by):
        place = MACRO if wording.is_macro(figure, board.benchmarks) else figure.benchmark
        if place in places:
            values[place] = rf"\textit{{{percent(figure.value)}}}"
        else:
            others.append(escaped(f"{percent(figure.value)} ({figure.benchmark})"))
    if values:
        yield _joined([name, *(values.get(place, escaped(MISSING)) for place in places)])
    for text in others:
        yield _joined([name, rf"\multicolumn{{{len(places)}}}{{r@{{}}}}{{\textit{{{text}}}}}"])


def _notes(board: Board, marked: dict[str, dict[int, str]]) -> Iterator[str]:
    """What the marks mean; only of those that the table has."""
    level = f"{100 * board.confidence:.0f} %"
    yield (
        f"Small figures: lower and upper end of {level} intervals over questions and training seeds "
        "(questions alone for an entry without several seeds)."
    )
    tied = any("underline" in commands.values() for commands in marked.values())
    yield "Bold: best of its column" + (
        "; underlined: not told apart from it (paired two-way clustered t test, Holm)." if tied else "."
    )
    cells = [cell for row in board.rows for place in marked if (cell := row.cell(place))]
    if any(wording.mark(cell, board.rank_by) for cell in cells):
        yield (f"{SIGNIFICANT_MARK}: differs from {board.reference} ({wording.family(board)}).")
    if any(cell.metric(board.rank_by).own_format for cell in cells):
        yield f"{OWN_FORMAT_MARK}: no tags, so this figure means another thing and is not compared."
    unlike = wording.UNLIKE_MARK
    for row in (row for row in board.rows if row.marks):
        yield f"{unlike} {wording.label(row, board).removesuffix(unlike)}: {'; '.join(row.marks)}."
    yield from wording.sources(_shown(board))


def _joined(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


# Text from outside as LaTeX: names come from other people's files, and whatever they hold, the table compiles
# with pdflatex and shows what they say.
# Two of them would become a dash or a quotation mark.
_JOINING = frozenset("-',")
_MATHS = {
    "·": "cdot", "×": "times", "±": "pm", "≥": "geq", "≤": "leq", "→": "rightarrow",
    "†": "dagger", "‡": "ddagger",
    **dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", (
        "alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda",
        "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "varphi", "chi", "psi", "omega", "Gamma",
        "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
    ), strict=True)),
}  # fmt: skip
_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}", "`": r"\textasciigrave{}",
    # After a line's end `[` and `*` would be read as arguments of it.
    "[": "{[}", "]": "{]}", "*": "{*}", "−": r"\ensuremath{-}",
    "–": "--", "—": "---", "…": r"\ldots{}", "‘": "`{}", "’": "{'}", "“": "``{}", "”": "{''}", "\u00a0": "~",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}",
    **{sign: rf"\ensuremath{{\{name}}}" for sign, name in _MATHS.items()},
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030a": "r", "\u030c": "v",
    "\u0327": "c",
}  # fmt: skip


def escaped(text: str) -> str:
    """The text for the body of a document; what pdflatex has no sign for is named by its code point."""
    # Composed, so that a letter and its accent are one character here, however they were typed.
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    parts = []
    for character, following in zip(line, f"{line[1:]} ", strict=False):
        parts.append(_escaped(character))
        if character in _JOINING and following == character:
            parts.append("{}")
    return "".join(parts)


def _escaped(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if character.isascii() and character.isprintable():
        return character
    parts = unicodedata.normalize("NFD", character)
    base, accent = parts[0], _ACCENTS.get(parts[1:])
    if accent and base.isascii() and base.isalpha():
        dotless = {"i": r"\i", "j": r"\j"}.get(base, base)
        return rf"\{accent}{{{dotless}}}"
    return f"{{[}}U+{ord(character):04X}{{]}}"
