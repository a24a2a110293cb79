"""What was found, in plain words; every sentence is made of the figures, whichever way they fall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaderboards.report.wording import bounds, enumerated, p_value, percent, points
from studies.evidence.design import ALWAYS, CONTROL, FIRST_STAGE, METHOD, UNTAGGED_CONTROL, Design
from studies.evidence.effects import POOLED, TO_ONE_STAGE, TO_START, Effect, Evidence, key_variants

_VERB = {
    "better": "is more accurate than",
    "worse": "is less accurate than",
    "undecided": "cannot be told apart from",
}


def answers(design: Design, evidence: Evidence) -> Iterator[str]:
    """Does emphasis help, when, how much: one paragraph each."""
    yield _headline(design, evidence)
    yield _cell_by_cell(design, evidence)
    if len(key_variants(design)) > 1:
        yield _rivals_of_emphasis(design, evidence)
    yield _second_stage(design, evidence)
    yield _stages(evidence)
    if evidence.contrasts:
        yield _interaction(evidence)
    yield _others(design, evidence)
    yield _formats(evidence)
    yield _power(design, evidence)


def figures(effect: Effect) -> str:
    """Difference, interval and corrected p in one bracketed phrase."""
    difference = effect.difference
    return (
        f"{points(difference.mean)} points, 95 % interval {bounds(difference.low, difference.high)}, "
        f"p = {p_value(effect.p_holm)} after Holm".replace("p = <", "p <")
    )


def _headline(design: Design, evidence: Evidence) -> str:
    effect = evidence.effect(METHOD, POOLED)
    says = {
        "better": "Yes, here a second stage on the answer alone helps.",
        "worse": "No: here a second stage on the answer alone hurts.",
        "undecided": "Not that could be seen: a second stage on the answer alone makes no "
        "difference that this study can tell from chance.",
    }
    return (
        f"**{says[effect.verdict]}** Over {count(len(design.cells), 'cell')} and "
        f"{count(design.seeds, 'seed')}, `{METHOD}` {_VERB[effect.verdict]} `{CONTROL}`, which spends the "
        f"same steps on the same examples with the loss on the whole response ({figures(effect)})."
    )


def _cell_by_cell(design: Design, evidence: Evidence) -> str:
    parts = []
    for cell in design.cells:
        effect = evidence.effect(METHOD, cell.name)
        parts.append(f"{cell.label}: {effect.verdict} ({figures(effect)})")
    return f"When: `{METHOD}` against `{CONTROL}`, cell by cell: " + "; ".join(parts) + "."


def _rivals_of_emphasis(design: Design, evidence: Evidence) -> str:
    names = [name for name in key_variants(design) if name != METHOD]
    places = [cell.name for cell in design.cells]
    tests = [evidence.effect(name, where) for name in names for where in places]
    labels = {cell.name: cell.label for cell in design.cells}
    better = [f"`{e.variant}` ({labels[e.where]})" for e in tests if e.verdict == "better"]
    worse = sum(e.verdict == "worse" for e in tests)
    gained = f"better in {len(better)}: {enumerated(better)}" if better else "better in none"
    return (
        f"Other ways to emphasise the answer ({_names(names)}), {count(len(tests), 'comparison')} with "
        f"the control of their format (`{UNTAGGED_CONTROL}` for untagged ones) in single cells: {gained}; "
        f"worse in {worse}; undecided in {len(tests) - len(better) - worse}. Pooled: "
        f"{_pooled(names, evidence)}."
    )


def _second_stage(design: Design, evidence: Evidence) -> str:
    effects = [(cell.label, evidence.effect(METHOD, cell.name, TO_START)) for cell in design.cells]
    parts = [f"{label}: {effect.verdict} ({points(effect.difference.mean)})" for label, effect in effects]
    return (
        f"What the answer stage itself adds to the checkpoint it starts from: "
        f"{figures(evidence.effect(METHOD, POOLED, TO_START))}; {'; '.join(parts)}."
    )


def _stages(evidence: Evidence) -> str:
    method, control = (evidence.effect(name, POOLED, TO_ONE_STAGE) for name in (METHOD, CONTROL))
    return (
        f"Against `{FIRST_STAGE}`, one stage of the same budget, `{METHOD}` is at {figures(method)}; the "
        f"control `{CONTROL}` is at {figures(control)}. What both gain or lose against it comes with a "
        "second stage at a rate of its own, not with the emphasis."
    )


def _interaction(evidence: Evidence) -> str:
    parts = [f"{e.where} {figures(e)}" for e in evidence.contrasts if e.variant == METHOD]
    sure = [f"`{e.variant}` ({e.where})" for e in evidence.contrasts if e.p_holm < 0.05]
    found = (
        f"Contrasts that stand after correction: {enumerated(sure)}."
        if sure
        else (f"None of the {len(evidence.contrasts)} contrasts tested stands after correction.")
    )
    return (
        f"Does the effect of emphasis depend on difficulty or length? For `{METHOD}`, the change of its "
        f"difference to the control: {'; '.join(parts)}. {found}"
    )


def _others(design: Design, evidence: Evidence) -> str:
    skip = {*ALWAYS, *key_variants(design)}
    names = [name for name in design.variants if name not in skip]
    return f"The variants that weigh tokens by other things, pooled: {_pooled(names, evidence)}."


def _formats(evidence: Evidence) -> str:
    cells = list(evidence.groups)
    tagged, untagged = (evidence.accuracy(name, cells).mean for name in (CONTROL, UNTAGGED_CONTROL))
    return (
        f"Tags may cost or gain accuracy by themselves, so untagged variants have a control of their own: "
        f"`{CONTROL}` reaches {percent(tagged)} %, `{UNTAGGED_CONTROL}` {percent(untagged)} %."
    )


def _pooled(names: Sequence[str], evidence: Evidence) -> str:
    effects = [evidence.effect(name, POOLED) for name in names]
    parts = []
    for verdict in ("better", "worse", "undecided"):
        some = sorted((e for e in effects if e.verdict == verdict), key=lambda e: -e.difference.mean)
        if some:
            shown = [f"`{e.variant}` ({points(e.difference.mean)})" for e in some]
            parts.append(f"{verdict} {enumerated(shown)}")
    return "; ".join(parts) or "none was run"


def _power(design: Design, evidence: Evidence) -> str:
    def half_width(where: str) -> float:
        difference = evidence.effect(METHOD, where).difference
        return (difference.high - difference.low) / 2

    widest = max(half_width(cell.name) for cell in design.cells)
    return (
        f"What could have been missed: the interval of `{METHOD}` reaches {100 * half_width(POOLED):.1f} "
        f"points to either side pooled, and up to {100 * widest:.1f} in a cell; smaller effects may be there "
        "and not show."
    )


def _names(names: Sequence[str]) -> str:
    return enumerated([f"`{name}`" for name in names])


def count(number: int, what: str) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
