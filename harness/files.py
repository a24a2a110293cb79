"""A run's folder and store: who works there, and what those left behind who were killed at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from harness.config import CONFIG_FILE, Config, dump_config
from sftkey_train import distributed
from sftkey_train.stored import PROGRESS
from tasks.errors import InputError
from tasks.files import cache_dir, remove, write_whole
from tasks.leases import LOCK, Busy, clear_leftovers, lease
from tasks.seals import lock_of


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Makes a folder, keeps others out of it, and removes what dead processes left half made there.

    Raises:
        InputError: Another process works in it and is not to be waited for, or it cannot be written.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(lease(folder / LOCK, str(folder), wait=wait))
        except Busy as error:
            said = "another run works in this folder; wait for it or use --out"
            raise InputError(f"{folder}: {said} ({error})") from error
        clear_leftovers(folder)
        yield


_held: set[Path] = set()
"""Folders of the run that this process is in: its steps may be called one by one, or within the whole."""


@contextmanager
def run_folder(config: Config) -> Iterator[None]:
    """Makes the run's folder, stores the configuration, and keeps a second run out of it.

    Of the processes of one launch, the first does that for all.

    Raises:
        InputError: Another process works in it, or it cannot be written.
    """
    folder = config.out.resolve()
    if folder in _held or not distributed.is_first():
        yield
        return
    with locked(config.out):
        write_whole(config.out / CONFIG_FILE, dump_config(config))
        _clear_stores(config)
        _held.add(folder)
        try:
            yield
        finally:
            _held.remove(folder)


STAGES, PARTIAL, REFERENCES, EVALUATIONS = "stages", "partial", "references", "evaluations"
"""Rooms of a store: trained stages, saves within stages, reference models' views, judged outputs."""
IN_THE_STORE = (STAGES, REFERENCES, EVALUATIONS, "merged")
IN_THE_CACHE = ("base", "tokenizer", "corpora", "views", "vetted", "digests")


def _clear_stores(config: Config) -> None:
    """Removes what nobody works on, and nobody can go on from; whole saves within stages stay."""
    store = config.store_dir
    rooms = [store / name for name in IN_THE_STORE] + [cache_dir() / name for name in IN_THE_CACHE]
    for room in (store, *rooms):
        clear_leftovers(room)
    for scratch in (store / PARTIAL).glob("*"):
        stage = store / STAGES / scratch.name
        with suppress(Busy), lease(lock_of(stage), scratch.name, wait=False):
            if stage.is_dir() or not any(scratch.glob(f"*/{PROGRESS}")):
                remove(scratch)
