"""Merges stored runs into one group per row of the board, refusing what does not belong together.

A group is one entry of one model with all its seeds. The same checkpoint stored by two runs counts once;
two results that contradict each other are an error, never an average.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.curves import merge_curves
from leaderboards.results import Entry, Evaluation, RunResults, describe
from tasks.errors import InputError

_OUTCOMES = ["accuracy", "accuracy_strict", "format_valid", "truncated", "output_tokens"]
_KEPT = ["entry", "model", "seed", "benchmark", "sample_id", *_OUTCOMES, "defects"]

Key = tuple[str, str, int | None]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One row of the board on one benchmark: arrays of shape (S seeds, Q questions), questions in order."""

    seeds: tuple[int | None, ...]
    question_ids: NDArray[np.object_]
    accuracy: NDArray[np.float64]
    accuracy_strict: NDArray[np.float64]
    format_valid: NDArray[np.float64]
    truncated: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    defects: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One entry of one model, over its seeds; `outcomes` by benchmark, `curves` points of its training."""

    name: str
    model: str
    entries: tuple[Entry, ...]
    evaluations: tuple[Evaluation, ...]
    outcomes: dict[str, Outcomes]
    curves: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Kept:
    source: str
    entry: Entry
    evaluation: Evaluation


def merge_runs(runs: Sequence[RunResults]) -> tuple[Group, ...]:
    """Groups all entries of all runs by model and name, in the order in which they first appear.

    Raises:
        InputError: runs that contradict each other: another data digest for one benchmark, another weights
            digest, generation settings or role for one entry, or other questions for another seed.
    """
    kept, selected = _select(runs)
    if not any(item.evaluation.n for item in kept.values()):
        raise InputError("no evaluated entry in the given runs; there is nothing to put on a leaderboard")
    frame = pd.concat([run.samples[_KEPT] for run in runs], ignore_index=True)
    frame["run"] = np.repeat(np.arange(len(runs)), [len(run.samples) for run in runs])
    blocks = _blocks(frame, selected)
    defects = _defect_counts(frame, np.concatenate(list(blocks.values())))
    curves = merge_curves(runs)
    return tuple(
        Group(
            name=name,
            model=model,
            entries=entries,
            evaluations=tuple(item.evaluation for (key, _), item in kept.items() if key[:2] == (model, name)),
            outcomes=_outcomes(entries, frame, blocks, defects),
            curves=_of_seeds(curves.get((model, name), runs[0].curves[:0]), entries),
        )
        for (model, name), entries in _by_name(kept).items()
    )


def _select(
    runs: Sequence[RunResults],
) -> tuple[dict[tuple[Key, str], _Kept], set[tuple[int, Key, str]]]:
    """Which run's samples stand for each (checkpoint, benchmark): the first that holds them."""
    kept: dict[tuple[Key, str], _Kept] = {}
    selected: set[tuple[int, Key, str]] = set()
    digests: dict[Key, tuple[str, str]] = {}
    data: dict[str, tuple[str, str]] = {}
    for index, run in enumerate(runs):
        for entry in run.entries:
            key = (entry.model, entry.name, entry.seed)
            _same(digests.setdefault(key, (entry.digest, run.source)), entry, run.source)
            for evaluation in entry.evaluations:
                name = evaluation.benchmark
                first_digest, first_source = data.setdefault(name, (evaluation.data_digest, run.source))
                if first_digest != evaluation.data_digest:
                    raise InputError(
                        f"{name}: {first_source} and {run.source} used different data (digests "
                        f"{first_digest[:12]} and {evaluation.data_digest[:12]}); evaluate all entries on one"
                    )
                if (key, name) not in kept:
                    kept[key, name] = _Kept(run.source, entry, evaluation)
                    selected.add((index, key, name))
                else:
                    _same_settings(kept[key, name], entry, evaluation, run.source)
    return kept, selected


def _same(first: tuple[str, str], entry: Entry, source: str) -> None:
    digest, first_source = first
    if digest != entry.digest:
        raise InputError(
            f"{describe(entry.name, entry.seed)}: {first_source} and {source} hold different weights "
            f"(digests {digest[:12]} and {entry.digest[:12]}); give one run, or rename an entry"
        )


