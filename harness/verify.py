"""Reads all that a run, a store or the cache holds, from the first byte to the last; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.config import CONFIG_FILE
from harness.files import EVALUATIONS, IN_THE_CACHE, IN_THE_STORE, PARTIAL, REFERENCES, STAGES
from leaderboards.results.schema import RESULTS_FILE
from tasks.errors import InputError
from tasks.leases import PARTS, is_free
from tasks.reading import read_json
from tasks.seals import fault, memory_fault, read_digest

GENERATIONS_FILE = "generations.sqlite"


_AGAIN = "the next run that needs it makes it again"
_ROOMS = {
    STAGES: "trained stage",
    REFERENCES: "reference model's view",
    EVALUATIONS: "evaluation",
    "corpora": "encoded training data",
}
"""Folders of sealed folders, and what one of them is."""
_MEMORIES = ("vetted", "digests")


@dataclass(frozen=True)
class Verified:
    """A stored thing that was looked at."""

    path: Path
    what: str  # its kind
    fault: str | None  # what is wrong with it, as a clause; None where it is whole
    then: str  # what becomes of it, where it is not


def verify(folder: Path) -> Iterator[Verified]:
    """Looks at everything that is stored in a run's folder, a store or the cache.

    Raises:
        InputError: There is no such folder, or nothing of ours in it.
    """
    looks = [look for name, look in _LOOKS.items() if os.path.lexists(folder / name)]
    if not looks:
        raise InputError(f"{folder}: no run's folder, no store and no cache; name one of these")
    for look in looks:
        yield from look(folder)
    if (folder / "store").is_dir():
        yield from verify(folder / "store")
    for room in (folder, *(folder / name for name in (*IN_THE_STORE, *IN_THE_CACHE))):
        for path in (found for pattern in PARTS for found in room.glob(pattern)):
            if is_free(path):
                yield Verified(path, "left half made", "its process is dead", "the next run removes it")


def _sealed(room: str) -> Callable[[Path], Iterator[Verified]]:
    def look(folder: Path) -> Iterator[Verified]:
        for path in sorted((folder / room).glob("[!.]*")):
            yield Verified(path, _ROOMS[room], fault(path, remember=False), _AGAIN)

    return look


def _saves(folder: Path) -> Iterator[Verified]:
    from sftkey_train.stored import save_fault

    for path in sorted((folder / PARTIAL).glob("*/*")):
        yield Verified(path, "save within a stage", save_fault(path), "the stage starts without it")


def _memories(room: str) -> Callable[[Path], Iterator[Verified]]:
    def look(folder: Path) -> Iterator[Verified]:
        for path in sorted((folder / room).glob("[!.]*")):
            yield Verified(path, "memory of what was checked", memory_fault(path), "it is checked again")

    return look


def _generations(folder: Path) -> Iterator[Verified]:
    from harness.evaluation.generations import GenerationStore

    path = folder / GENERATIONS_FILE
    try:
        with GenerationStore(path, read_only=True) as store:
            damaged, total = store.damage()
        said = f"{damaged} of {total} completions are damaged" if damaged else None
        yield Verified(path, "completions", said, "the next run that needs them generates them again")
    except InputError as error:
        yield Verified(path, "completions", str(error), "runs that need it refuse to begin")


def _results(folder: Path) -> Iterator[Verified]:
    from harness.config import stored_config
    from leaderboards import read_results
    from tasks.tags import format_of

    path = folder / RESULTS_FILE
    try:
        run = read_results(folder)
        for name in {entry.tags for entry in run.entries}:
            format_of(folder, name)
        yield Verified(path, "results", None, "")
    except InputError as error:
        yield Verified(path, "results", str(error), "leaderboard, rescore and card refuse it")
        return
    try:
        stored_config(run)
        there = (folder / CONFIG_FILE).is_file()
        same = run.config is None or (there and (folder / CONFIG_FILE).read_bytes() == run.config.encode())
        said = None if same else "not that of the results, which hold their own"
        yield Verified(folder / CONFIG_FILE, "configuration", said, "reports take that of the results")
    except InputError as error:
        yield Verified(folder / CONFIG_FILE, "configuration", str(error), "leaderboard and card refuse it")


def _report(folder: Path) -> Iterator[Verified]:
    from leaderboards.report.write import MANIFEST_FILE

    try:
        files = read_json(folder / "leaderboard" / MANIFEST_FILE)["files"]
        for name, digest in dict(files).items():
            path = folder / "leaderboard" / name
            said = None if path.is_file() and read_digest(path) == digest else "not as it was written"
            yield Verified(path, "report", said, f"harness leaderboard {folder} writes it again")
    except (InputError, KeyError, TypeError, ValueError) as error:
        path = folder / "leaderboard" / MANIFEST_FILE
        yield Verified(path, "report", str(error), f"harness leaderboard {folder} writes it again")


_LOOKS: dict[str, Callable[[Path], Iterator[Verified]]] = {
    CONFIG_FILE: lambda folder: iter(()),
    "store": lambda folder: iter(()),
    RESULTS_FILE: _results,
    "leaderboard": _report,
    **{room: _sealed(room) for room in _ROOMS},
    PARTIAL: _saves,
    GENERATIONS_FILE: _generations,
    **{room: _memories(room) for room in _MEMORIES},
}
"""By the name whose presence asks for it."""
