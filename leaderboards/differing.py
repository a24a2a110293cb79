"""What two entries answer differently: how often, and on which questions, with both outputs.

Seeds are paired as on the board (see `pairing`). All counts are of pairs of outputs to one question; several
outputs to a question are paired in the order in which they were drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.pairing import SeedPairs, Seeds, differences, seed_pairs, seeds_on_all
from leaderboards.board.rows import MACRO
from leaderboards.results.comparability import find_unlike
from leaderboards.results.outcomes import Outcomes
from leaderboards.sides import Side
from leaderboards.stats import Difference, paired_difference
from tasks.errors import InputError, did_you_mean

Only = Literal["a", "b", "both-wrong", "differing"]
ONLY: tuple[Only, ...] = get_args(Only)
_Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Form:
    """Of the outputs of one side: how many keep to its tag format, how many were cut at the token limit."""

    outputs: int
    format_valid: int
    truncated: int


@dataclass(frozen=True, slots=True)
class BenchmarkDifference:
    """Two entries on one benchmark, or on all (`macro`).

    Attributes:
        benchmark: Its name.
        both: Pairs of outputs of which both are right; so `only_a`, `only_b`, and `neither`.
        only_a: See both.
        only_b: See both.
        neither: See both.
        difference: Accuracy of A minus that of B, paired by question and seed; shares of 1. Its McNemar
            p-values are those of the seed pairs.
        seed_pairs: Seed of A and of B.
        form_a: Form of A's outputs, each counted once; `form_b` of B's.
        form_b: See form_a.
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

    Attributes:
        benchmark: Of the question.
        sample_id: Of the question.
        seeds: Of A and of B: the first pair that differs so.
        sample_index: Which of several outputs.
        times: How many of all pairs of outputs to the question differ so.
        pairs: How many there are.
    """

    benchmark: str
    sample_id: str
    seeds: tuple[int | None, int | None]
    sample_index: int
    times: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Differing:
    """Two entries beside each other.

    Attributes:
        benchmarks: What both were asked, and `macro` where that is more than one.
        spots: Questions of the kind that was asked for, those first that differ for most seeds.
        cautions: In what the two evaluations differ beside their weights.
    """

    benchmarks: tuple[BenchmarkDifference, ...]
    spots: tuple[Spot, ...]
    cautions: tuple[str, ...]


def compare(
    a: Side,
    b: Side,
    *,
    benchmark: str | None = None,
    seed: int | None = None,
    only: Only = "differing",
) -> Differing:
    """Counts and tests on every benchmark that both were asked, and the questions of one kind.

    Args:
        a: the first entry.
        b: the second.
        benchmark: one benchmark instead of all.
        seed: one training seed of either instead of all.
        only: questions that only A has right, only B, neither, or exactly one of them (`differing`).

    Raises:
        InputError: they share no benchmark or no such seed, or were not asked the same questions.
    """
    names = _shared(a, b, benchmark)
    cautions = _cautions(a, b, names)
    single = {name: _Paired.of(a, b, (name,), seed) for name in names}
    found = [paired.summary(name) for name, paired in single.items()]
    if len(names) > 1 and seeds_on_all(a.group, names) and seeds_on_all(b.group, names):
        found.append(_Paired.of(a, b, names, seed).summary(MACRO))
    spots = [spot for name, paired in single.items() for spot in paired.spots(name, only)]
    return Differing(tuple(found), tuple(_mixed(spots)), cautions)


@dataclass(frozen=True, slots=True, eq=False)
class _Paired:
    """Both sides on some benchmarks with their seeds in pairs."""

    a: Side
    b: Side
    benchmarks: Sequence[str]
    pairs: SeedPairs

    @classmethod
    def of(cls, a: Side, b: Side, benchmarks: Sequence[str], seed: int | None) -> _Paired:
        seeds = seeds_on_all(a.group, benchmarks), seeds_on_all(b.group, benchmarks)
        pairs = seed_pairs(*seeds)
        if seed is not None:
            pairs = tuple(pair for pair in pairs if seed in pair)
        if not pairs:
            have = " and ".join(
                f"{side.name} {_listed(each)}" for side, each in zip((a, b), seeds, strict=True)
            )
            raise InputError(f"--seed {seed}: not on both sides; seeds on {', '.join(benchmarks)}: {have}")
        return cls(a, b, benchmarks, pairs)

    def summary(self, name: str) -> BenchmarkDifference:
        counts = np.zeros(4, dtype=np.int64)
        for benchmark in self.benchmarks:
            right_a, right_b = self._right(benchmark)
            counts += np.bincount((2 * right_a + right_b).ravel(), minlength=4)
        neither, only_b, only_a, both = counts.tolist()
        found = differences(self.a.group, self.b.group, self.benchmarks, self.pairs, "accuracy", 1.0)
        return BenchmarkDifference(
            benchmark=name,
            both=both,
            only_a=only_a,
            only_b=only_b,
            neither=neither,
            difference=paired_difference(found),
            seed_pairs=self.pairs,
            form_a=self._form(self.a, [pair[0] for pair in self.pairs]),
            form_b=self._form(self.b, [pair[1] for pair in self.pairs]),
        )

    def spots(self, benchmark: str, only: Only) -> Iterator[Spot]:
        right_a, right_b = self._right(benchmark)
        wanted = _WANTED[only](right_a, right_b)
        ids = self.a.group.outcomes[benchmark].question_ids
        times_Q = wanted.sum(axis=(0, 2))
        for question in np.flatnonzero(times_Q).tolist():
            pair, index = np.argwhere(wanted[:, question])[0].tolist()
            yield Spot(
                benchmark=benchmark,
                sample_id=str(ids[question]),
                seeds=self.pairs[pair],
                sample_index=index,
                times=int(times_Q[question]),
                pairs=wanted.shape[0] * wanted.shape[2],
            )

    def _right(self, benchmark: str) -> tuple[_Bools, _Bools]:
        """Which outputs are right: (pairs, questions, outputs), as many outputs as both have."""
        both = [
            _right(side.group.outcomes[benchmark], [pair[number] for pair in self.pairs])
            for number, side in enumerate((self.a, self.b))
        ]
        size = min(each.shape[2] for each in both)
        return both[0][:, :, :size], both[1][:, :, :size]

    def _form(self, side: Side, seeds: Sequence[int | None]) -> Form:
        found = [side.group.outcomes[benchmark] for benchmark in self.benchmarks]
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


def _right(outcomes: Outcomes, seeds: Seeds | Sequence[int | None]) -> _Bools:
    rows = [outcomes.seeds.index(seed) for seed in seeds]
    if outcomes.draws:
        return outcomes.draws.correct_SQk[rows]
    return outcomes.accuracy[rows][:, :, None] > 0


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


def _cautions(a: Side, b: Side, benchmarks: Sequence[str]) -> tuple[str, ...]:
    evaluated = [one for side in (a, b) for one in side.group.evaluated]
    lines = []
    for unlike in find_unlike([one for one in evaluated if one.evaluation.benchmark in benchmarks]):
        if unlike.aspect == "data":
            raise InputError(unlike.refusal().partition(", or show them")[0])
        lines.append(f"{unlike.of.entry.name} in {unlike.of.source}: {unlike.mark()}")
    return tuple(dict.fromkeys(lines))


def _mixed(spots: Sequence[Spot]) -> list[Spot]:
    """Most telling first: those of most seeds, the benchmarks in turn."""
    turns: dict[tuple[str, int], int] = {}
    keyed = []
    for spot in spots:
        turn = turns[spot.benchmark, spot.times] = turns.get((spot.benchmark, spot.times), -1) + 1
        keyed.append((-spot.times / spot.pairs, turn, spot))
    return [spot for _, _, spot in sorted(keyed, key=lambda each: each[:2])]


def _listed(seeds: Seeds) -> str:
    return ", ".join("none" if seed is None else str(seed) for seed in seeds)
