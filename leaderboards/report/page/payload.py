"""What the page's scripts draw from, as one JSON object."""

from leaderboards.board.reported import is_macro, reported_label
from leaderboards.board.rows import (
    ALPHAS,
    MACRO,
    METRICS,
    Board,
    Cell,
    Reported,
    Row,
    SampledPoint,
)
from leaderboards.report.page.packing import (
    Interned,
    packed_bucket,
    packed_comparisons,
    packed_difference,
    packed_estimate,
    packed_p,
    tenths,
)
from leaderboards.report.page.scope import Scope
from leaderboards.report.page.sections import scoped_board
from leaderboards.report.page.training import curve_groups, curves_json
from leaderboards.report.wording import METRIC_NAMES, duration, label, large, training_flops, web_link
from leaderboards.results.schema import TrainingCost


def payload(board: Board, scope: Scope) -> dict[str, object]:
    """The board's figures, as far as they belong to one page."""
    interned = Interned()
    part = scoped_board(board, scope)
    with_curves = scope.view != "benchmark"
    curves = curves_json(part) if with_curves else [None] * len(part.rows)
    number = {row: i for i, row in enumerate(scope.rows)}
    rows = [
        _row(board.rows[i], board, scope, interned) | {"position": i, "curve": curve}
        for i, curve in zip(scope.rows, curves, strict=True)
    ]
    return {
        "view": scope.view,
        "reference": scope.reference,
        "ownReference": board.reference,
        "rankBy": board.rank_by,
        "metrics": [{"id": metric, "name": METRIC_NAMES[metric]} for metric in METRICS],
        "places": [{"id": place, "name": place_name(place, board)} for place in scope.places],
        "confidence": board.confidence,
        "alpha": board.alpha,
        "curveGroups": curve_groups(part) if with_curves else [],
        "rows": rows,
        "comparisons": packed_comparisons(board, scope),
        "pairs": {
            f"{number[pair.first]}-{number[pair.second]}": [
                packed_p(pair.comparison.p_holm),
                pair.comparison.verdict,
                packed_difference(pair.comparison.difference, pair.comparison.effect),
            ]
            for pair in board.pairs
            if pair.first in number and pair.second in number
        },
        "numPairs": len(board.pairs),
        "alphas": ALPHAS,
        "alphaChanges": [
            [change.alpha, number[change.rises], number[change.falls], change.distinguishable]
            for change in board.alpha_changes
            if change.rises in number and change.falls in number
        ],
        "reported": [_reported(entry, board) for entry in board.reported]
        if scope.view != "comparison"
        else [],
        "texts": list(interned.texts),
        "settings": list(interned.settings),
    }


def place_name(place: str, board: Board) -> str:
    """A benchmark's name, or what the macro average is over."""
    return f"macro average of {len(board.benchmarks)} benchmarks" if place == MACRO else place


def _row(row: Row, board: Board, scope: Scope, interned: Interned) -> dict[str, object]:
    cells = [cell for place in scope.places if (cell := row.cell(place))]
    return {
        "label": label(row, board),
        "name": row.name,
        "model": row.model,
        "role": row.role,
        "tagged": row.tagged,
        "tags": row.tags,
        "method": row.method,
        "tier": row.tier,
        "seeds": len([seed for seed in row.seeds if seed is not None]),
        "marks": row.marks,
        "licence": row.licence,
        "link": row.link,
        "openable": web_link(row.link) is not None,
        "cost": row.cost and _cost(row.cost),
        "alpha": row.score_by_alpha and [packed_estimate(each)[:3] for each in row.score_by_alpha],
        "cells": {cell.benchmark: _cell(cell, interned) for cell in cells},
    }


def _cost(cost: TrainingCost) -> dict[str, object]:
    return {
        "flops": {"number": cost.total_flops, "text": training_flops(cost)},
        "tokens": {"number": cost.tokens_loss, "text": large(cost.tokens_loss)},
        "seconds": {"number": cost.wall_seconds, "text": duration(cost.wall_seconds)},
    }


def _cell(cell: Cell, interned: Interned) -> dict[str, object]:
    found: dict[str, object] = {
        "n": cell.metrics[0].estimate.num_questions,
        "outputs": cell.num_outputs,
        "draws": cell.num_samples,
        "truncated": tenths(cell.truncated),
        "outputTokens": round(cell.output_tokens),
        "metrics": {
            figures.metric: {
                "mean": figures.estimate.mean,
                "shown": packed_estimate(figures.estimate),
                "seeds": figures.estimate.num_seeds,
                "ownFormat": figures.own_format,
            }
            for figures in cell.metrics
        },
    }
    if cell.sampled:
        found["sampled"] = [_point(point) for point in cell.sampled.points]
    if cell.buckets:
        found["buckets"] = {
            by: [packed_bucket(bucket) for bucket in cell.buckets if bucket.by == by]
            for by in ("reasoning", "answer")
        }
    if cell.origins:
        found["origins"] = [interned.origin(origin) for origin in cell.origins]
    return found


def _point(point: SampledPoint) -> dict[str, object]:
    """maj@k and pass@k at one k, to draw by."""
    ends = {"majority": point.majority, "passing": point.passing}
    return {"k": point.size} | {
        name: {"mean": found.mean, "low": found.low, "high": found.high} for name, found in ends.items()
    }


def _reported(entry: Reported, board: Board) -> dict[str, object]:
    """The figures by place; an average over other benchmarks than the board's keeps its name."""
    return {
        "label": reported_label(entry),
        "name": entry.name,
        "model": entry.model,
        "source": entry.source,
        "link": web_link(entry.link),
        "note": entry.note,
        "figures": [
            [
                each.benchmark if each.benchmark in board.benchmarks else MACRO,
                each.metric,
                tenths(each.value),
                ""
                if each.benchmark in board.benchmarks or is_macro(each, board.benchmarks)
                else each.benchmark,
            ]
            for each in entry.figures
        ],
    }
