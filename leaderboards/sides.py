"""Which entry a user means: by name within runs, a run's folder, or `RUN_DIR:ENTRY`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from leaderboards.results.comparability import ASPECTS
from leaderboards.results.merge import Group, merge_runs
from leaderboards.results.schema import RESULTS_FILE, RunResults
from leaderboards.results.store import read_outcomes
from tasks.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One entry over its seeds, and the runs that hold it, at least one, cut to it."""

    group: Group
    runs: tuple[RunResults, ...]

    @property
    def name(self) -> str:
        """The entry's name."""
        return self.group.name


def find_sides(first: str, second: str, run_dirs: Sequence[Path]) -> tuple[Side, Side]:
    """The two entries that are meant.

    Args:
        first: `ENTRY`, `RUN_DIR`, or `RUN_DIR:ENTRY`; where a run holds an entry for several models,
            `ENTRY · MODEL`.
        second: as the first.
        run_dirs: the runs in which an entry is looked for that comes without one.

    Raises:
        InputError: one is not found or not the only one of its kind, both are the same, or a run cannot be
            read.
    """
    read = cache(read_outcomes)
    sides = []
    for text in (first, second):
        dirs, name = _placed(text, run_dirs)
        runs = [read(path) for path in dirs]
        sides.append(cut_side(runs, *_entry(text, name, runs)))
    # What tells one side from another: weights, and which evaluations of them.
    a, b = (
        {
            (each.name, each.digest, each.seed, *(run.source for run in side.runs))
            for each in side.group.entries
        }
        for side in sides
    )
    if a == b:
        raise InputError(f"{first} and {second} are the same entry; name two")
    return sides[0], sides[1]


def cut_side(runs: Sequence[RunResults], model: str, name: str) -> Side:
    """One entry of these runs; runs without it are left out."""
    held = []
    for run in runs:
        if entries := tuple(each for each in run.entries if (each.model, each.name) == (model, name)):
            rows = (run.samples["model"] == model) & (run.samples["entry"] == name)
            samples = run.samples[rows].reset_index(drop=True)
            held.append(dataclasses.replace(run, entries=entries, samples=samples, curves=run.curves[:0]))
    [group] = merge_runs(held, ASPECTS)
    return Side(group, tuple(held))


def _placed(text: str, run_dirs: Sequence[Path]) -> tuple[Sequence[Path], str | None]:
    """The runs to look in, and the entry's name where one was given."""
    if (Path(text) / RESULTS_FILE).is_file():
        return [Path(text)], None
    for position in (at for at, character in enumerate(text) if character == ":"):
        folder = Path(text[:position])
        if position and folder.is_dir():
            return [folder], text[position + 1 :]
    if not run_dirs:
        raise InputError(f"{text}: no run to look in; say --run RUN_DIR, or write RUN_DIR:{text}")
    return run_dirs, text


def _entry(text: str, name: str | None, runs: Sequence[RunResults]) -> tuple[str, str]:
    """Model and name of the entry that is meant."""
    held = {(entry.model, entry.name): entry.role for run in runs for entry in run.entries}
    where = ", ".join(run.source for run in runs)
    if name is None:
        keys = [key for key, role in held.items() if role != "base"] or list(held)
        if len(keys) != 1:
            names = ", ".join(dict.fromkeys(key[1] for key in keys)) or "none"
            raise InputError(f"{text}: which entry? write {text}:ENTRY; it holds {names}")
        return keys[0]
    found = [key for key in held if name in (key[1], f"{key[1]} · {key[0]}")]
    if not found:
        raise InputError(f"{where}: no entry '{name}'; {did_you_mean(name, {key[1] for key in held})}")
    if len(found) > 1:
        ways = " or ".join(f"'{entry} · {model}'" for model, entry in found)
        raise InputError(f"{where}: '{name}' is there for several models; write {ways}")
    return found[0]
