"""What the page's scripts draw from, as one JSON object: figures rounded as they are worded, each said once.

A figure that is shown goes as a whole number of tenths (of a percent, or of a point), rounded by the
functions that word the other reports, so that the page says what they say. Of each two rows that are
compared the page holds one record; `state.js` turns it round where it is wanted the other way, since both
directions would make the data of a board of 25 entries half as large again. What many figures have in common,
such as a digest, stands in one list and is named by its position.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

from leaderboards.board import rows
from leaderboards.board.comparing import partners
from leaderboards.board.curves import PART
from leaderboards.board.rows import Board, Cell, Comparison, Curve, FigureKey, Row
from leaderboards.report import wording
from leaderboards.results.reported import Reported
from leaderboards.results.schema import METRICS, Metric, TrainingCost
from leaderboards.stats import MACRO, Difference, Estimate
from tasks.shown import neutral

Packed = list[object]
PLAIN_BELOW = 0.0955
"""Smaller p-values are worded as they are, others with two decimals; `shared.js` has the same."""
FEW_CURVES = 8
TOP_CURVES = 5
_VERDICTS = {"better": "+", "worse": "-", "equivalent": "=", "undecided": "?"}


class _Quantity(NamedTuple):
    """What a chart says of a quantity; a logarithmic axis shows no number below zero."""

    id: str
    name: str
    unit: str
    log: bool = True
    scale: int = 1


_QUANTITIES = (
    (
        _Quantity("loss_answer", "answer loss", "nats per token"),
        _Quantity("loss_thinking", "thinking loss", "nats per token"),
        _Quantity("loss_tags", "tag loss", "nats per token"),
        # It may be negative: PSFT maximises.
        _Quantity("loss", "objective", "the stage's objective", log=False),
    ),
    (
        _Quantity("accuracy", "validation accuracy", "%", log=False, scale=100),
        _Quantity("format_valid", "validation format", "%", log=False, scale=100),
    ),
    (
        _Quantity("gradient_norm_answer", "gradient norm, answer", "norm"),
        _Quantity("gradient_norm_thinking", "gradient norm, thinking", "norm"),
        _Quantity("gradient_norm_tags", "gradient norm, tags", "norm"),
        _Quantity("gradient_norm", "gradient norm, whole loss", "norm"),
    ),
    (
        _Quantity("reward", "reward of the responses", "reward", log=False),
        _Quantity("response_tokens", "length of the responses", "tokens", log=False),
        _Quantity("entropy", "entropy", "nats per token", log=False),
        _Quantity("kl", "divergence from the stage's start", "nats per token", log=False),
        _Quantity("equal_groups", "questions whose responses have one reward", "%", log=False, scale=100),
    ),
)


def payload(board: Board) -> dict[str, object]:
    """The board's figures; a row is named by its position."""
    texts: dict[str, int] = {}
    settings: dict[tuple[tuple[str, str], ...], int] = {}
    measured = {line.quantity for row in board.rows if row.curve for line in row.curve.lines}
    parts = tuple(
        _Quantity(name, name, "reward", log=False) for name in sorted(measured) if name.startswith(PART)
    )
    quantities = (*_QUANTITIES[:-1], (*_QUANTITIES[-1], *parts))
    groups = ([each._asdict() for each in group if each.id in measured] for group in quantities)
    curved = [at for at, row in enumerate(board.rows) if row.curve]
    # All curves are shown at first where they are few, else those of the best and of the reference.
    first = curved if len(curved) <= FEW_CURVES else curved[:TOP_CURVES]
    return {
        "reference": board.reference,
        "rankBy": board.rank_by,
        "metrics": [{"id": metric, "name": wording.METRIC_NAMES[metric]} for metric in METRICS],
        "places": [{"id": place, "name": place_name(place, board)} for place in places_of(board)],
        "confidence": board.confidence,
        "alpha": board.alpha,
        "curveGroups": [group for group in groups if group],
        "rows": [
            _row(row, board, texts, settings)
            | {"position": at, "curve": row.curve and _curve(row.curve, at in first or row.is_reference)}
            for at, row in enumerate(board.rows)
        ],
        "comparisons": _comparisons(board),
        "pairs": {f"{pair.first}-{pair.second}": _pair(pair.comparison) for pair in board.pairs},
        "numPairs": len(board.pairs),
        "budgets": {
            line.row: [[point.flops, *_ends(point.estimate)] for point in line.points]
            for line in board.budgets
        },
        "alphas": rows.ALPHAS,
        "alphaChanges": [list(asdict(change).values()) for change in board.alpha_changes],
        "reported": [_reported(entry, board) for entry in board.reported],
        "texts": list(map(neutral, texts)),
        "settings": [[tuple(map(neutral, pair)) for pair in setting] for setting in settings],
    }


