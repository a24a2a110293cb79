"""What the page's scripts draw from, as one JSON object: figures rounded as they are worded, each said once.

A figure that is shown goes as a whole number of tenths (of a percent, or of a point), rounded by the
functions that word the other reports, so that the page says what they say. Of each two rows that are
compared the page holds one record; `state.js` turns it round where it is wanted the other way, since both
directions would make the data of a board of 25 entries half as large again. What many figures have in common,
such as a digest, stands in one list and is named by its position.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from leaderboards.board.comparing import partners
from leaderboards.board.rows import (
    ALPHAS,
    Board,
    Bucket,
    Cell,
    Comparison,
    FigureKey,
    Origin,
    Pair,
    Row,
    SampledPoint,
)
from leaderboards.report.page.curves import curve_groups, curves_json
from leaderboards.report.tables import is_macro, reported_label
from leaderboards.report.wording import (
    METRIC_NAMES,
    duration,
    label,
    large,
    p_value,
    percent,
    training_flops,
    web_link,
)
from leaderboards.results.reported import Reported
from leaderboards.results.schema import METRICS, Metric, TrainingCost
from leaderboards.stats import MACRO, Difference, Estimate

Packed = list[object]
PLAIN_BELOW = 0.0955
"""Smaller p-values are worded as they are, others with two decimals; `shared.js` has the same."""
_VERDICTS = {"better": "+", "worse": "-", "not distinguishable": "="}


def payload(board: Board) -> dict[str, object]:
    """The board's figures; a row is named by its position."""
    texts = Interned()
    rows = [_row(row, board, texts) for row in board.rows]
    curves = curves_json(board)
    return {
        "reference": board.reference,
        "rankBy": board.rank_by,
        "metrics": [{"id": metric, "name": METRIC_NAMES[metric]} for metric in METRICS],
        "places": [{"id": place, "name": place_name(place, board)} for place in places_of(board)],
        "confidence": board.confidence,
        "alpha": board.alpha,
        "curveGroups": curve_groups(board),
        "rows": [
            row | {"position": i, "curve": curve}
            for i, (row, curve) in enumerate(zip(rows, curves, strict=True))
        ],
        "comparisons": _comparisons(board),
        "pairs": {f"{pair.first}-{pair.second}": _pair(pair) for pair in board.pairs},
        "numPairs": len(board.pairs),
        "alphas": ALPHAS,
        "alphaChanges": [
            [change.alpha, change.rises, change.falls, change.distinguishable]
            for change in board.alpha_changes
        ],
        "reported": [_reported(entry, board) for entry in board.reported],
        "texts": list(texts.texts),
        "settings": list(texts.settings),
    }


def places_of(board: Board) -> tuple[str, ...]:
    """Where an entry may be looked at: over all benchmarks, where there are several, and on each of them."""
    return (MACRO, *board.benchmarks) if len(board.benchmarks) > 1 else board.benchmarks


def place_name(place: str, board: Board) -> str:
    """A benchmark's name, or what the macro average is over."""
    return f"macro average of {len(board.benchmarks)} benchmarks" if place == MACRO else place


def tenths(share: float) -> int:
    """A share in tenths of a percent, rounded as `percent` rounds: 0.7123 -> 712."""
    return int(percent(share).replace(".", ""))


def hundredths(number: float) -> int:
    """A number in hundredths."""
    return int(f"{number:.2f}".replace(".", ""))


def packed_p(p: float) -> float | str:
    """A p-value as `p_value` words it: 0 for `< 0.001`, a number that `shared.js` words alike, or text."""
    text = p_value(p)
    if text.startswith("<"):
        return 0
    number = float(text)
    # JavaScript writes a number below PLAIN_BELOW with the digits it has, another with two decimals. What
    # that does not give back goes as text: `0.0500`, which is said with its zeros since the limit is 0.05.
    return number if text == (f"{number:g}" if number < PLAIN_BELOW else f"{number:.2f}") else text


