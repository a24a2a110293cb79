"""One process at a time in a run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import InputError


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
            raise InputError(
                f"{folder}: another run works in this folder; wait for it or use --out"
            ) from error
        yield
