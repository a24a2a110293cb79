"""Fills the page's template; whatever comes from a model or a user is escaped, also inside inline JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import NamedTuple

from leaderboards.board.curves import MAX_POINTS
from leaderboards.board.rows import Board, Row
from leaderboards.report import tables, wording
from leaderboards.report.columns import Column, cost_columns, defect_columns
from leaderboards.report.findings import sentences
from leaderboards.report.page.payload import payload, place_name, places_of
from leaderboards.report.page.samples import PackedSamples
from leaderboards.report.tables import TextTable, text_table
from leaderboards.report.wording import METRIC_NAMES, MISSING, label, points
from leaderboards.results.schema import METRICS
from leaderboards.stats import MACRO
from tasks.shown import neutral

STYLES = ("page", "table", "samples", "print")
SCRIPTS = (
    *("shared", "state", "training", "sample_store", "samples", "table", "filters", "charts", "alpha"),
    *("provenance", "page"),
)
"""All become one function, so a name that is used at the top level must stand in an earlier one."""


class PairCell(NamedTuple):
    """What a cell of the pairs' matrix says, its class of style, and the two rows, by their positions."""

    text: str
    kind: str
    row: int
    other: int


def page_html(board: Board, samples: PackedSamples | None = None) -> str:
    """The whole page as one string, about 5 MB with plotly.js in it; it makes no network request.

    The samples are those of the board (`collect_samples`), for the sample browser.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    # Whatever else the templates are given is escaped.
    as_it_is = {
        "style": "".join(_asset(f"{name}.css") for name in STYLES),
        "script": "".join(_asset(f"{name}.js") for name in SCRIPTS),
        "plotly": get_plotlyjs(),
        "data": inline_json(payload(board)),
        "samples_index": inline_json(samples.index) if samples else "",
    }
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        finalize=lambda value: neutral(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        {"board": board, "samples": samples, **_words(board), **_tables(board)},
        **{name: Markup(text) for name, text in as_it_is.items()},
    )


def _words(board: Board) -> dict[str, object]:
    """What is said above, between and below the tables."""
    return {
        "title": wording.title(board),
        "models": sorted({row.model for row in board.rows}),
        "answers": sentences(board.claims, board),
        "findings": sentences(board.summary, board),
        "cautions": sentences(board.notes, board),
        "checked": sentences(board.checks, board),
        "legend": wording.legend(board),
        "metric_name": METRIC_NAMES[board.rank_by],
        "first_place": place_name(places_of(board)[0], board) if board.benchmarks else "",
        "max_points": MAX_POINTS,
        "label": lambda row: label(row, board),
        "web_link": wording.web_link,
    }


def _tables(board: Board) -> dict[str, object]:
    """The tables, and which charts stand beside them."""
    labels = [label(row, board) for row in board.rows]
    name: Column = ("entry", lambda row: label(row, board))
    trained = [row for row in board.rows if row.cost]
    compute = text_table("Training compute of one seed", trained, (name, *cost_columns(board)))
    defects = text_table("Format defects", board.rows, (name, *defect_columns(board)))
    counted = ((*line[:2], *(MISSING if n == "0" else n for n in line[2:])) for line in defects.lines)
    return {
        "entries": _entries_table(board),
        "matrix": list(_pair_matrix(board)),
        "margin": f"{100 * board.margin:g}",
        "tests": list(tables.test_tables(board)),
        "weights": list(tables.alpha_tables(board)),
        "lengths": list(tables.bucket_tables(board)),
        "budgets": list(tables.budget_tables(board)),
        "compute": compute if trained else None,
        "further": tables.further_tables(board),
        "sensitivity": tuple(tables.sensitivity_tables(board)),
        "defects": replace(defects, lines=tuple(counted)) if len(defects.columns) > 2 else None,
        "reference_labels": [each for each, row in zip(labels, board.rows, strict=True) if row.is_reference],
        "positions": {each: i for i, each in enumerate(labels)},
        "with_curves": any(row.curve for row in board.rows),
        "with_weights": sum(row.score_by_alpha is not None for row in board.rows) > 1,
        "with_sampled": any(cell.sampled for row in board.rows for cell in row.cells),
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
    compared, lines = board.versus.get(board.reference, {}), []
    for position, row in enumerate(board.rows):
        cell, difference = row.cell(place), MISSING
        if found := compared.get((position, place, board.rank_by)):
            mean, *ends = found.difference.mean, found.difference.low, found.difference.high
            difference = f"{points(mean)} [{wording.bounds(*ends)}], {found.verdict}"
        figures = (wording.figure(cell, metric) if cell else MISSING for metric in metrics)
        lines.append((label(row, board), *figures, difference))
    columns = ("entry", *(METRIC_NAMES[metric] for metric in metrics), f"Δ {board.reference}")
    return TextTable("Entries", columns, tuple(lines))


def _pair_matrix(board: Board) -> Iterator[tuple[Row, Sequence[PairCell | None]]]:
    """Each ranked row's difference to every other ranked row; None on the diagonal."""
    known = {(pair.first, pair.second): pair.comparison for pair in board.pairs}
    ranked = [i for i, row in enumerate(board.rows) if row.rank is not None]

    def pair_cell(row: int, other: int) -> PairCell | None:
        if row == other:
            return None
        found = known.get((row, other)) or known.get((other, row))
        if found is None:
            return PairCell(MISSING, "", row, other)
        mean = found.difference.mean * (1 if (row, other) in known else -1)
        if found.verdict in ("equivalent", "undecided"):
            return PairCell(f"{'≡' if found.verdict == 'equivalent' else '?'} {points(mean)}", "", row, other)
        kind, mark = ("better", "▲") if mean > 0 else ("worse", "▼")
        return PairCell(f"{mark} {points(mean)}", kind, row, other)

    for row in ranked if len(ranked) > 1 else ():
        yield board.rows[row], [pair_cell(row, other) for other in ranked]


def _asset(name: str) -> str:
    return files("leaderboards.report.page").joinpath(name).read_text(encoding="utf-8")