def packed_difference(found: Difference, effect: float) -> Packed:
    """One record; `state.js` reads it by position."""
    return [
        *(tenths(share) for share in (found.mean, found.low, found.high)),
        packed_p(found.p),
        hundredths(100 * found.se),
        hundredths(effect),
        found.num_questions,
        found.gained,
        found.lost,
        tenths(found.detectable),
        *(packed_p(p) for p in found.mcnemar_p),
    ]


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
        permutations = [each.permutation_p if each else None for each in found]
        references.append(
            {
                "name": name,
                "partners": others,
                "pHolm": [packed_p(each.p_holm) if each else None for each in found],
                "verdicts": "".join(_VERDICTS[each.verdict] if each else "." for each in found),
                "permutation": [None if p is None else packed_p(p) for p in permutations]
                if any(p is not None for p in permutations)
                else None,
                "families": _families(known),
            }
        )
        for row, other in enumerate(others):
            if other is not None and f"{other}-{row}" not in records:
                of_row = found[row * len(keys) : (row + 1) * len(keys)]
                records[f"{row}-{other}"] = [
                    packed_difference(each.difference, each.effect) if each else None for each in of_row
                ]
    return {"references": references, "records": records}


def _families(known: Mapping[FigureKey, Comparison]) -> dict[Metric, list[int]]:
    """Counts the comparisons that Holm's correction went over: for each metric macro averages, benchmarks."""
    of = [(place, metric) for _, place, metric in known]
    return {
        metric: [
            sum(each == (MACRO, metric) for each in of),
            sum(place != MACRO and each == metric for place, each in of),
        ]
        for metric in METRICS
    }


def _pair(pair: Pair) -> Packed:
    """The comparison of two ranked rows, whose correction goes over all pairs of them."""
    found = pair.comparison
    return [packed_p(found.p_holm), found.verdict, packed_difference(found.difference, found.effect)]


def _row(row: Row, board: Board, texts: "Interned") -> dict[str, object]:
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
        "alpha": row.score_by_alpha and [_estimate(each)[:3] for each in row.score_by_alpha],
        "cells": {place: _cell(cell, texts) for place in places_of(board) if (cell := row.cell(place))},
    }


def _cost(cost: TrainingCost) -> dict[str, object]:
    return {
        "flops": {"number": cost.total_flops, "text": training_flops(cost)},
        "tokens": {"number": cost.tokens_loss, "text": large(cost.tokens_loss)},
        "seconds": {"number": cost.wall_seconds, "text": duration(cost.wall_seconds)},
    }


def _cell(cell: Cell, texts: "Interned") -> dict[str, object]:
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
                "ownFormat": figures.own_format,
            }
            for figures in cell.metrics
        },
    }
    if cell.sampled:
        found["sampled"] = [_point(point) for point in cell.sampled.points]
    if cell.buckets:
        found["buckets"] = {
            by: [_bucket(bucket) for bucket in cell.buckets if bucket.by == by]
            for by in ("reasoning", "answer")
        }
    if cell.origins:
        found["origins"] = [texts.origin(origin) for origin in cell.origins]
    return found


def _estimate(found: Estimate) -> Packed:
    """Mean, ends of the interval, standard error in hundredths of a point, ends of the bootstrap's."""
    boot = [tenths(end) for end in found.bootstrap] if found.bootstrap else []
    return [tenths(found.mean), tenths(found.low), tenths(found.high), hundredths(100 * found.se), *boot]


def _bucket(bucket: Bucket) -> Packed:
    """Characters from and to, outputs, questions, accuracy with its interval."""
    found = bucket.accuracy
    counts = [bucket.low, bucket.high, bucket.num_outputs, bucket.num_questions]
    return [*counts, tenths(found.mean), tenths(found.low), tenths(found.high)]


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


@dataclass(slots=True)
class Interned:
    """Texts, and lists of settings, each kept once and named by its position."""

    texts: dict[str, int] = field(default_factory=dict)
    settings: dict[tuple[tuple[str, str], ...], int] = field(default_factory=dict)

    def text(self, text: str) -> int:
        """The position of a text."""
        return self.texts.setdefault(text, len(self.texts))

    def origin(self, origin: Origin) -> Packed:
        """Seed, right, of, then the positions of texts in the order in which `provenance.js` names them."""
        texts = (
            origin.checkpoint,
            origin.digest,
            origin.source,
            origin.data_digest,
            origin.prompts,
            origin.engine,
            origin.dtype,
            origin.scorer,
        )
        settings = self.settings.setdefault(origin.generation, len(self.settings))
        numbers = [origin.seed, origin.num_right, origin.num_outputs]
        return [*numbers, settings, *(self.text(text) for text in texts)]
