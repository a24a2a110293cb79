"""What a claim says: its grammar. Apart from the answers, so that a plan may read claims without pandas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from leaderboards.results.schema import METRICS, Metric
from leaderboards.stats import MACRO
from tasks.errors import InputError, did_you_mean

DEFAULT = "sftkey-tag > sft-tag-x2"
"""What is asked where nothing is claimed: the method against its compute-matched control."""
GRAMMAR = (
    "A > B [by X points], A = B within X points or A not worse than B by X points, then [on METRIC] "
    "[over BENCHMARK,…] [without BENCHMARK,…]"
)
_CLAUSE = re.compile(r"\s+(by|within|on|over|without)\s+", re.IGNORECASE)
_HEAD = re.compile(r"(\S.*?)\s*(>|<|\s=\s|\snot worse than\s)\s*(\S.*)", re.IGNORECASE)
_POINTS = re.compile(r"(\d+\.?\d*|\.\d+)\s*(?:points?|pp)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Claim:
    """That the first entry minus the second is above a threshold, or (`alike`) nearer to 0 than it.

    `over` are the benchmarks named, all where there are none, `without` those left out; the threshold is a
    share of 1, below 0 where the first may be worse by so much.
    """

    text: str = field(compare=False)
    first: str
    second: str
    alike: bool
    threshold: float
    metric: Metric
    over: tuple[str, ...]
    without: tuple[str, ...]

    def check(self, entries: Sequence[str], benchmarks: Sequence[str]) -> None:
        """Refuses (InputError) what names an entry or a benchmark that is not there, or leaves none."""
        asked = [(name, entries) for name in (self.first, self.second)]
        for name, known in [*asked, *((name, benchmarks) for name in (*self.over, *self.without))]:
            if name not in known:
                raise InputError(f"claim {self.text!r}: {name}: {did_you_mean(name, known)}")
        if not set(self.over or benchmarks) - set(self.without):
            raise InputError(f"claim {self.text!r}: leaves no benchmark; leave fewer out")


def parse_claim(text: str) -> Claim:
    """Reads a claim.

    Raises:
        InputError: one line that says what is wrong and how it is written.
    """
    where, text = f"claim {text!r}", " ".join(text.split())
    head, *tail = _CLAUSE.split(text)
    found, clauses = _HEAD.fullmatch(head), dict(zip(map(str.lower, tail[::2]), tail[1::2], strict=True))
    if not found or 2 * len(clauses) < len(tail):
        raise InputError(f"{where}: not a claim; write {GRAMMAR}, such as '{DEFAULT} on accuracy by 1'")
    first, relation, second = found[1], found[2].strip().lower(), found[3]
    metric = clauses.get("on", "accuracy").lower()
    if metric not in METRICS:
        raise InputError(f"{where}: unknown metric '{metric}'; {did_you_mean(metric, METRICS)}")
    if first == second:
        raise InputError(f"{where}: an entry beside itself; name two")
    unit, other = ("within", "by") if relation == "=" else ("by", "within")
    points = _POINTS.fullmatch(clauses.get(unit, "0" if relation in "<>" else ""))
    if (
        not points
        or other in clauses
        or float(points[1]) >= 100
        or (relation == "=" and not float(points[1]))
    ):
        raise InputError(f"{where}: after '{relation}' write {unit} X points, X a number from 0 to 100")
    if relation == "<":
        first, second = second, first
    over, without = (
        tuple(part.strip() for part in clauses.get(key, MACRO).split(",") if part.strip() not in ("", MACRO))
        for key in ("over", "without")
    )
    threshold = float(points[1]) / (-100 if relation == "not worse than" else 100)
    return Claim(
        text, first, second, relation == "=", threshold, METRICS[METRICS.index(metric)], over, without
    )