def places_of(board: Board) -> tuple[str, ...]:
    """Where an entry may be looked at: over all benchmarks, where there are several, and on each of them."""
    return (MACRO, *board.benchmarks) if len(board.benchmarks) > 1 else board.benchmarks


def place_name(place: str, board: Board) -> str:
    """A benchmark's name, or what the macro average is over."""
    return f"macro average of {len(board.benchmarks)} benchmarks" if place == MACRO else place


def tenths(share: float) -> int:
    """A share in tenths of a percent, rounded as `percent` rounds: 0.7123 -> 712."""
    return int(wording.percent(share).replace(".", ""))


def _hundredths(number: float) -> int:
    return int(f"{number:.2f}".replace(".", ""))


def packed_p(p: float) -> float | str:
    """A p-value as `p_value` words it: 0 for `< 0.001`, a number that `shared.js` words alike, or text."""
    text = wording.p_value(p)
    if text.startswith("<"):
        return 0
    number = float(text)
    # JavaScript writes a number below PLAIN_BELOW with the digits it has, another with two decimals. What
    # that does not give back goes as text: `0.0500`, which is said with its zeros since the limit is 0.05.
    return number if text == (f"{number:g}" if number < PLAIN_BELOW else f"{number:.2f}") else text


def packed_difference(comparison: Comparison) -> Packed:
    """One record; `state.js` reads it by position."""
    found, effect = comparison.difference, _hundredths(comparison.effect)
    sizes = (_hundredths(100 * found.se), effect, found.num_questions, found.gained, found.lost)
    p_values = map(packed_p, found.mcnemar_p)
    return [*_ends(found), packed_p(found.p), *sizes, tenths(comparison.detectable), *p_values]


def _ends(found: Difference | Estimate) -> list[int]:
    return [tenths(share) for share in (found.mean, found.low, found.high)]


def _comparisons(board: Board) -> dict[str, object]:
    """A record for each two rows that are compared, and for each reference what depends on it.

    A reference's lists run over (row, place, metric), a record's over (place, metric), the last fastest.
    """
    keys = [(place, metric) for place in places_of(board) for metric in METRICS]
    records: dict[str, list[Packed | None]] = {}
    references = []
    for name, known in board.versus.items():
        others = partners(board.rows, name)
        found = [known.get((row, *key)) for row in range(len(board.rows)) for key in keys]
        references.append(
            {
                "name": name,
                "partners": others,
                "pHolm": [packed_p(each.p_holm) if each else None for each in found],
                "verdicts": "".join(_VERDICTS[each.verdict] if each else "." for each in found),
                "families": _families(known),
            }
        )
        for row, other in enumerate(others):
            if other is not None and f"{other}-{row}" not in records:
                records[f"{row}-{other}"] = [
                    packed_difference(each) if each else None
                    for each in found[row * len(keys) : (row + 1) * len(keys)]
                ]
    return {"references": references, "records": records}


def _families(known: Mapping[FigureKey, Comparison]) -> dict[Metric, list[int]]:
    """How many comparisons Holm's correction went over: for each metric macro averages, benchmarks."""
    sizes = {(metric, place == MACRO): found.family for (_, place, metric), found in known.items()}
    return {metric: [sizes.get((metric, macro), 0) for macro in (True, False)] for metric in METRICS}


def _pair(found: Comparison) -> Packed:
    """The comparison of two ranked rows, whose correction goes over all pairs of them."""
    return [packed_p(found.p_holm), found.verdict, packed_difference(found)]


def _row(
    row: Row, board: Board, texts: dict[str, int], settings: dict[tuple[tuple[str, str], ...], int]
) -> dict[str, object]:
    same = ("name", "model", "role", "tagged", "tags", "tier")
    method, licence, link = (text and neutral(text) for text in (row.method, row.licence, row.link))
    cells = {place: cell for place in places_of(board) if (cell := row.cell(place))}
    return {name: getattr(row, name) for name in same} | {
        "marks": list(map(neutral, row.marks)),
        "method": method,
        "licence": licence,
        "link": link,
        "label": wording.label(row, board),
        "seeds": len([seed for seed in row.seeds if seed is not None]),
        "openable": wording.web_link(row.link) is not None,
        "cost": row.cost and _cost(row.cost),
        "alpha": row.score_by_alpha and [_ends(each) for each in row.score_by_alpha],
        "cells": {place: _cell(cell, texts, settings) for place, cell in cells.items()},
    }


