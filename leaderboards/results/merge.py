"""Merges stored runs into one group per row of the board, refusing what does not belong together.

A group is one entry of one model with all its seeds. The same checkpoint stored by two runs counts once;
two results that contradict each other are an error, never an average.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from leaderboards.results.comparability import Aspect, Evaluated, Unlike, refuse_unlike
from leaderboards.results.outcomes import Block, Outcomes, load_samples, stack
from leaderboards.results.schema import Entry, Evaluation, RunResults, describe
from tasks.errors import InputError

Key = tuple[str, str, int | None]


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


@dataclass(frozen=True, slots=True)
class _Kept:
    run: int
    evaluated: Evaluated

    @property
    def entry(self) -> Entry:
        return self.evaluated.entry

    @property
    def evaluation(self) -> Evaluation:
        return self.evaluated.evaluation

    @property
    def source(self) -> str:
        return self.evaluated.source


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
    if not any(item.evaluation.n for item in kept.values()):
        raise InputError("no evaluated entry in the given runs; there is nothing to put on a leaderboard")
    unlike = refuse_unlike([item.evaluated for item in kept.values()], allowed)
    samples = load_samples(runs)
    blocks = {key: Block(item.entry, item.evaluation, samples[item.run]) for key, item in kept.items()}
    curves = _merge_curves(runs)
    return tuple(
        Group(
            name=name,
            model=model,
            entries=entries,
            evaluated=tuple(item.evaluated for (key, _), item in kept.items() if key[:2] == (model, name)),
            outcomes=_outcomes(entries, blocks),
            curves=_of_seeds(curves.get((model, name), runs[0].curves[:0]), entries),
            unlike=tuple(one for one in unlike if one.of.name == (model, name)),
        )
        for (model, name), entries in _by_name(kept).items()
    )


def _select(runs: Sequence[RunResults]) -> dict[tuple[Key, str], _Kept]:
    """Which run's samples stand for each (checkpoint, benchmark): the first that holds them."""
    kept: dict[tuple[Key, str], _Kept] = {}
    digests: dict[Key, tuple[str, str]] = {}
    for index, run in enumerate(runs):
        for entry in run.entries:
            key = (entry.model, entry.name, entry.seed)
            _same(digests.setdefault(key, (entry.digest, run.source)), entry, run.source)
            for evaluation in entry.evaluations:
                name = evaluation.benchmark
                if (key, name) not in kept:
                    kept[key, name] = _Kept(index, Evaluated(entry, evaluation, run.source))
                else:
                    _same_settings(kept[key, name], entry, evaluation, run.source)
    return kept


def _same(first: tuple[str, str], entry: Entry, source: str) -> None:
    digest, first_source = first
    if digest != entry.digest:
        raise InputError(
            f"{describe(entry.name, entry.seed)}: {first_source} and {source} hold different weights "
            f"(digests {digest[:12]} and {entry.digest[:12]}); give one run, or rename an entry"
        )


def _same_settings(kept: _Kept, entry: Entry, evaluation: Evaluation, source: str) -> None:
    def settings(of: Evaluation) -> tuple[object, ...]:
        return of.engine, of.dtype, of.generation, of.n, of.num_samples, of.scorer, of.data_digest

    if settings(kept.evaluation) != settings(evaluation):
        raise InputError(
            f"{describe(entry.name, entry.seed)} on {evaluation.benchmark}: {kept.source} and {source} "
            "evaluated it with different engines, data, generation settings or scorers; give only one of them"
        )


def _by_name(kept: dict[tuple[Key, str], _Kept]) -> dict[tuple[str, str], tuple[Entry, ...]]:
    """Entries of each (model, name), one per seed in the order of the seeds."""
    seeds: dict[tuple[str, str], dict[int | None, _Kept]] = {}
    for (key, _), item in kept.items():
        seeds.setdefault(key[:2], {}).setdefault(key[2], item)
    for items in seeds.values():
        _same_kind(list(items.values()))
    return {
        name: tuple(items[seed].entry for seed in sorted(items, key=lambda s: -1 if s is None else s))
        for name, items in seeds.items()
    }


def _same_kind(items: Sequence[_Kept]) -> None:
    first = items[0]
    for item in items[1:]:
        if None in (first.entry.seed, item.entry.seed):
            raise InputError(f"{first.entry.name}: stored both with and without a seed; rename one")
        for field in ("role", "tags", "tagged", "method"):
            here, there = getattr(first.entry, field), getattr(item.entry, field)
            if here != there:
                raise InputError(
                    f"{first.entry.name}: {field} is {here!r} in {first.source} and {there!r} in "
                    f"{item.source}; entries of one name must be alike, so rename one"
                )


def _of_seeds(curves: pd.DataFrame, entries: Sequence[Entry]) -> pd.DataFrame:
    """The curves of the seeds that stand in the row: one that was trained but not evaluated does not."""
    return curves[curves["seed"].isin([entry.seed for entry in entries])]


def _outcomes(entries: Sequence[Entry], blocks: dict[tuple[Key, str], Block]) -> dict[str, Outcomes]:
    stacked = {}
    for benchmark in dict.fromkeys(name for _, name in blocks):
        keys = [((entry.model, entry.name, entry.seed), benchmark) for entry in entries]
        found = [blocks[key] for key in keys if key in blocks]
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
