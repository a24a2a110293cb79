"""Declared questions: what the results say to a claim.

One that stood on record before anything was trained is one question, not the best of many: it is tested at
5 % outside the family of all pairs; several are corrected (Holm) among themselves. What is claimed once
results may have been seen is tested alike, apart from these, and said to be so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace

from leaderboards.board.claim_text import DEFAULT, Claim, parse_claim
from leaderboards.board.comparing import partners
from leaderboards.board.rows import FORMAT_DEPENDENT, Answer, ClaimVerdict, Standing
from leaderboards.board.values import Paired, spread_of
from leaderboards.results.merge import Group
from leaderboards.results.schema import Declared, RunResults
from leaderboards.stats import CONFIDENCE, Difference, holm
from leaderboards.stats.sequential import nominal_level
from tasks.errors import InputError


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
            standing, record = ("default", None) if default else _on_record(claim, runs)
            for rows, pair in paired(claim, groups, benchmarks):
                asked = tuple(pair.benchmarks)
                found = pair.difference(claim.metric, alpha, spread_of(groups, asked, claim.metric, alpha))
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


def paired(
    claim: Claim, groups: Sequence[Group], benchmarks: Sequence[str]
) -> Iterator[tuple[tuple[int, int], Paired]]:
    """The positions of a claim's two groups, for each model that has them, and the two on what both share.

    Raises:
        InputError: The claim names what is not there, or what cannot be compared.
    """
    claim.check([group.name for group in groups], benchmarks)
    wanted = [name for name in claim.over or benchmarks if name not in claim.without]
    others = enumerate(partners(groups, claim.second))
    found = [(row, other) for row, other in others if other is not None and groups[row].name == claim.first]
    if not found:
        raise InputError(f"claim {claim.text!r}: no model has both entries")
    for rows in found:
        first, second = (groups[row] for row in rows)
        if claim.metric in FORMAT_DEPENDENT and first.entries[0].tagged != second.entries[0].tagged:
            raise InputError(f"claim {claim.text!r}: {claim.metric} is another thing without tags")
        shared = tuple(name for name in wanted if first.is_comparable(name) and second.is_comparable(name))
        pair = Paired.of(first, second, shared)
        if not shared or not pair.seeds or (claim.over and len(shared) < len(wanted)):
            raise InputError(f"claim {claim.text!r}: the two have no results on the same {', '.join(wanted)}")
        yield rows, pair


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
