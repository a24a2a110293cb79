"""A regression gate: whether entries became worse than in an earlier run, by the paired test.

A condition reads ``METRIC(BENCHMARK) [of ENTRY] drops [by more than X points]``: METRIC is accuracy,
accuracy_strict, format_valid or score; BENCHMARK a name, `macro` (the average of all) or `*` (each of them);
without ENTRY every entry that both runs hold is tested. The same questions are compared, seeds paired as on
the leaderboard, p-values corrected (Holm) over all tests of the gate, and only a significant drop fails. A
drop by more than X is tested against X: the null hypothesis is shifted.

A gate that could not have failed is no gate: each test says from which drop on it would probably fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from leaderboards.board.rows import MACRO, Metric
from leaderboards.conditions import EACH, Condition, parse_condition
from leaderboards.gate_pairs import GatePair
from leaderboards.results.comparability import ASPECTS
from leaderboards.results.merge import Group, merge_runs
from leaderboards.results.schema import RunResults
from leaderboards.stats import CONFIDENCE, Difference, holm
from tasks.errors import InputError, did_you_mean

_Groups = Mapping[tuple[str, str], Group]


@dataclass(frozen=True, slots=True)
class GateTest:
    """One entry on one benchmark (or `macro`), now and in the baseline; shares of 1.

    Attributes:
        condition: What asked for it, as it was written.
        entry: Its name, and `model` its model.
        model: See entry.
        metric: What was compared.
        benchmark: Where.
        before: Mean in the baseline over the paired seeds, and `now` in the current run.
        now: See before.
        difference: Now minus before.
        margin: A drop up to this is let pass.
        p_holm: Of the test against the margin, corrected over all tests of the gate.
        failed: Whether it dropped by more than the margin, beyond chance.
    """

    condition: str
    entry: str
    model: str
    metric: Metric
    benchmark: str
    before: float
    now: float
    difference: Difference
    margin: float
    p_holm: float
    failed: bool

    @property
    def findable(self) -> float:
        """The drop that such a test finds four times in five, before Holm's correction."""
        return self.margin + self.difference.detectable

    @property
    def could_fail(self) -> bool:
        """Whether even a fall to nothing would probably be found."""
        return self.findable < self.before


