"""Fills the page's template; whatever comes from a model or a user is escaped, also inside inline JSON."""

import json
from importlib.resources import files

from leaderboards.columns import cost_columns, trained_rows
from leaderboards.curves import MAX_POINTS
from leaderboards.page.training import curve_groups, curves_json
from leaderboards.rows import MACRO, METRICS, Board, Cell, Comparison, Cost, MetricCell, Row, SampledPoint
from leaderboards.tables import text_tables
from leaderboards.wording import (
    METRIC_NAMES,
    duration,
    interval,
    label,
    large,
    legend,
    p_value,
    percent,
    points,
    title,
    training_flops,
    value,
    web_link,
)

SCRIPTS = ("shared", "training", "sampling", "page")


def page_html(board: Board) -> str:
    """The whole page as one string, about 5 MB with plotly.js in it; it makes no network request."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    def asset(name: str) -> str:
        return files("leaderboards.page").joinpath(name).read_text(encoding="utf-8")

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(asset("page.html.j2")).render(
        board=board,
        title=title(board),
        models=sorted({row.model for row in board.rows}),
        legend=legend(board),
        defects=defect_names(board),
        curves=any(row.curve for row in board.rows),
        max_points=MAX_POINTS,
        trained=trained_rows(board),
        cost_columns=cost_columns(board),
        tables=text_tables(board),
        sampled=any(cell.sampled for row in board.rows for cell in row.cells),
        label=label,
        web_link=web_link,
        data=Markup(inline_json(_payload(board))),
        style=Markup(asset("page.css")),
        script=Markup("".join(asset(f"{name}.js") for name in SCRIPTS)),
        plotly=Markup(get_plotlyjs()),
    )


def inline_json(payload: object) -> str:
    """JSON that cannot end the script element it stands in, nor a line in it (U+2028, U+2029)."""
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def defect_names(board: Board) -> list[str]:
    """Every defect that any row's outputs have."""
    return sorted({defect for row in board.rows for cell in row.cells for defect, _ in cell.defects})


def _payload(board: Board) -> dict[str, object]:
    several = len(board.benchmarks) > 1
    macro = [{"id": MACRO, "name": f"macro average of {len(board.benchmarks)} benchmarks"}] if several else []
    return {
        "reference": board.reference,
        "rankBy": board.rank_by,
        "metrics": [{"id": metric, "name": METRIC_NAMES[metric]} for metric in METRICS],
        "places": [*macro, *({"id": name, "name": name} for name in board.benchmarks)],
        "curveGroups": curve_groups(board),
        "rows": [
            _row(row, board) | {"curve": curve}
            for row, curve in zip(board.rows, curves_json(board), strict=True)
        ],
    }


def _row(row: Row, board: Board) -> dict[str, object]:
    cells = [cell for cell in (row.macro, *row.cells) if cell is not None]
    return {
        "label": label(row, board),
        "role": row.role,
        "tagged": row.tagged,
        "isReference": row.is_reference,
        "seeds": len([seed for seed in row.seeds if seed is not None]),
        "cost": row.cost and _cost(row.cost),
        "cells": {cell.benchmark: _cell(cell) for cell in cells},
    }


def _cost(cost: Cost) -> dict[str, object]:
    return {
        "flops": {"number": cost.total_flops, "text": training_flops(cost)},
        "tokens": {"number": cost.tokens_loss, "text": large(cost.tokens_loss)},
        "seconds": {"number": cost.wall_seconds, "text": duration(cost.wall_seconds)},
    }


def _cell(cell: Cell) -> dict[str, object]:
    return {
        "truncated": {"number": cell.truncated, "text": percent(cell.truncated)},
        "outputTokens": {"number": cell.output_tokens, "text": f"{cell.output_tokens:.0f}"},
        "metrics": {figures.metric: _figures(figures, cell) for figures in cell.metrics},
        "sampled": cell.sampled and [_point(point) for point in cell.sampled.points],
    }


def _point(point: SampledPoint) -> dict[str, object]:
    """maj@k and pass@k at one k, to draw by."""
    ends = {"majority": point.majority, "passing": point.passing}
    return {"k": point.size} | {
        name: {"mean": found.mean, "low": found.low, "high": found.high} for name, found in ends.items()
    }


def _figures(figures: MetricCell, cell: Cell) -> dict[str, object]:
    """Numbers to sort and draw by, beside the words of the other reports: all round alike."""
    estimate, comparison = figures.estimate, figures.comparison
    return {
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "text": value(cell, figures.metric),
        "interval": interval(cell, figures.metric),
        "n": estimate.num_questions,
        "ownFormat": figures.own_format,
        "difference": comparison and _difference(comparison),
    }


def _difference(comparison: Comparison) -> dict[str, object]:
    found = comparison.difference
    return {
        "mean": found.mean,
        "low": found.low,
        "high": found.high,
        "text": points(found.mean),
        "interval": f"[{points(found.low)}, {points(found.high)}]",
        "pHolm": {"number": comparison.p_holm, "text": p_value(comparison.p_holm)},
        "verdict": comparison.verdict,
    }
