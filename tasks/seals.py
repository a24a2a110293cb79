"""What is stored is believed only as it was written: each folder has a seal with the digests of its files.

The seal is written last, and names the folder too, so that what is cut short, altered, or in another's place
is seen when it is used. Large files are read once for each state of theirs: digests are remembered by size,
times, device and inode.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from tasks.errors import InputError
from tasks.files import cache_dir, remove, write_whole
from tasks.leases import lease, owned, say
from tasks.reading import read_json

SEAL = "seal.json"
_LARGE = 16 << 20
"""Bytes from which on a file's digest is remembered beyond this process."""
_ADDED = ("README.md", ".eval_results")
"""What is written into a sealed folder later, for the Hub."""


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """An empty folder beside a place, for this process alone; removed when the context ends.

    Where the process is killed, whoever comes next removes it (`leases.clear_leftovers`).
    """
    folder = beside.with_name(f".{beside.name}.{secrets.token_hex(4)}.partial")
    folder.mkdir(parents=True)
    held = owned(folder, os.O_RDONLY)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


@contextmanager
def whole_folder(directory: Path, *, sealed: bool = True) -> Iterator[Path]:
    """An empty folder that becomes `directory` when the context ends well, and else is removed.

    Where another process has filled the place meanwhile, that one's folder stays: both are made from the same
    inputs, so either will do.

    Args:
        directory: the place.
        sealed: whether a seal is put into it, by which later damage is seen.
    """
    with scratch_folder(directory) as partial:
        yield partial
        if sealed:
            seal(partial, directory.name)
        try:
            partial.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise


def seal(folder: Path, name: str) -> None:
    """Seals a folder whose place has this name: nothing in it may change from now on."""
    files = {name: sha256_of(path) for name, path in _files(folder).items()}
    content = {"folder": name, "files": files}
    text = json.dumps({**content, "sha256": content_digest(content)}, indent=1, ensure_ascii=False)
    (folder / SEAL).write_text(text + "\n", encoding="utf-8")


def own_fault(folder: Path) -> str | None:
    """What is wrong with a folder that may be ours, with files of others; None for one that never was."""
    try:
        name = read_json(folder / SEAL)["folder"]
    except (InputError, KeyError):
        return f"{SEAL} is damaged" if (folder / SEAL).exists() else None
    return fault(folder, others=True) if name == folder.name else None


def fault(
    folder: Path, name: str | None = None, *, others: bool = False, remember: bool = True
) -> str | None:
    """What is wrong with a sealed folder, as a clause; None where it is as it was written.

    Args:
        folder: the folder, which is there.
        name: of its place, as it was sealed; its own where None.
        others: whether it may hold further files.
        remember: whether large files that have not changed need not be read again.
    """
    if not folder.is_dir():
        return "no folder"
    if not (folder / SEAL).is_file():
        return f"without {SEAL}"
    try:
        sealed = read_json(folder / SEAL)
        said = sealed.pop("sha256", None)
        if said != content_digest(sealed):
            return f"{SEAL} is damaged"
        files: dict[str, str] = sealed["files"]
        if sealed["folder"] != (name or folder.name):
            return f"it is {sealed['folder']} in another's place"
        there, digest_of = _files(folder), sha256_of if remember else read_digest
        for name, digest in files.items():
            if name not in there:
                return f"without {name}"
            if digest_of(there[name]) != digest:
                return f"{name} is damaged"
        more = None if others else next((name for name in there if name not in files), None)
        return f"with {more}, which does not belong to it" if more else None
    except (InputError, OSError, KeyError, TypeError, AttributeError):
        return f"{SEAL} is damaged"


def is_whole(folder: Path) -> bool:
    """Whether a stored folder is there, as it was written."""
    return folder.is_dir() and fault(folder) is None


def kept(directory: Path, make: Callable[[], object], what: str) -> Path:
    """A stored folder: the one that is there, if it is whole, or one made now.

    Of several processes that want it, one makes it, and the others wait.

    Args:
        directory: Its place.
        make: Makes it there.
        what: What it is, for the lines that say what is done.
    """
    if not is_whole(directory):
        with lease(lock_of(directory), what):
            if not usable(directory, what):
                make()
    return directory


def lock_of(directory: Path) -> Path:
    """The lock's file of whoever makes a stored folder."""
    return directory.with_name(f".{directory.name}.lock")


def usable(directory: Path, what: str) -> bool:
    """Whether a stored folder is there and whole; a damaged one is removed, with a line that says so.

    To be asked by whoever has the lease on it.
    """
    if not directory.exists() and not directory.is_symlink():
        return False
    wrong = fault(directory)
    if wrong is None:
        return True
    say("%s: %s, so %s is made again", directory, wrong, what)
    remove(directory)
    return False


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits; of a large file remembered by its state."""
    state = path.stat()
    times = state.st_mtime_ns, state.st_ctime_ns  # the second cannot be set back
    return _of_state(path.resolve(), (state.st_size, *times, state.st_dev, state.st_ino))


def read_digest(path: Path) -> str:
    """SHA-256 of what a file holds now, read from the first byte to the last."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=4096)
def _of_state(path: Path, identity: tuple[int, ...]) -> str:
    if identity[0] < _LARGE:
        return read_digest(path)
    # Without the path: a folder is sealed before it is moved to its place.
    return remembered("digests", str(identity), lambda: read_digest(path))


def remembered(kind: str, state: str, find: Callable[[], str]) -> str:
    """What was found out of a state of files before, or is found now; damaged memories are no memories.

    Args:
        kind: A folder of the cache.
        state: All that decides the answer.
        find: Gives the answer, a text.
    """
    memory = cache_dir() / kind / hashlib.sha256(state.encode()).hexdigest()
    if memory.exists() and memory_fault(memory) is None:
        return str(read_json(memory)["found"])
    found = find()
    memory.parent.mkdir(parents=True, exist_ok=True)
    remove(memory)
    write_whole(memory, json.dumps({"found": found, "sha256": content_digest([memory.name, found])}))
    return found


def memory_fault(memory: Path) -> str | None:
    """What is wrong with what was remembered; None where it can be believed."""
    try:
        known = read_json(memory)
        is_whole = known["sha256"] == content_digest([memory.name, known["found"]])
        return None if is_whole else "not as it was written"
    except (InputError, KeyError):
        return "cannot be read"


def _files(folder: Path) -> dict[str, Path]:
    """The files of a folder that its seal speaks of, by their names within it."""
    files = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name.as_posix(): path for name, path in files.items() if name.parts[0] not in (SEAL, *_ADDED)}


def content_digest(content: object) -> str:
    """SHA-256 of what can be written as JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
