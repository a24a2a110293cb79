"""Merges stored runs into one group per row of the board, refusing what does not belong together.

A group is one entry of one model with all its seeds. The same checkpoint stored by two runs counts once;
two results that contradict each other are an error, never an average.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from leaderboards.results.comparability import Aspect, Evaluated, Unlike, refuse_unlike
from leaderboards.results.outcomes import Outcomes, SeedSamples, load_samples, stack
from leaderboards.results.schema import Entry, Evaluation, RunResults, describe
from tasks.errors import InputError

CheckpointKey = tuple[str, str, int | None]
"""Model, entry, seed."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One entry of one model, over its seeds.

    Attributes:
        name: Of the entry.
        model: Of the entry.
        entries: One a seed.
        evaluated: Its evaluations, and the runs that hold them.
        outcomes: By benchmark.
        curves: Points of its training.
        unlike: In what its results differ from most others, where the user allowed that.
    """

    name: str
    model: str
    entries: tuple[Entry, ...]
    evaluated: tuple[Evaluated, ...]
    outcomes: dict[str, Outcomes]
    curves: pd.DataFrame
    unlike: tuple[Unlike, ...] = ()

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """All of them, over seeds and benchmarks."""
        return tuple(one.evaluation for one in self.evaluated)

    def is_comparable(self, benchmark: str) -> bool:
        """Whether it was asked this benchmark, and the questions that most were asked."""
        apart = {one.benchmark for one in self.unlike if one.aspect == "data"}
        return benchmark in self.outcomes and benchmark not in apart


_Kept = dict[tuple[CheckpointKey, str], tuple[int, Evaluated]]
"""For each checkpoint and benchmark the number of the run whose samples stand for it, and the evaluation."""


def merge_runs(runs: Sequence[RunResults], allowed: Collection[Aspect] = ()) -> tuple[Group, ...]:
    """Groups all entries of all runs by model and name, in the order in which they first appear.

    Args:
        runs: the stored runs.
        allowed: in what results may differ from each other (see `comparability`).

    Raises:
        InputError: runs that contradict each other (another weights digest, engine or role for one entry,
            other questions for another seed), or results that are not comparable.
    """
    kept = _select(runs)
    evaluated = [one for _, one in kept.values()]
    if not any(one.evaluation.n for one in evaluated):
        raise InputError("no evaluated entry in the given runs; there is nothing to put on a leaderboard")
    unlike = refuse_unlike(evaluated, allowed)
    samples = load_samples(runs)
    parts = {key: SeedSamples(one.entry, one.evaluation, samples[run]) for key, (run, one) in kept.items()}
    curves = _merge_curves(runs)
    return tuple(
        Group(
            name=name,
            model=model,
            entries=entries,
            evaluated=tuple(one for one in evaluated if one.name == (model, name)),
            outcomes=_outcomes(entries, parts),
            curves=_of_seeds(curves.get((model, name), pd.DataFrame()), entries),
            unlike=tuple(one for one in unlike if one.of.name == (model, name)),
        )
        for (model, name), entries in _by_name(evaluated).items()
    )


def _select(runs: Sequence[RunResults]) -> _Kept:
    """Which run's samples stand for each (checkpoint, benchmark): the first that holds them."""
    kept: _Kept = {}
    digests: dict[CheckpointKey, tuple[str, str]] = {}
    for number, run in enumerate(runs):
        for entry in run.entries:
            key = (entry.model, entry.name, entry.seed)
            _same(digests.setdefault(key, (entry.digest, run.source)), entry, run.source)
            for evaluation in entry.evaluations:
                found = Evaluated(entry, evaluation, run.source)
                _, first = kept.setdefault((key, evaluation.benchmark), (number, found))
                _same_settings(first, found)
    return kept


def _same(first: tuple[str, str], entry: Entry, source: str) -> None:
    digest, first_source = first
    if digest != entry.digest:
        raise InputError(
            f"{describe(entry.name, entry.seed)}: {first_source} and {source} hold different weights "
            f"(digests {digest[:12]} and {entry.digest[:12]}); give one run, or rename an entry"
        )


def _same_settings(first: Evaluated, other: Evaluated) -> None:
    def settings(one: Evaluated) -> tuple[object, ...]:
        of = one.evaluation
        return of.engine, of.dtype, of.generation, of.n, of.num_samples, of.scorer, of.data_digest

    if settings(first) != settings(other):
        entry = other.entry
        raise InputError(
            f"{describe(entry.name, entry.seed)} on {other.evaluation.benchmark}: {first.source} and "
            f"{other.source} evaluated it with different engines, data, generation settings or scorers; give "
            "only one of them"
        )


def _by_name(evaluated: Sequence[Evaluated]) -> dict[tuple[str, str], tuple[Entry, ...]]:
    """Entries of each (model, name), one per seed in the order of the seeds."""
    seeds: dict[tuple[str, str], dict[int | None, Evaluated]] = {}
    for one in evaluated:
        seeds.setdefault(one.name, {}).setdefault(one.entry.seed, one)
    for found in seeds.values():
        _same_kind(list(found.values()))
    return {
        name: tuple(found[seed].entry for seed in sorted(found, key=lambda s: -1 if s is None else s))
        for name, found in seeds.items()
    }


def _same_kind(evaluated: Sequence[Evaluated]) -> None:
    first, *others = evaluated
    for one in others:
        if None in (first.entry.seed, one.entry.seed):
            raise InputError(f"{first.entry.name}: stored both with and without a seed; rename one")
        for field in ("role", "tags", "tagged", "method"):
            here, there = getattr(first.entry, field), getattr(one.entry, field)
            if here != there:
                raise InputError(
                    f"{first.entry.name}: {field} is {here!r} in {first.source} and {there!r} in "
                    f"{one.source}; entries of one name must be alike, so rename one"
                )


def _of_seeds(curves: pd.DataFrame, entries: Sequence[Entry]) -> pd.DataFrame:
    """The curves of the seeds that stand in the row: one that was trained but not evaluated does not."""
    return curves if curves.empty else curves[curves["seed"].isin([entry.seed for entry in entries])]


def _outcomes(
    entries: Sequence[Entry], parts: dict[tuple[CheckpointKey, str], SeedSamples]
) -> dict[str, Outcomes]:
    stacked = {}
    for benchmark in dict.fromkeys(name for _, name in parts):
        keys = [((entry.model, entry.name, entry.seed), benchmark) for entry in entries]
        found = [parts[key] for key in keys if key in parts]
        if found:
            stacked[benchmark] = stack(found)
    return stacked


def _merge_curves(runs: Sequence[RunResults]) -> dict[tuple[str, str], pd.DataFrame]:
    """The points of each (model, entry); for one seed the first run that holds a curve of it stands."""
    frames = [run.curves.assign(run=index) for index, run in enumerate(runs) if len(run.curves)]
    if not frames:
        return {}
    points = pd.concat(frames, ignore_index=True)
    first = points.groupby(["model", "entry", "seed"])["run"].transform("min")
    kept = points[points["run"] == first]
    parts = (part for _, part in kept.groupby(["model", "entry"]))
    return {(part["model"].iloc[0], part["entry"].iloc[0]): part for part in parts}
