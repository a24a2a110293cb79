"""A regression gate: whether entries became worse than in an earlier run, by the paired test.

A condition reads ``METRIC(BENCHMARK) [of ENTRY] drops [by more than X points]``: METRIC is accuracy,
accuracy_strict, format_valid or score; BENCHMARK a name, `macro` (the average of all) or `*` (each of them);
without ENTRY every entry that both runs hold is tested. The same questions are compared, seeds paired as on
the leaderboard, p-values corrected (Holm) over all tests of the gate, and only a significant drop fails. A
drop by more than X is tested against X: the null hypothesis is shifted.

A gate that could not have failed is no gate: each test says from which drop on it would probably fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from leaderboards.board.rows import FORMAT_DEPENDENT
from leaderboards.board.values import Paired, take_seeds, values
from leaderboards.results.comparability import ASPECTS, find_unlike
from leaderboards.results.merge import Group, merge_runs
from leaderboards.results.schema import METRICS, Metric, RunResults
from leaderboards.stats import CONFIDENCE, MACRO, Difference, holm
from tasks.errors import InputError, did_you_mean

EACH = "*"
GRAMMAR = "METRIC(BENCHMARK) [of ENTRY] drops [by more than X points]"
_CONDITION = re.compile(
    r"\s*(?P<metric>[\w ]+?)\s*\(\s*(?P<benchmark>[^()]+?)\s*\)"
    r"(?:\s+of\s+(?P<entry>\S.*?))?"
    r"\s+drops?(?:\s+by\s+more\s+than\s+(?P<points>\S+?)\s*(?:points?|pp))?\s*",
    re.IGNORECASE,
)
_Groups = Mapping[tuple[str, str], Group]
"""The entries of one side by model and name."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must not happen: a metric of an entry (None: of every one) drops by more than the margin.

    `benchmark` is a name, `macro` or `*`; `margin`, the drop that is let pass, is a share of 1.
    """

    text: str
    metric: Metric
    benchmark: str
    entry: str | None
    margin: float

    @property
    def where(self) -> str:
        """How an error begins that is about it."""
        return f"--fail-if {self.text!r}"


@dataclass(frozen=True, slots=True)
class GateTest:
    """What a condition says of one entry on one benchmark, or on all (`macro`), now and in the baseline.

    Means over the paired seeds, and the difference, now minus before, are shares of 1; `p_holm` is the
    p-value against the margin, corrected over all tests of the gate.
    """

    condition: Condition
    entry: str
    model: str
    benchmark: str
    before: float
    now: float
    difference: Difference
    p_holm: float

    @property
    def failed(self) -> bool:
        """Whether it dropped by more than the margin, beyond chance."""
        return self.difference.mean < -self.condition.margin and self.p_holm < 1 - CONFIDENCE

    @property
    def findable(self) -> float:
        """The drop that such a test finds four times in five, before Holm's correction."""
        return self.condition.margin + self.difference.detectable()