def _cost(cost: TrainingCost) -> dict[str, object]:
    return {
        "flops": {"number": cost.total_flops, "text": wording.training_flops(cost)},
        "tokens": {"number": cost.tokens_loss, "text": wording.large(cost.tokens_loss)},
        "seconds": {"number": cost.wall_seconds, "text": wording.duration(cost.wall_seconds)},
    }


def _cell(
    cell: Cell, texts: dict[str, int], settings: dict[tuple[tuple[str, str], ...], int]
) -> dict[str, object]:
    found: dict[str, object] = {
        "n": cell.metrics[0].estimate.num_questions,
        "outputs": cell.num_outputs,
        "draws": cell.num_samples,
        "truncated": tenths(cell.truncated),
        "outputTokens": round(cell.output_tokens),
        "metrics": {
            figures.metric: {
                "mean": figures.estimate.mean,
                "shown": _estimate(figures.estimate),
                "seeds": figures.estimate.num_seeds,
                "bySeed": list(map(tenths, figures.estimate.by_seed)),
                "ownFormat": figures.own_format,
            }
            for figures in cell.metrics
        },
    }
    if cell.sampled:
        found["sampled"] = [_point(point) for point in cell.sampled.points]
    if cell.buckets:
        by: dict[str, list[Packed]] = {"reasoning": [], "answer": []}
        for bucket in cell.buckets:
            counts = (bucket.low, bucket.high, bucket.num_outputs, bucket.num_questions)
            by[bucket.by].append([*counts, *_ends(bucket.accuracy)])
        found["buckets"] = by
    if cell.origins:
        found["origins"] = [_origin(origin, texts, settings) for origin in cell.origins]
    return found


def _estimate(found: Estimate) -> Packed:
    """Mean, ends of the interval, standard error in hundredths of a point, ends of the bootstrap's."""
    return [*_ends(found), _hundredths(100 * found.se), *map(tenths, found.bootstrap or ())]


def _point(point: rows.SampledPoint) -> dict[str, object]:
    """maj@k and pass@k at one k, to draw by."""
    ends = {"majority": point.majority, "passing": point.passing}
    return {"k": point.size} | {
        name: {"mean": found.mean, "low": found.low, "high": found.high} for name, found in ends.items()
    }


def _origin(
    origin: rows.Origin, texts: dict[str, int], settings: dict[tuple[tuple[str, str], ...], int]
) -> Packed:
    """Seed, right, of, then the positions of settings and texts in `provenance.js`'s order of them."""
    names = ("checkpoint", "digest", "source", "data_digest", "prompts", "engine", "dtype", "scorer")
    setting = settings.setdefault(origin.generation, len(settings))
    said = [texts.setdefault(getattr(origin, name), len(texts)) for name in names]
    return [origin.seed, origin.num_right, origin.num_outputs, setting, *said]


def _reported(entry: Reported, board: Board) -> dict[str, object]:
    """The figures by place; an average over other benchmarks than the board's keeps its name."""
    figures = []
    for each in entry.figures:
        has_column = each.benchmark in board.benchmarks
        name = "" if has_column or wording.is_macro(each, board.benchmarks) else each.benchmark
        figures.append([each.benchmark if has_column else MACRO, each.metric, tenths(each.value), name])
    about = {"label": wording.reported_label(entry), "name": entry.name, "model": entry.model}
    said = {"source": neutral(entry.source), "note": neutral(entry.note)}
    return {**about, **said, "link": wording.web_link(entry.link), "figures": figures}


def _curve(curve: Curve, shown: bool) -> dict[str, object]:
    """A row's training: few digits, and the grids that its lines share."""
    grids = list(dict.fromkeys(line.grid for line in curve.lines))
    numbers = [stage.number for stage in curve.stages]
    lines = {}
    for line in curve.lines:
        fields: dict[str, object] = {"grid": grids.index(line.grid), "mean": _short(line.mean)}
        if curve.num_seeds > 1:
            fields |= {"low": _short(line.low, digits=3), "high": _short(line.high, digits=3)}
        lines[line.quantity] = fields
    return {
        "shown": shown,
        "stages": [asdict(stage) for stage in curve.stages],
        "grids": [
            {
                "steps": _short(grid.steps, digits=6),
                "tokens": _short(grid.tokens, digits=6),
                "stages": [numbers.index(number) for number in grid.stages],
            }
            for grid in grids
        ],
        "lines": lines,
    }


def _short(values: tuple[float, ...], digits: int = 4) -> list[float]:
    rounded = (float(f"{value:.{digits}g}") for value in values)
    return [int(value) if value.is_integer() else value for value in rounded]
