"""Who works on what: an owner's lock on a file, which a process loses when it ends, however it ends.

The kernel keeps the lock (`flock`), so that nothing has to be renewed and no dead owner is believed. Between
machines it holds where the file system passes locks on: NFS 4, and NFS 3 with its lock daemon, where a dead
machine's locks end with the server's lease. Where locks are not kept at all, the command refuses to work.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.errors import InputError

LOCK = ".lock"
"""Of a folder in which one process works."""
PARTS = (".*.part", ".*.partial", ".*.lock")
"""Names of what is being made, and of locks."""
say = logging.getLogger("harness").warning
"""One line for whoever watches, wherever a command's own reporter is out of reach."""


class Busy(Exception):
    """Another process has the lease; the message says which."""


def cache_dir() -> Path:
    """The user's cache, or `HARNESS_CACHE`; InputError where there is neither that nor a home."""
    import platformdirs

    try:
        return Path(os.environ.get("HARNESS_CACHE") or platformdirs.user_cache_dir("sftkey-harness"))
    except RuntimeError as error:
        raise InputError("no HOME that could hold the cache; set HARNESS_CACHE to a folder") from error


def moved_by(path: Path) -> str:
    """What moves a place of the cache to another; empty for other places."""
    cache = cache_dir()
    is_within = path.absolute().is_relative_to(cache.absolute()) or cache.is_relative_to(path)
    return f"the cache is {cache}: set HARNESS_CACHE to a folder that can be written" if is_within else ""


@contextmanager
def lease(path: Path, what: str, *, wait: bool = True) -> Iterator[None]:
    """Holds a job alone while the context lasts.

    Args:
        path: the lock's file, made for the time.
        what: the job, for the line that says who is waited for.
        wait: until another owner has it no more; else `Busy` is raised.

    Raises:
        Busy: another process has it, and is not to be waited for.
        InputError: the place cannot be written, or keeps no locks.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _locked(path, wait=False)
        if held is None and wait:
            say("waiting for %s, which has %s", _owner(path), what)
            held = _locked(path, wait=True)
    except OSError as error:
        said = f"cannot be written ({error.strerror}); {moved_by(path) or 'use another --out or store'}"
        raise InputError(f"{path.parent}: {said}") from error
    if held is None:
        raise Busy(_owner(path))
    try:
        os.truncate(held, 0)
        os.write(held, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(held)


def is_held(path: Path) -> bool:
    """Whether a process has the lease on a file."""
    return path.exists() and not is_free(path)


def is_free(path: Path) -> bool:
    """Whether what is half made has no owner any more."""
    try:
        held = owned(path, os.O_RDONLY)
    except OSError:
        return False
    if held is not None:
        os.close(held)
    return held is not None


def owned(path: Path, flags: int) -> int | None:
    """An open file or folder in which this process works; None where it has gone, or has another owner.

    Close it to give it up.
    """
    held = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), path.stat()):
            return held
    except OSError:
        pass  # another has it, it has gone, or no locks are kept here
    os.close(held)
    return None


def clear_leftovers(folder: Path, *patterns: str) -> list[Path]:
    """Removes what dead processes left half made in a folder, of some names or any; returns what that was."""
    removed = []
    for path in (found for pattern in patterns or PARTS for found in folder.glob(pattern)):
        with suppress(OSError):
            held = owned(path, os.O_RDONLY)
            if held is not None:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                os.close(held)
                removed.append(path)
    return removed


def _locked(path: Path, *, wait: bool) -> int | None:
    """The lock's open file; None where another has it and is not waited for."""
    while True:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        taken = False
        try:
            fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # Where the owner before has removed the file, whoever comes now makes and locks another.
            taken = os.path.samestat(os.fstat(held), path.stat())
        except BlockingIOError:
            return None
        except FileNotFoundError:
            continue
        finally:
            if not taken:
                os.close(held)
        if taken:
            return held


def _owner(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")[:100] or "another process"
    return "another process"
