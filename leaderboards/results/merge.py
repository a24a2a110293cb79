"""Merges stored runs into one group per row of the board, refusing what does not belong together.

A group is one entry of one model with all its seeds. The same checkpoint stored by two runs counts once;
two results that contradict each other are an error, never an average.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from leaderboards.results.comparability import Aspect, Evaluated, Unlike, find_unlike
from leaderboards.results.outcomes import Outcomes, SeedSamples, contents_of, load_samples, stack
from leaderboards.results.schema import Entry, Evaluation, RunResults, describe
from leaderboards.results.tables import EvaluationKey
from tasks.errors import InputError

_SETTINGS = ("engine", "dtype", "generation", "n", "num_samples", "scorer", "data_digest")


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One entry of one model over its seeds: an `Entry` a seed, outcomes by benchmark, its curves' points.

    `unlike` says in what its results differ from most others, where the user allowed that.
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
    unlike = list(find_unlike(evaluated))
    if refused := next((one for one in unlike if one.aspect not in allowed), None):
        raise InputError(refused.refusal())
    samples = load_samples(runs)
    parts = {key: SeedSamples(key, one.evaluation, samples[run]) for key, (run, one) in kept.items()}
    repeated, curves = _any_repeated(parts), _merge_curves(runs)
    named: dict[tuple[str, str], list[Evaluated]] = {}
    for one in evaluated:
        named.setdefault(one.name, []).append(one)
    entries_of = {name: _entries(own) for name, own in named.items()}
    return tuple(
        Group(
            name=name,
            model=model,
            entries=entries,
            evaluated=tuple(named[model, name]),
            outcomes=_outcomes(entries, parts, repeated),
            curves=_curves(curves, model, name, entries),
            unlike=tuple(one for one in unlike if one.of.name == (model, name)),
        )
        for (model, name), entries in entries_of.items()
    )


def _select(runs: Sequence[RunResults]) -> dict[EvaluationKey, tuple[int, Evaluated]]:
    """The number of the run whose samples stand for each key, and the evaluation: the first that holds it."""
    kept: dict[EvaluationKey, tuple[int, Evaluated]] = {}
    digests: dict[tuple[str, str, int | None], tuple[str, str]] = {}
    for number, run in enumerate(runs):
        for entry in run.entries:
            of = (entry.model, entry.name, entry.seed)
            digest, source = digests.setdefault(of, (entry.digest, run.source))
            if digest != entry.digest:
                raise InputError(
                    f"{describe(entry.name, entry.seed)}: {source} and {run.source} hold different weights "
                    f"(digests {digest[:12]} and {entry.digest[:12]}); give one run, or rename an entry"
                )
            for evaluation in entry.evaluations:
                found = Evaluated(entry, evaluation, run.source)
                _, first = kept.setdefault((*of, evaluation.benchmark), (number, found))
                if any(getattr(first.evaluation, name) != getattr(evaluation, name) for name in _SETTINGS):
                    raise InputError(
                        f"{describe(entry.name, entry.seed)} on {evaluation.benchmark}: {first.source} and "
                        f"{run.source} evaluated it with different engines, data, generation settings or "
                        "scorers; give only one of them"
                    )
    return kept


def _entries(evaluated: Sequence[Evaluated]) -> tuple[Entry, ...]:
    """Those of one name, which must be alike: one per seed, in the order of the seeds."""
    seeds: dict[int | None, Evaluated] = {}
    for one in evaluated:
        seeds.setdefault(one.entry.seed, one)
    first, *others = seeds.values()
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
    return tuple(seeds[seed].entry for seed in sorted(seeds, key=lambda seed: -1 if seed is None else seed))


def _any_repeated(parts: Mapping[EvaluationKey, SeedSamples]) -> bool:
    """Whether any question stands several times in what is averaged; else nobody need look at contents."""
    of_benchmark = {name: part for (*_, name), part in parts.items()}
    found = [contents for part in of_benchmark.values() if (contents := contents_of(part)) is not None]
    known = np.concatenate([np.empty(0, np.int64), *(contents[contents >= 0] for contents in found)])
    return len(np.unique(known)) < len(known)


def _outcomes(
    entries: Sequence[Entry], parts: Mapping[EvaluationKey, SeedSamples], repeated: bool
) -> dict[str, Outcomes]:
    stacked = {}
    for benchmark in dict.fromkeys(name for *_, name in parts):
        keys = [(entry.model, entry.name, entry.seed, benchmark) for entry in entries]
        if found := [parts[key] for key in keys if key in parts]:
            stacked[benchmark] = stack(found, with_contents=repeated)
    return stacked


def _merge_curves(runs: Sequence[RunResults]) -> pd.DataFrame:
    """The points of all runs; for one seed the first run that holds a curve of it stands."""
    frames = [run.curves.assign(run=index) for index, run in enumerate(runs) if len(run.curves)]
    if not frames:
        return pd.DataFrame()
    points = pd.concat(frames, ignore_index=True)
    first = points.groupby(["model", "entry", "seed"])["run"].transform("min")
    return points[points["run"] == first]


def _curves(points: pd.DataFrame, model: str, name: str, entries: Sequence[Entry]) -> pd.DataFrame:
    """Those of the seeds that stand in the row: one that was trained but not evaluated does not."""
    if points.empty:
        return points
    own = points[(points["model"] == model) & (points["entry"] == name)]
    return own[own["seed"].isin([entry.seed for entry in entries])]