@dataclass(frozen=True, slots=True)
class GateReport:
    """All tests, and what a reader must know of them."""

    tests: tuple[GateTest, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether any entry dropped."""
        return any(test.failed for test in self.tests)


def parse_condition(text: str) -> Condition:
    """Reads a condition.

    Raises:
        InputError: one line that says what is wrong and how it is written.
    """
    found = _CONDITION.fullmatch(text)
    where = f"--fail-if {text!r}"
    if not found:
        raise InputError(f"{where}: not a condition; write {GRAMMAR}, such as 'accuracy(gsm8k) drops'")
    name = found["metric"].lower()
    metric = next((each for each in METRICS if each == name), None)
    if metric is None:
        raise InputError(f"{where}: unknown metric '{name}'; {did_you_mean(name, METRICS)}")
    points = found["points"]
    try:
        value = float(points or 0)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100:  # which NaN is not either
        raise InputError(f"{where}: by more than {points} points; expected a number from 0 to 100")
    return Condition(text, metric, found["benchmark"], found["entry"], value / 100)


def check_gate(
    current: Sequence[RunResults], baseline: Sequence[RunResults], conditions: Sequence[str], alpha: float
) -> GateReport:
    """Tests every condition.

    Args:
        baseline: the earlier runs, which may hold entries of the same names with other weights.
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
    # Each side by itself: what differs within one is none of the gate's business.
    now, before = (
        {(group.model, group.name): group for group in merge_runs(runs, ASPECTS)}
        for runs in (current, baseline)
    )
    asked = [
        _Asked(condition, name, alpha, Paired.of(now[key], before[key], benchmarks))
        for condition in parsed
        for key in _entries(condition, now, before, baseline)
        for name in _benchmarks(condition, now[key], before[key])
        for benchmarks in [tuple(now[key].outcomes) if name == MACRO else (name,)]
    ]
    for condition in parsed:
        if not any(each.condition is condition for each in asked):
            known = {name for groups in (now, before) for group in groups.values() for name in group.outcomes}
            raise InputError(
                f"{condition.where}: no entry has {condition.benchmark} on both sides; "
                f"{did_you_mean(condition.benchmark, known)}"
            )
    unique = {each.key: each for each in asked}
    notes = [note for each in unique.values() for note in each.check()]
    corrected = holm([each.p_value() for each in unique.values()])
    tests = tuple(each.test(p) for each, p in zip(unique.values(), corrected, strict=True))
    more = (*_left_out(parsed, now, before), *_powerless(tests))
    return GateReport(tests, tuple(dict.fromkeys((*notes, *more))))


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What a condition asks of one entry on one benchmark, or on all (`macro`)."""

    condition: Condition
    benchmark: str
    alpha: float
    paired: Paired

    @property
    def key(self) -> tuple[object, ...]:
        """The same for what two conditions ask alike, so that it is tested once."""
        now, condition = self.paired.entry, self.condition
        return (now.model, now.name, condition.metric, self.benchmark, condition.margin)

    def check(self) -> Iterator[str]:
        """What to know of the two sides, such as another engine; InputError where they are not comparable."""
        now, before = self.paired.entry, self.paired.other
        metric, here, there = self.condition.metric, now.entries[0], before.entries[0]
        if metric in FORMAT_DEPENDENT and here.tags != there.tags:
            raise InputError(
                f"{now.name}: {metric} depends on the tag format, which is {there.tags} in the baseline "
                f"and {here.tags} now; gate accuracy instead"
            )
        evaluated = [
            [one for one in group.evaluated if one.evaluation.benchmark in self.paired.benchmarks]
            for group in (before, now)
        ]
        for unlike in find_unlike([one for side in evaluated for one in side]):
            raise InputError(unlike.refusal().partition(", or show them")[0])
        engines = [
            "; ".join(dict.fromkeys(f"{one.evaluation.engine}, {one.evaluation.dtype}" for one in side))
            for side in evaluated
        ]
        if engines[0] != engines[1]:
            yield (
                f"{now.name}: generated by another engine or in other numbers than the baseline "
                f"({engines[0]} before, {engines[1]} now), which alone may change outputs."
            )
        if {entry.digest for entry in now.entries} == {entry.digest for entry in before.entries}:
            yield f"{now.name}: the same weights on both sides, so no training can have made it worse."
        if not self.paired.seeds:
            benchmarks = ", ".join(self.paired.benchmarks)
            raise InputError(f"{now.name}: no seed has all of {benchmarks} on both sides")
        if len(self.paired.seeds) == 1:
            only = "1 pair of seeds, so the test is of these two checkpoints"
            yield f"{now.name}: {only}; another seed of the same training could turn it round."

    def p_value(self) -> float:
        """Two-sided, of the paired test that the difference is minus the margin, as a shift of the null.

        Below 1 - confidence exactly where the interval of the difference does not hold minus the margin.
        """
        found = self.paired.difference(self.condition.metric, self.alpha)
        return found.p_against(-self.condition.margin)

    def test(self, p_holm: float) -> GateTest:
        """The test, its p-value corrected."""
        metric, now = self.condition.metric, self.paired.entry
        means = []
        for group, seeds in self.paired.sides:
            found = (group.outcomes[benchmark] for benchmark in self.paired.benchmarks)
            shares = [take_seeds(one, values(one, metric, self.alpha), seeds).mean() for one in found]
            means.append(float(sum(shares) / len(shares)))
        difference = self.paired.difference(metric, self.alpha)
        who = (self.condition, now.name, now.model, self.benchmark)
        return GateTest(*who, before=means[1], now=means[0], difference=difference, p_holm=p_holm)


def _entries(
    condition: Condition, now: _Groups, before: _Groups, baseline: Sequence[RunResults]
) -> list[tuple[str, str]]:
    """Model and name of those that the condition is about."""
    shared = [key for key in now if key in before]
    if condition.entry is None:
        if not shared:
            where = f"--baseline {' '.join(run.source for run in baseline)}"
            held, mine = (", ".join(f"{name} of {model}" for model, name in each) for each in (before, now))
            raise InputError(f"{where}: no entry of this run is in it; it holds {held}, this run {mine}")
        return shared
    found = [key for key in shared if key[1] == condition.entry]
    if not found:
        lacks = "the baseline" if any(key[1] == condition.entry for key in now) else "the run"
        near = did_you_mean(condition.entry, {key[1] for key in shared})
        raise InputError(f"{condition.where}: {lacks} has no entry '{condition.entry}'; {near}")
    return found


def _benchmarks(condition: Condition, now: Group, before: Group) -> list[str]:
    """Those that are tested; none where a benchmark that was named is on neither side."""
    here, there, name = list(now.outcomes), list(before.outcomes), condition.benchmark
    if name == MACRO and set(here) != set(there):
        raise InputError(
            f"{condition.where}: {now.name} has other benchmarks in the baseline "
            f"({', '.join(there)}) than now ({', '.join(here)}); name one benchmark, or *"
        )
    if name == EACH:
        return [name for name in here if name in there]
    if name == MACRO or (name in here and name in there):
        return [name]
    if name in here or name in there:
        lacks, has = ("the baseline has no", there) if name in here else ("the run has no", here)
    elif condition.entry is None:
        return []
    else:
        lacks, has = "neither side has", [*here, *there]
    raise InputError(f"{condition.where}: {lacks} {name} for {now.name}; {did_you_mean(name, has)}")


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
        # Where not even a fall to nothing would probably be found.
        if not (test.failed or test.findable < test.before):
            found, what = test.difference, f"{test.condition.metric}({test.benchmark}) of {test.entry}"
            pairs = f"{found.num_seeds} pair{'s' if found.num_seeds > 1 else ''} of seeds"
            yield (
                f"{what} passed but could hardly have failed: with "
                f"{found.num_questions} questions and {pairs}, even a fall from "
                f"{100 * test.before:.1f} % to 0 may go unseen; use more questions or seeds."
            )
