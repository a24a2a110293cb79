"""Fills the page's template; whatever comes from a model or a user is escaped, also inside inline JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

from leaderboards.board.curves import MAX_POINTS
from leaderboards.board.rows import Board, Comparison, Pair, Row
from leaderboards.report.columns import Column, cost_columns, defect_columns, text_table, trained_rows
from leaderboards.report.findings import sentences
from leaderboards.report.page.payload import payload, place_name, places_of
from leaderboards.report.page.samples import PackedSamples
from leaderboards.report.tables import TextTable, alpha_tables, bucket_tables, further_tables, test_tables
from leaderboards.report.wording import (
    METRIC_NAMES,
    MISSING,
    bounds,
    interval,
    label,
    legend,
    points,
    title,
    value,
    web_link,
)
from leaderboards.results.schema import METRICS
from leaderboards.stats import MACRO

if TYPE_CHECKING:
    from jinja2 import Environment

STYLES = ("page", "table", "samples", "print")
SCRIPTS = (
    *("shared", "state", "training", "sample_store", "samples", "table", "filters", "charts", "alpha"),
    *("provenance", "page"),
)
"""All become one function, so a name that is used at the top level must stand in an earlier one."""


@dataclass(frozen=True, slots=True)
class PairCell:
    """What a cell of the pairs' matrix says, its class of style, and the two rows, by their positions."""

    text: str
    kind: str
    row: int
    other: int


def page_html(board: Board, samples: PackedSamples | None = None) -> str:
    """The whole page as one string, about 5 MB with plotly.js in it; it makes no network request.

    Args:
        board: the board.
        samples: of the board (`collect_samples`), for the sample browser.
    """
    template = _environment().get_template("page.html.j2")
    inlined = _inlined(board, samples)
    return template.render(board=board, samples=samples, **_words(board), **_tables(board), **inlined)


def _words(board: Board) -> dict[str, object]:
    """What is said above, between and below the tables."""
    return {
        "title": title(board),
        "models": sorted({row.model for row in board.rows}),
        "findings": sentences(board.summary, board),
        "cautions": sentences(board.notes, board),
        "checked": sentences(board.checks, board),
        "legend": legend(board),
        "metric_name": METRIC_NAMES[board.rank_by],
        "first_place": place_name(places_of(board)[0], board) if board.benchmarks else "",
        "max_points": MAX_POINTS,
        "label": lambda row: label(row, board),
        "web_link": web_link,
    }


def _tables(board: Board) -> dict[str, object]:
    """The tables, and which charts stand beside them."""
    return {
        "entries": _entries_table(board),
        "matrix": pair_matrix(board),
        "tests": list(test_tables(board)),
        "weights": list(alpha_tables(board)),
        "lengths": list(bucket_tables(board)),
        "compute": _compute_table(board),
        "further": further_tables(board),
        "defects": _defect_table(board),
        "reference_labels": [label(row, board) for row in board.rows if row.is_reference],
        "positions": {label(row, board): i for i, row in enumerate(board.rows)},
        "with_curves": any(row.curve for row in board.rows),
        "with_weights": sum(row.score_by_alpha is not None for row in board.rows) > 1,
        "with_sampled": any(cell.sampled for row in board.rows for cell in row.cells),
    }


def _inlined(board: Board, samples: PackedSamples | None) -> dict[str, object]:
    """Styles, scripts and data, which the template takes as they are."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    return {
        "style": Markup("".join(_asset(f"{name}.css") for name in STYLES)),
        "script": Markup("".join(_asset(f"{name}.js") for name in SCRIPTS)),
        "plotly": Markup(get_plotlyjs()),
        "data": Markup(inline_json(payload(board))),
        "samples_index": Markup(inline_json(samples.index)) if samples else "",
    }


def inline_json(payload: object) -> str:
    """JSON that cannot end the script element it stands in, nor a line in it (U+2028, U+2029)."""
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # These characters stand in JSON in strings alone, where an escape means the same.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _entries_table(board: Board) -> TextTable:
    """The table of the entries as it stands where no script runs."""
    place = places_of(board)[0] if board.benchmarks else MACRO
    metrics = (board.rank_by, *(metric for metric in METRICS if metric != board.rank_by))
    headings = ("entry", *(METRIC_NAMES[metric] for metric in metrics), f"Δ {board.reference}")
    lines = []
    for position, row in enumerate(board.rows):
        cell = row.cell(place)
        figures = (f"{value(cell, each)} {interval(cell, each)}" if cell else MISSING for each in metrics)
        found = board.versus.get(board.reference, {}).get((position, place, board.rank_by))
        lines.append((label(row, board), *figures, _compared(found) if found else MISSING))
    return TextTable("Entries", headings, tuple(lines))


def _compared(found: Comparison) -> str:
    difference = found.difference
    return f"{points(difference.mean)} [{bounds(difference.low, difference.high)}], {found.verdict}"


def pair_matrix(board: Board) -> Sequence[tuple[Row, Sequence[PairCell | None]]]:
    """Lays out each ranked row's difference to every other ranked row; None on the diagonal."""
    ranked = [i for i, row in enumerate(board.rows) if row.rank is not None]
    known = {(pair.first, pair.second): pair for pair in board.pairs}
    return [
        (board.rows[row], [_pair_cell(known, row, other) for other in ranked])
        for row in ranked
        if len(ranked) > 1
    ]


def _pair_cell(known: dict[tuple[int, int], Pair], row: int, other: int) -> PairCell | None:
    if row == other:
        return None
    pair = known.get((row, other)) or known.get((other, row))
    if pair is None:
        return PairCell(MISSING, "", row, other)
    mean = pair.comparison.difference.mean * (1 if pair.first == row else -1)
    if pair.comparison.verdict == "not distinguishable":
        return PairCell(f"≈ {points(mean)}", "", row, other)
    kind, mark = ("better", "▲") if mean > 0 else ("worse", "▼")
    return PairCell(f"{mark} {points(mean)}", kind, row, other)


def _compute_table(board: Board) -> TextTable | None:
    """Training compute; None where nothing was trained."""
    trained = trained_rows(board)
    columns = (_name_column(board), *cost_columns(board))
    return text_table("Training compute of one seed", trained, columns) if trained else None


def _defect_table(board: Board) -> TextTable | None:
    """Defects of the outputs' format; None where no output has any."""
    found = text_table("Format defects", board.rows, (_name_column(board), *defect_columns(board)))
    lines = (
        (name, outputs, *(MISSING if count == "0" else count for count in counts))
        for name, outputs, *counts in found.lines
    )
    return replace(found, lines=tuple(lines)) if len(found.columns) > 2 else None


def _name_column(board: Board) -> Column:
    return Column("entry", lambda row: label(row, board))


def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asset(name: str) -> str:
    return files("leaderboards.report.page").joinpath(name).read_text(encoding="utf-8")
