"""Fills the page's template; whatever comes from a model or a user is escaped, also inside inline JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

from leaderboards.board.curves import MAX_POINTS
from leaderboards.board.rows import Board
from leaderboards.report.columns import cost_columns, trained_rows
from leaderboards.report.evidence_tables import alpha_tables, bucket_tables, test_tables
from leaderboards.report.page.payload import payload, place_name
from leaderboards.report.page.samples import PackedSamples
from leaderboards.report.page.scope import Scope, samples_of, whole
from leaderboards.report.page.sections import (
    STATISTICS,
    findings,
    pair_matrix,
    plain_table,
    scoped_board,
    statistics,
)
from leaderboards.report.tables import further_tables
from leaderboards.report.wording import METRIC_NAMES, label, legend, title, web_link

if TYPE_CHECKING:
    from jinja2 import Environment

STYLES = ("page", "table", "dialog", "samples", "print")
SCRIPTS = (
    *("shared", "words", "lazy", "state", "differences", "training", "sampling"),
    *(
        "sample_store",
        "samples",
        "table",
        "filters",
        "charts",
        "alpha",
        "buckets",
        "origins",
        "provenance",
        "page",
    ),
)
PLOTLY_FILE = "plotly.js"


@dataclass(frozen=True, slots=True)
class Link:
    """A page of a folder of pages: its file, its name, and whether it is the one that links."""

    href: str
    name: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Navigation:
    """The pages beside a page; `file_of` names the page of two rows, by their positions on the board."""

    index: Link
    benchmarks: Sequence[Link] = ()
    comparisons: Sequence[Link] = ()
    file_of: Mapping[tuple[int, ...], str] = field(default_factory=dict)


def page_html(
    board: Board,
    samples: PackedSamples | None = None,
    scope: Scope | None = None,
    navigation: Navigation | None = None,
) -> str:
    """The whole page as one string, about 5 MB with plotly.js in it; it makes no network request.

    Args:
        board: the board.
        samples: of the whole board (`collect_samples`), for the sample browser.
        scope: which part of the board; by default all of it.
        navigation: the pages beside it; with them plotly.js is `PLOTLY_FILE` beside the page, not in it.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    scope = scope or whole(board)
    part = scoped_board(board, scope)
    own = samples and samples_of(samples, scope, board)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            board=part,
            scope=scope,
            title=title(board),
            models=sorted({row.model for row in part.rows}),
            subject=subject(board, scope),
            findings=findings(board, scope),
            navigation=navigation,
            plain=plain_table(board, scope),
            first_place=place_name(scope.places[0], board) if scope.places else "",
            matrix=pair_matrix(board) if scope.view == "board" else (),
            statistics=list(statistics(board, scope)) if scope.view == "comparison" else (),
            statistics_headings=STATISTICS,
            metric_name=METRIC_NAMES[board.rank_by],
            legend=legend(board),
            defects=defect_names(part),
            curves=scope.view != "benchmark" and any(row.curve for row in part.rows),
            alpha=scope.view != "benchmark" and sum(row.score_by_alpha is not None for row in part.rows) > 1,
            alpha_tables=list(alpha_tables(board)) if scope.view == "board" else (),
            bucket_tables=list(bucket_tables(part)),
            test_tables=list(test_tables(board)) if scope.view == "board" else (),
            max_points=MAX_POINTS,
            trained=trained_rows(part),
            cost_columns=cost_columns(board),
            tables=further_tables(part),
            sampled=any(cell.sampled for row in part.rows for cell in row.cells),
            positions={label(row, board): i for i, row in enumerate(part.rows)},
            label=lambda row: label(row, board),
            web_link=web_link,
            samples=own,
            samples_index=Markup(inline_json(own.index)) if own else "",
            data=Markup(inline_json(payload(board, scope) | {"pages": _files(navigation, scope)})),
            style=Markup("".join(_asset(f"{name}.css") for name in STYLES)),
            script=Markup("".join(_asset(f"{name}.js") for name in SCRIPTS)),
            plotly=Markup("" if navigation else get_plotlyjs()),
            plotly_file=PLOTLY_FILE,
        )
    )


def _files(navigation: Navigation | None, scope: Scope) -> dict[str, str]:
    """The pages of two rows, keyed as the scripts look them up."""
    pages = navigation.file_of if navigation and scope.view != "comparison" else {}
    return {f"{row}-{other}": name for (row, other), name in pages.items()}


def subject(board: Board, scope: Scope) -> str:
    """What a page is about, for its title: nothing for the whole board."""
    if scope.view == "benchmark":
        return scope.places[0]
    if scope.view == "comparison":
        return " against ".join(label(board.rows[row], board) for row in scope.rows)
    return ""


def inline_json(payload: object) -> str:
    """JSON that cannot end the script element it stands in, nor a line in it (U+2028, U+2029)."""
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def defect_names(board: Board) -> list[str]:
    """Every defect that any row's outputs have."""
    return sorted({defect for row in board.rows for cell in row.cells for defect, _ in cell.defects})


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