def _same_settings(kept: _Kept, entry: Entry, evaluation: Evaluation, source: str) -> None:
    def settings(of: Evaluation) -> tuple[object, ...]:
        return of.engine, of.dtype, of.generation, of.n

    if settings(kept.evaluation) != settings(evaluation):
        raise InputError(
            f"{describe(entry.name, entry.seed)} on {evaluation.benchmark}: {kept.source} and {source} "
            "evaluated it with different engines or generation settings; give only one of the runs"
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


def _blocks(
    frame: pd.DataFrame, selected: set[tuple[int, Key, str]]
) -> dict[tuple[Key, str], NDArray[np.intp]]:
    """Row positions of each selected (checkpoint, benchmark), ordered by question."""
    keys = ["run", "model", "entry", "seed", "benchmark"]
    group_N = frame.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()
    frame["question"] = pd.factorize(frame["sample_id"])[0]
    order_N = np.lexsort((frame["question"].to_numpy(), group_N))
    starts = np.flatnonzero(np.diff(group_N[order_N], prepend=-1))
    blocks = {}
    for positions in np.split(order_N, starts[1:]):
        run, model, entry, seed, benchmark = frame.loc[positions[0], keys]
        key = (model, entry, None if pd.isna(seed) else int(seed))
        if (int(run), key, benchmark) in selected:
            blocks[key, benchmark] = positions
    return blocks


def _defect_counts(
    frame: pd.DataFrame, positions: NDArray[np.intp]
) -> dict[tuple[str, str, str], tuple[tuple[str, int], ...]]:
    """Defects of each (model, entry, benchmark), the most frequent first."""
    names = ["model", "entry", "benchmark", "defects"]
    exploded = frame.loc[positions, names].explode("defects").dropna(subset="defects")
    counts: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
    sizes = exploded.groupby(names).size().sort_values(ascending=False, kind="stable").reset_index(name="n")
    for model, entry, benchmark, defect, n in sizes.itertuples(index=False):
        counts.setdefault((model, entry, benchmark), []).append((defect, int(n)))
    return {key: tuple(value) for key, value in counts.items()}


def _outcomes(
    entries: Sequence[Entry],
    frame: pd.DataFrame,
    blocks: dict[tuple[Key, str], NDArray[np.intp]],
    defects: dict[tuple[str, str, str], tuple[tuple[str, int], ...]],
) -> dict[str, Outcomes]:
    stacked = {}
    for benchmark in dict.fromkeys(name for _, name in blocks):
        of_seed = [
            (entry, blocks.get(((entry.model, entry.name, entry.seed), benchmark))) for entry in entries
        ]
        found = [(entry, positions) for entry, positions in of_seed if positions is not None]
        if found:
            stacked[benchmark] = _stack(found, frame, benchmark, defects)
    return stacked


def _stack(
    seed_blocks: Sequence[tuple[Entry, NDArray[np.intp]]],
    frame: pd.DataFrame,
    benchmark: str,
    defects: dict[tuple[str, str, str], tuple[tuple[str, int], ...]],
) -> Outcomes:
    """Stacks the seeds of one row on one benchmark after checking that all were asked the same."""
    entry, first = seed_blocks[0]
    ids = frame["sample_id"].to_numpy(dtype=object)
    for other, positions in seed_blocks[1:]:
        names = (describe(entry.name, entry.seed), describe(other.name, other.seed))
        check_same_questions(ids[first], ids[positions], names, benchmark)
    columns = {name: frame[name].to_numpy() for name in _OUTCOMES}
    arrays = {
        name: np.stack([column[positions] for _, positions in seed_blocks]).astype(np.float64)
        for name, column in columns.items()
    }
    return Outcomes(
        seeds=tuple(entry.seed for entry, _ in seed_blocks),
        question_ids=ids[first],
        defects=defects.get((entry.model, entry.name, benchmark), ()),
        **arrays,
    )


def check_same_questions(
    left: NDArray[np.object_], right: NDArray[np.object_], names: tuple[str, str], benchmark: str
) -> None:
    """Raises InputError unless both entries answered exactly the same questions, in the same order."""
    if len(left) == len(right) and bool((left == right).all()):
        return
    only_left, only_right = sorted(set(left) - set(right)), sorted(set(right) - set(left))
    example, owner = (only_left[0], names[0]) if only_left else (only_right[0], names[1])
    raise InputError(
        f"{benchmark}: {names[0]} and {names[1]} were not asked the same questions "
        f"(sample {example} only by {owner}); evaluate both with the same data and --limit"
    )
