"""Which stored entries stand beside the runs of a board: those that were asked the same questions."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leaderboards.results.comparability import Aspect, Evaluated, find_unlike
from leaderboards.results.entry_files import STORED_DIR, EntryFile
from tasks.errors import InputError

if TYPE_CHECKING:
    from leaderboards.results.schema import Entry, Evaluation, RunResults


class Joined(NamedTuple):
    """Stored entries that belong on a board, cut to what it compares, and a line for others."""

    runs: tuple[RunResults, ...]
    lines: tuple[str, ...]


def join_entries(
    runs: Sequence[RunResults],
    entries: Sequence[EntryFile],
    stored: Path = STORED_DIR,
    allowed: Collection[Aspect] = (),
) -> Joined:
    """The stored evaluations of entries that were asked what these runs were asked.

    Args:
        runs: The runs of the board.
        entries: As `read_entries` gives them.
        stored: Folder with one folder an entry.
        allowed: In what their results may differ from the runs'.

    Returns:
        Runs to be read beside the others, and one line for entries that share a benchmark but are missing.
    """
    asked = {(e.benchmark, e.data_digest) for run in runs for entry in run.entries for e in entry.evaluations}
    present = {(entry.model, entry.name) for run in runs for entry in run.entries}
    names = {benchmark for benchmark, _ in asked}
    joined, missing, lines = [], [], []
    for entry in entries:
        folder = stored / entry.out.name
        if not (folder / "results.json").is_file():
            missing += [entry] if not entry.benchmarks or names & set(entry.benchmarks) else []
            continue
        found, line = _found(entry, folder, asked, present)
        if found and (unlike := _unlike(runs, found, allowed)):
            found, line = None, f"{entry.name} is left out: {unlike}"
        joined += [found] if found else []
        lines += [line] if line else []
    if missing:
        command = " ".join(f"--entry {entry.path}" for entry in missing)
        names_shown = ", ".join(entry.name for entry in missing)
        lines.append(f"entries not evaluated yet: {names_shown} (harness eval {command})")
    return Joined(tuple(joined), tuple(lines))


def _found(
    entry: EntryFile, folder: Path, asked: set[tuple[str, str]], present: set[tuple[str, str]]
) -> tuple[RunResults | None, str | None]:
    """A stored entry cut to what is compared; else why it is left out, where that is worth a word."""
    from leaderboards.results.store import read_results

    try:
        run = read_results(folder)
    except InputError as error:
        return None, f"{entry.name} is left out: {error}"
    if all((stored.model, stored.name) in present for stored in run.entries):
        return None, None
    kept = [_cut(stored, asked) for stored in run.entries if (stored.model, stored.name) not in present]
    kept = [stored for stored in kept if stored.evaluations]
    if kept:
        return _cut_run(run, kept), None
    names = {benchmark for benchmark, _ in asked}
    shared = {e.benchmark for stored in run.entries for e in stored.evaluations} & names
    if not shared:
        return None, None
    return None, (
        f"{entry.name} is left out: it was asked other questions of {', '.join(sorted(shared))}; evaluate it "
        f"with the same data and limit (harness eval --entry {entry.path} --limit N)"
    )


def _unlike(runs: Sequence[RunResults], found: RunResults, allowed: Collection[Aspect]) -> str | None:
    """Why a stored entry is not comparable with the runs of a board; None where it is, or may differ."""
    evaluated = [
        Evaluated(entry, evaluation, run.source)
        for run in (*runs, found)
        for entry in run.entries
        for evaluation in entry.evaluations
    ]
    differing = (one for one in find_unlike(evaluated) if found.source in (one.of.source, one.norm.source))
    return next((one.refusal() for one in differing if one.aspect not in allowed), None)


def _cut(entry: Entry, asked: set[tuple[str, str]]) -> Entry:
    def is_shared(evaluation: Evaluation) -> bool:
        return (evaluation.benchmark, evaluation.data_digest) in asked

    return dataclasses.replace(entry, evaluations=tuple(filter(is_shared, entry.evaluations)))


def _cut_run(run: RunResults, entries: Sequence[Entry]) -> RunResults:
    kept = {(entry.model, entry.name, e.benchmark) for entry in entries for e in entry.evaluations}
    rows = zip(run.samples["model"], run.samples["entry"], run.samples["benchmark"], strict=True)
    samples = run.samples[[row in kept for row in rows]].reset_index(drop=True)
    return dataclasses.replace(run, entries=tuple(entries), samples=samples)
