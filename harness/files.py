"""A run's folder: one process at a time works in it, and keeps its configuration there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.config import Config, dump_config
from sftkey_train import distributed
from tasks.errors import InputError
from tasks.files import write_whole


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes a run's folder, and keeps others out of it; the lock ends with the process, however it ends.

    Raises:
        InputError: Another process works in it, or it cannot be written.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); use another --out") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            said = "another run works in this folder; wait for it or use --out"
            raise InputError(f"{folder}: {said}") from error
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
        write_whole(config.out / "config.yaml", dump_config(config))
        _held.add(folder)
        try:
            yield
        finally:
            _held.remove(folder)