@dataclass(frozen=True, slots=True)
class GateReport:
    """All tests, and what a reader must know of them."""

    tests: tuple[GateTest, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether any entry dropped."""
        return any(test.failed for test in self.tests)


def check_gate(
    current: Sequence[RunResults], baseline: Sequence[RunResults], conditions: Sequence[str], alpha: float
) -> GateReport:
    """Tests every condition.

    Args:
        current: the runs that are looked at.
        baseline: the earlier runs, which may hold entries of the same names with other weights.
        conditions: as the module says.
        alpha: the weight of accuracy in score.

    Raises:
        InputError: a condition that cannot be read, an entry or a benchmark that one side lacks, or results
            that were not asked, generated and scored alike.
    """
    if not baseline:
        raise InputError("--fail-if needs the run that is compared with: --baseline OLD_RUN_DIR")
    parsed = [parse_condition(text) for text in conditions]
    if not parsed:
        raise InputError('--baseline needs a condition, such as --fail-if "accuracy(macro) drops"')
    now, before = _groups(current), _groups(baseline)
    asked = [
        GatePair(condition, now[key], before[key], place, alpha)
        for condition in parsed
        for key in _entries(condition, now, before, _sources(baseline))
        for place in _places(condition, now[key], before[key])
    ]
    for condition in parsed:
        if not any(each.condition is condition for each in asked):
            known = {name for groups in (now, before) for group in groups.values() for name in group.outcomes}
            raise InputError(
                f"--fail-if {condition.text!r}: no entry has {condition.benchmark} on both sides; "
                f"{did_you_mean(condition.benchmark, known)}"
            )
    unique = {(each.key, each.condition.metric, each.place, each.condition.margin): each for each in asked}
    found = list(unique.values())
    notes = [note for each in found for note in each.check()]
    corrected = holm([each.p_value() for each in found])
    tests = tuple(_test(each, p) for each, p in zip(found, corrected, strict=True))
    more = (*_left_out(parsed, now, before), *_powerless(tests))
    return GateReport(tests, tuple(dict.fromkeys((*notes, *more))))


def _test(pair: GatePair, p_holm: float) -> GateTest:
    difference, margin = pair.difference(), pair.condition.margin
    before, now = pair.means()
    return GateTest(
        condition=pair.condition.text,
        entry=pair.now.name,
        model=pair.now.model,
        metric=pair.condition.metric,
        benchmark=pair.place,
        before=before,
        now=now,
        difference=difference,
        margin=margin,
        p_holm=p_holm,
        failed=difference.mean < -margin and p_holm < 1 - CONFIDENCE,
    )


def _groups(runs: Sequence[RunResults]) -> _Groups:
    """Each side by itself: what differs within it is none of the gate's business."""
    return {(group.model, group.name): group for group in merge_runs(runs, ASPECTS)}


def _entries(condition: Condition, now: _Groups, before: _Groups, baseline: str) -> list[tuple[str, str]]:
    """Model and name of those that the condition is about."""
    shared = [key for key in now if key in before]
    if condition.entry is None:
        if not shared:
            raise InputError(
                f"--baseline {baseline}: no entry of this run is in it; it holds {_names(before)}, this run "
                f"{_names(now)}"
            )
        return shared
    found = [key for key in shared if key[1] == condition.entry]
    if not found:
        names = {key[1] for key in shared}
        lacks = "the baseline" if any(key[1] == condition.entry for key in now) else "the run"
        raise InputError(
            f"--fail-if {condition.text!r}: {lacks} has no entry '{condition.entry}'; "
            f"{did_you_mean(condition.entry, names)}"
        )
    return found


def _places(condition: Condition, now: Group, before: Group) -> list[str]:
    """The benchmarks that are tested; none where a benchmark that was named is on neither side."""
    here, there = list(now.outcomes), list(before.outcomes)
    if condition.benchmark == MACRO:
        if set(here) != set(there):
            raise InputError(
                f"--fail-if {condition.text!r}: {now.name} has other benchmarks in the baseline "
                f"({', '.join(there)}) than now ({', '.join(here)}); name one benchmark, or *"
            )
        return [MACRO]
    if condition.benchmark == EACH:
        return [name for name in here if name in there]
    name = condition.benchmark
    if name in here and name in there:
        return [name]
    if name in here or name in there:
        lacks, has = ("the baseline", there) if name in here else ("the run", here)
    else:
        lacks, has = "neither side", [*here, *there]
    if condition.entry is None and name not in here and name not in there:
        return []
    verb = "has" if lacks == "neither side" else "has no"
    raise InputError(
        f"--fail-if {condition.text!r}: {lacks} {verb} {name} for {now.name}; {did_you_mean(name, has)}"
    )


def _left_out(parsed: Sequence[Condition], now: _Groups, before: _Groups) -> Iterator[str]:
    """What is not tested because one side lacks it, where a condition names neither entry nor benchmark."""
    if any(condition.entry is None for condition in parsed):
        if new := [key[1] for key in now if key not in before]:
            yield f"Not in the baseline, so not tested: {', '.join(dict.fromkeys(new))}."
        if gone := [key[1] for key in before if key not in now]:
            yield f"In the baseline alone, so not tested: {', '.join(dict.fromkeys(gone))}."
    if any(condition.benchmark == EACH for condition in parsed):
        for key in (key for key in now if key in before):
            if only := set(now[key].outcomes) ^ set(before[key].outcomes):
                yield f"{key[1]}: {', '.join(sorted(only))} on one side alone, so not tested."


def _powerless(tests: Sequence[GateTest]) -> Iterator[str]:
    for test in tests:
        if not test.failed and not test.could_fail:
            found = test.difference
            pairs = f"{found.num_seeds} pair{'s' if found.num_seeds > 1 else ''} of seeds"
            yield (
                f"{test.metric}({test.benchmark}) of {test.entry} passed but could hardly have failed: with "
                f"{found.num_questions} questions and {pairs}, even a fall from "
                f"{100 * test.before:.1f} % to 0 may go unseen; use more questions or seeds."
            )


def _names(groups: _Groups) -> str:
    return ", ".join(f"{name} of {model}" for model, name in groups)


def _sources(runs: Sequence[RunResults]) -> str:
    return " ".join(run.source for run in runs)
