"""The board's figures as compact JSON: numbers rounded as the words round them, each said once.

A figure that is shown goes as a whole number of tenths (of a percent, or of a point), rounded by the
functions that word the other reports, so that the page says what they say. The two directions of a comparison
are one record; `differences.js` turns it round. What many figures have in common, such as a digest, stands in
one list and is named by its position.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leaderboards.board.comparing import partners
from leaderboards.board.rows import MACRO, METRICS, Board, Bucket, Comparison, Metric, Origin, Place
from leaderboards.report.page.scope import Scope
from leaderboards.report.wording import p_value, percent
from leaderboards.stats import Difference, Estimate

Packed = list[object]
PLAIN_BELOW = 0.0955
"""Smaller p-values are worded as they are, others with two decimals; `words.js` has the same."""
_VERDICTS = {"better": "+", "worse": "-", "not distinguishable": "="}


def tenths(share: float) -> int:
    """A share in tenths of a percent, rounded as `percent` rounds: 0.7123 -> 712."""
    return int(percent(share).replace(".", ""))


def hundredths(number: float) -> int:
    """A number in hundredths."""
    return int(f"{number:.2f}".replace(".", ""))


def packed_p(p: float) -> float | str:
    """A p-value as `p_value` words it: 0 for `< 0.001`, a number that `words.js` words alike, or text."""
    text = p_value(p)
    if text.startswith("<"):
        return 0
    number = float(text)
    return number if text == (f"{number:g}" if number < PLAIN_BELOW else f"{number:.2f}") else text


def packed_estimate(found: Estimate) -> Packed:
    """Mean, ends of the interval, standard error in hundredths of a point, ends of the bootstrap's."""
    boot = [tenths(end) for end in found.bootstrap] if found.bootstrap else []
    return [tenths(found.mean), tenths(found.low), tenths(found.high), hundredths(100 * found.se), *boot]


def packed_bucket(bucket: Bucket) -> Packed:
    """Characters from and to, outputs, questions, accuracy with its interval."""
    found = bucket.accuracy
    counts = [bucket.low, bucket.high, bucket.num_outputs, bucket.num_questions]
    return [*counts, tenths(found.mean), tenths(found.low), tenths(found.high)]


def packed_difference(found: Difference, effect: float) -> Packed:
    """One record; `differences.js` reads it by position."""
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


def packed_comparisons(board: Board, scope: Scope) -> dict[str, object]:
    """All comparisons that a page needs: a record for each two rows, and what depends on the reference.

    Lists run over (row, place, metric) or (place, metric), the last fastest, in the page's order.
    """
    number = {row: i for i, row in enumerate(scope.rows)}
    records: dict[str, Packed] = {}
    references = []
    for name in scope.references:
        others = [partners(board.rows, name)[row] for row in scope.rows]
        known = board.versus.get(name, {})
        places = [(row, place, metric) for row in scope.rows for place in scope.places for metric in METRICS]
        found = [known.get(place) for place in places]
        references.append(
            {
                "name": name,
                "partners": [None if other is None else number.get(other) for other in others],
                "pHolm": [None if each is None else packed_p(each.p_holm) for each in found],
                "verdicts": "".join(_VERDICTS[each.verdict] if each else "." for each in found),
                "permutation": _permutations(found),
                "families": _families(known),
            }
        )
        for row, other in zip(scope.rows, others, strict=True):
            if other in number and other is not None:
                key = f"{min(number[row], number[other])}-{max(number[row], number[other])}"
                if key not in records:
                    records[key] = _record(known, row, scope, mirrored=number[row] > number[other])
    return {"references": references, "records": records}


def _record(known: Mapping[Place, Comparison], row: int, scope: Scope, mirrored: bool) -> Packed:
    """For each (place, metric) a row's difference to its reference, turned round where that stands above."""
    packed: Packed = []
    for place in scope.places:
        for metric in METRICS:
            found = known.get((row, place, metric))
            record = packed_difference(found.difference, found.effect) if found else None
            packed.append(turned(record) if record and mirrored else record)
    return packed


def turned(record: Packed) -> Packed:
    """The same comparison seen from the other row."""
    mean, low, high, p, se, effect, n, gained, lost, *rest = record
    signed = [-value if isinstance(value, int) else value for value in (mean, high, low, effect)]
    return [*signed[:3], p, se, signed[3], n, lost, gained, *rest]


def _permutations(found: Sequence[Comparison | None]) -> list[float | str | None] | None:
    values = [None if each is None or each.permutation_p is None else each.permutation_p for each in found]
    if all(value is None for value in values):
        return None
    return [None if value is None else packed_p(value) for value in values]


def _families(known: Mapping[Place, Comparison]) -> dict[Metric, list[int]]:
    """For each metric over how many comparisons Holm's correction went: macro averages, single benchmarks."""
    of = [(place, metric) for _, place, metric in known]
    return {
        metric: [
            sum(each == (MACRO, metric) for each in of),
            sum(place != MACRO and each == metric for place, each in of),
        ]
        for metric in METRICS
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
