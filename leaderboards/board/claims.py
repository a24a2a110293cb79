"""Declared questions: what a claim says, and what the results say to it.

One that stood on record before anything was trained is one question, not the best of many: it is tested at
5 % outside the family of all pairs; several are corrected (Holm) among themselves. What is claimed once
results may have been seen is tested alike, apart from these, and said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace

from leaderboards.board.comparing import partners
from leaderboards.board.rows import FORMAT_DEPENDENT, Answer, ClaimVerdict, Standing
from leaderboards.board.values import Paired, spread_of
from leaderboards.results.merge import Group
from leaderboards.results.schema import METRICS, Declared, Metric, RunResults
from leaderboards.stats import CONFIDENCE, MACRO, Difference, holm
from leaderboards.stats.sequential import nominal_level
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


def answer_claims(
    groups: Sequence[Group],
    runs: Sequence[RunResults],
    benchmarks: Sequence[str],
    texts: Sequence[str] = (),
    alpha: float = 0.7,
    margin: float = 0.01,
) -> tuple[Answer, ...]:
    """Answers the claims on record in the runs, then those of these texts; without any, the default one.

    A claim on record stays one, also where a later configuration leaves it out.

    Args:
        groups: of the runs, in the order of the board.
        runs: the stored runs.
        benchmarks: of the board.
        texts: further claims.
        alpha: the weight of accuracy in score.
        margin: within how much entries are equivalent, where the claim does not say.

    Raises:
        InputError: a claim names what the runs lack, or what cannot be compared.
    """
    names = [group.name for group in groups]
    recorded = [parse_claim(one.claim) for run in runs for one in run.declared]
    there = [claim for claim in recorded if {claim.first, claim.second} <= set(names)]  # else part of a run
    claims = list(dict.fromkeys((*there, *map(parse_claim, texts))))
    if default := not claims:
        claims = [parse_claim(DEFAULT)]
    families: dict[bool, list[Answer]] = {False: [], True: []}
    for claim in claims:
        with suppress(InputError) if default else nullcontext():  # nobody asked it
            claim.check(names, benchmarks)
            standing, record = ("default", None) if default else _on_record(claim, runs)
            for rows in _rows(claim, groups):
                asked, found = _difference(claim, groups, rows, benchmarks, alpha)
                answer = Answer(claim.text, *rows, asked, standing, record, found, alpha=alpha)
                families[standing == "after"].append(answer)
    return tuple(answer for family in families.values() for answer in _judged(family, margin))


def _on_record(claim: Claim, runs: Sequence[RunResults]) -> tuple[Standing, Declared | None]:
    """Whether all runs that trained one of its entries had it on record before; and the first record."""
    sides = {claim.first, claim.second}
    trained = (run for run in runs if any(e.role == "trained" and e.name in sides for e in run.entries))
    records = [next((r for r in run.declared if parse_claim(r.claim) == claim), None) for run in trained]
    before = bool(records) and all(record and record.before for record in records)
    return "before" if before else "after", next(filter(None, records), None)


def _rows(claim: Claim, groups: Sequence[Group]) -> list[tuple[int, int]]:
    """The two rows of a claim, by their positions, for each model that has them."""
    others = enumerate(partners(groups, claim.second))
    found = [(row, other) for row, other in others if other is not None and groups[row].name == claim.first]
    if not found:
        raise InputError(f"claim {claim.text!r}: no model has both entries")
    return found


def _difference(
    claim: Claim, groups: Sequence[Group], rows: tuple[int, int], benchmarks: Sequence[str], alpha: float
) -> tuple[tuple[str, ...], Difference]:
    """The first row minus the second, and the benchmarks that it is over."""
    first, second = (groups[row] for row in rows)
    if claim.metric in FORMAT_DEPENDENT and first.entries[0].tagged != second.entries[0].tagged:
        raise InputError(f"claim {claim.text!r}: {claim.metric} is another thing without tags")
    wanted = [name for name in claim.over or benchmarks if name not in claim.without]
    shared = tuple(name for name in wanted if first.is_comparable(name) and second.is_comparable(name))
    pair = Paired.of(first, second, shared)
    if not shared or not pair.seeds or (claim.over and len(shared) < len(wanted)):
        raise InputError(f"claim {claim.text!r}: the two have no results on the same {', '.join(wanted)}")
    return shared, pair.difference(claim.metric, alpha, spread_of(groups, shared, claim.metric, alpha))


def _judged(family: Sequence[Answer], margin: float) -> Iterator[Answer]:
    """With the verdicts; where seeds are added until a claim is decided, each look has a level of its own."""
    claims = [parse_claim(answer.claim) for answer in family]
    raw = [p_values(claim, answer.difference, margin) for claim, answer in zip(claims, family, strict=True)]
    corrected = list(zip(*map(holm, zip(*raw, strict=True)), strict=True))
    for number, (claim, answer) in enumerate(zip(claims, family, strict=True)):
        found, level, (p, p_alike) = answer.difference, 1 - CONFIDENCE, corrected[number]
        if (record := answer.declared) and record.most_seeds:
            level = nominal_level(found.num_seeds, record.seeds, record.most_seeds, level / len(family))
            p, p_alike = raw[number][0], 2 * raw[number][1]  # so that the interval lies within the margin
        verdict, p = verdict_of(claim, found, (p, p_alike), level)
        low, high = found.interval(level)
        yield replace(answer, p=p, level=level, low=low, high=high, verdict=verdict, family=len(family))


def verdict_of(
    claim: Claim, found: Difference, p_values: tuple[float, float], level: float
) -> tuple[ClaimVerdict, float]:
    """What a difference says to a claim at a level, and the p-value (of `p_values`) that says it."""
    p, p_alike = p_values
    if p < level:
        return "refuted" if claim.alike or found.centre < claim.threshold else "confirmed", p
    if p_alike < level:
        return "confirmed" if claim.alike else "equivalent", p_alike
    return "undecided" if found.known else "unknown", p_alike if claim.alike else p


def p_values(claim: Claim, found: Difference, margin: float) -> tuple[float, float]:
    """Two-sided, of the difference against the threshold (or to be within it); and of equivalence."""
    if not found.known:
        return 1.0, 1.0
    if claim.alike:
        nearest = min(max(found.centre, -claim.threshold), claim.threshold)
        return found.p_against(nearest), found.equivalence_p(claim.threshold)
    return found.p_against(claim.threshold), 1.0 if claim.threshold else found.equivalence_p(margin)
