"""What two entries answer differently: how often, and on which questions, with both outputs.

Seeds are paired as on the board (see `pairing`). All counts are of pairs of outputs to one question; several
outputs to a question are paired in the order in which they were drawn. Counting needs no text: of a run's
texts no more is read than those of the questions that are shown.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.values import Paired, SeedPairs, Seeds, seeds_on_all
from leaderboards.results.comparability import find_unlike
from leaderboards.results.merge import Group
from leaderboards.results.schema import Sample
from leaderboards.results.tables import EvaluationKey
from leaderboards.results.texts import RunTexts, Wanted
from leaderboards.sides import Side
from leaderboards.stats import MACRO, Difference
from tasks.errors import InputError, did_you_mean

Only = Literal["a", "b", "both-wrong", "differing"]
ONLY: tuple[Only, ...] = get_args(Only)
_Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Form:
    """How many outputs one side has, keep to its tag format, and were cut at the token limit."""

    outputs: int
    format_valid: int
    truncated: int


@dataclass(frozen=True, slots=True)
class BenchmarkDifference:
    """Two entries on one benchmark, or on all (`macro`): pairs of outputs with both, one or none right.

    `difference` is the accuracy of A minus that of B, paired by question and seed, shares of 1; its McNemar
    p-values are those of the seed pairs (A's, B's). The forms count each side's outputs once.
    """

    benchmark: str
    both: int
    only_a: int
    only_b: int
    neither: int
    difference: Difference
    seed_pairs: SeedPairs
    form_a: Form
    form_b: Form


@dataclass(frozen=True, slots=True)
class Spot:
    """A question on which the two differ in the way that was asked for.

    Seeds and index are those of the first pair of outputs that differs so; of all `pairs`, `times` do.
    """

    benchmark: str
    sample_id: str
    seeds: tuple[int | None, int | None]
    sample_index: int
    times: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Differing:
    """Two entries on what both were asked (and `macro` where that is more than one), and where they differ.

    Of the `spots` those come first that differ for most seeds; `cautions` say in what the evaluations differ
    beside their weights.
    """

    benchmarks: tuple[BenchmarkDifference, ...]
    spots: tuple[Spot, ...]
    cautions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DifferingSamples:
    """A question, and what A and B answered."""

    spot: Spot
    a: Sample
    b: Sample


def compare(
    a: Side, b: Side, *, benchmark: str | None = None, seed: int | None = None, only: Only = "differing"
) -> Differing:
    """Counts and tests on every benchmark that both were asked, and the questions of one kind.

    Args:
        benchmark: one benchmark instead of all.
        seed: one training seed of either instead of all.
        only: questions that only A has right, only B, neither, or exactly one of them (`differing`).

    Raises:
        InputError: they share no benchmark or no such seed, or were not asked the same questions.
    """
    names = _shared(a, b, benchmark)
    cautions = tuple(dict.fromkeys(_cautions(a, b, names)))
    single = {name: _paired(a, b, (name,), seed) for name in names}
    found = [_summary(paired, name) for name, paired in single.items()]
    if len(names) > 1 and seeds_on_all(a.group, names) and seeds_on_all(b.group, names):
        found.append(_summary(_paired(a, b, names, seed), MACRO))
    spots = [spot for paired in single.values() for spot in _spots(paired, only)]
    return Differing(tuple(found), tuple(_mixed(spots)), cautions)


def read_samples(a: Side, b: Side, spots: Sequence[Spot]) -> list[DifferingSamples]:
    """Both samples of these questions, in their order.

    Raises:
        InputError: a run's texts are nowhere to be found, or changed while they were read.
    """
    left, right = (_read(side, spots, number) for number, side in enumerate((a, b)))
    return [DifferingSamples(spot, *both) for spot, *both in zip(spots, left, right, strict=True)]


def _shared(a: Side, b: Side, benchmark: str | None) -> tuple[str, ...]:
    names = tuple(name for name in a.group.outcomes if name in b.group.outcomes)
    if not names:
        raise InputError(
            f"{a.name} and {b.name} share no benchmark: the one has {', '.join(a.group.outcomes)}, the other "
            f"{', '.join(b.group.outcomes)}"
        )
    if benchmark is None:
        return names
    if benchmark not in names:
        raise InputError(f"--benchmark {benchmark}: not evaluated for both; {did_you_mean(benchmark, names)}")
    return (benchmark,)


def _cautions(a: Side, b: Side, benchmarks: Sequence[str]) -> Iterator[str]:
    evaluated = [one for side in (a, b) for one in side.group.evaluated]
    for unlike in find_unlike([one for one in evaluated if one.evaluation.benchmark in benchmarks]):
        if unlike.aspect == "data":
            raise InputError(unlike.refusal().partition(", or show them")[0])
        yield f"{unlike.of.entry.name} in {unlike.of.source}: {unlike.mark()}"


def _paired(a: Side, b: Side, benchmarks: Sequence[str], seed: int | None) -> Paired:
    """Their seeds in pairs, of which one may be asked for."""
    paired = Paired.of(a.group, b.group, benchmarks)
    if seed is not None:
        kept = tuple(pair for pair in paired.seeds if seed in pair)
        paired = dataclasses.replace(paired, seeds=kept)
    if not paired.seeds:
        seeds = (seeds_on_all(side.group, benchmarks) for side in (a, b))
        listed = (", ".join("none" if each is None else str(each) for each in own) for own in seeds)
        have = " and ".join(f"{side.name} {own}" for side, own in zip((a, b), listed, strict=True))
        raise InputError(f"--seed {seed}: not on both sides; seeds on {', '.join(benchmarks)}: {have}")
    return paired


def _summary(paired: Paired, name: str) -> BenchmarkDifference:
    counts = np.zeros(4, dtype=np.int64)
    for benchmark in paired.benchmarks:
        right_a, right_b = _right(paired, benchmark)
        # 0 neither, 1 only B, 2 only A, 3 both.
        counts += np.bincount((2 * right_a + right_b).ravel(), minlength=4)
    neither, only_b, only_a, both = counts.tolist()
    form_a, form_b = (_form(group, paired.benchmarks, seeds) for group, seeds in paired.sides)
    difference = paired.difference("accuracy")
    return BenchmarkDifference(name, both, only_a, only_b, neither, difference, paired.seeds, form_a, form_b)


def _form(group: Group, benchmarks: Sequence[str], seeds: Seeds) -> Form:
    """Counts each output of these seeds once, also where it stands in several pairs."""
    found = [group.outcomes[benchmark] for benchmark in benchmarks]
    rows = [(one, [one.seeds.index(seed) for seed in dict.fromkeys(seeds)]) for one in found]
    return Form(
        outputs=sum(one.accuracy[own].size * one.num_samples for one, own in rows),
        format_valid=sum(round(one.format_valid[own].sum() * one.num_samples) for one, own in rows),
        truncated=sum(round(one.truncated[own].sum() * one.num_samples) for one, own in rows),
    )


_WANTED: Mapping[Only, Callable[[_Bools, _Bools], _Bools]] = {
    "a": lambda a, b: a & ~b,
    "b": lambda a, b: b & ~a,
    "both-wrong": lambda a, b: ~a & ~b,
    "differing": lambda a, b: a ^ b,
}


def _spots(paired: Paired, only: Only) -> Iterator[Spot]:
    """The questions of one kind on the one benchmark that is paired here."""
    [benchmark] = paired.benchmarks
    wanted_PQk = _WANTED[only](*_right(paired, benchmark))
    num_pairs, _, num_outputs = wanted_PQk.shape
    ids = paired.entry.outcomes[benchmark].question_ids
    times_Q = wanted_PQk.sum(axis=(0, 2))
    for question in np.flatnonzero(times_Q).tolist():
        pair, index = np.argwhere(wanted_PQk[:, question])[0].tolist()
        seeds, times = paired.seeds[pair], int(times_Q[question])
        yield Spot(benchmark, str(ids[question]), seeds, index, times, pairs=num_pairs * num_outputs)


def _right(paired: Paired, benchmark: str) -> tuple[_Bools, _Bools]:
    """Which outputs are right: (pairs, questions, outputs), as many outputs as both have."""
    rights = []
    for group, seeds in paired.sides:
        outcomes = group.outcomes[benchmark]
        right = outcomes.draws.correct_SQk if outcomes.draws else outcomes.accuracy[:, :, None] > 0
        rights.append(right[[outcomes.seeds.index(seed) for seed in seeds]])
    left, right = rights
    size = min(left.shape[2], right.shape[2])
    return left[:, :, :size], right[:, :, :size]


def _mixed(spots: Sequence[Spot]) -> list[Spot]:
    """Most telling first: those of most seeds, the benchmarks in turn."""
    turns: defaultdict[tuple[str, int], Iterator[int]] = defaultdict(count)
    return sorted(spots, key=lambda spot: (-spot.times / spot.pairs, next(turns[spot.benchmark, spot.times])))


def _read(side: Side, spots: Sequence[Spot], number: int) -> list[Sample]:
    """The samples of one side at these spots, of the first or the second of each pair of seeds."""
    keys = [(side.group.model, side.name, spot.seeds[number], spot.benchmark) for spot in spots]
    ids: dict[EvaluationKey, dict[str, int]] = {}
    for key, spot in zip(keys, spots, strict=True):
        own = ids.setdefault(key, {})
        own.setdefault(spot.sample_id, len(own))
    found: dict[tuple[EvaluationKey, str, int], Sample] = {}
    for run in side.runs if ids else ():
        texts = RunTexts.of(run)
        if texts is None:
            raise InputError(f"{run.source}: its samples are gone, so no output can be shown; use --limit 0")
        # The first run that holds what is wanted stands for it, as on the board.
        held = [key for key in ids if key in texts.codes]
        wanted = [Wanted(key, side.group.entries[0].tags, ids.pop(key)) for key in held]
        for one, by_number in texts.read(wanted):
            for sample in (each for samples in by_number.values() for each in samples):
                found[one.key, sample.sample_id, sample.sample_index] = sample
    return [found[key, spot.sample_id, spot.sample_index] for key, spot in zip(keys, spots, strict=True)]
