"""What is stored is believed only as it was written: each folder has a seal with the digests of its files.

The seal is written last, and names the folder too, so that what is cut short, altered, or in another's place
is seen when it is used. Large files are read once for each state of theirs: digests are remembered by path,
size, times and inode.
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
from tasks.reading import parse_json, read_json

SEAL = "seal.json"
_LARGE = 16 << 20
"""Bytes from which on a file's digest is remembered beyond this process."""
_ADDED = ("README.md", ".eval_results")
"""What is written into a sealed folder later, for the Hub."""


@contextmanager
def whole_folder(directory: Path, *, sealed: bool = True) -> Iterator[Path]:
    """An empty folder beside `directory`, which becomes it when the context ends well, and else is removed.

    Where another process has filled the place meanwhile, that one's folder stays: both are made from the same
    inputs, so either will do.

    Args:
        directory: the place.
        sealed: whether a seal is put into it, by which later damage is seen.
    """
    partial = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir(parents=True)
    held = owned(partial, os.O_RDONLY)
    try:
        yield partial
        if sealed:
            seal(partial, directory.name)
        try:
            partial.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if held is not None:
            os.close(held)


def seal(folder: Path, name: str) -> None:
    """Seals a folder that will have this name: nothing in it may change from now on."""
    files = {_relative(path, folder): sha256_of(path) for path in _files(folder)}
    content = {"folder": name, "files": files}
    text = json.dumps({**content, "sha256": _digest(content)}, indent=1, ensure_ascii=False)
    (folder / SEAL).write_text(text + "\n", encoding="utf-8")


def fault(folder: Path, *, moved: bool = False, remember: bool = True) -> str | None:
    """What is wrong with a sealed folder, as a clause; None where it is as it was written.

    Args:
        folder: the folder, which is there.
        moved: whether it may have another name now, and further files.
        remember: whether large files that have not changed need not be read again.
    """
    if not folder.is_dir():
        return "no folder"
    if not (folder / SEAL).is_file():
        return f"without {SEAL}"
    try:
        sealed = read_json(folder / SEAL)
        said = sealed.pop("sha256", None)
        if said != _digest(sealed):
            return f"{SEAL} is damaged"
        files: dict[str, str] = sealed["files"]
        if not moved and sealed["folder"] != folder.name:
            return f"it is {sealed['folder']} in another's place"
        there = {_relative(path, folder) for path in _files(folder)}
        if missing := sorted(set(files) - there):
            return f"without {missing[0]}"
        if not moved and (more := sorted(there - set(files))):
            return f"with {more[0]}, which does not belong to it"
        digest_of = sha256_of if remember else read_digest
        changed = (name for name, digest in files.items() if digest_of(folder / name) != digest)
        name = next(changed, None)
        return f"{name} is damaged" if name else None
    except (InputError, OSError, KeyError, TypeError, AttributeError):
        return f"{SEAL} is damaged"


def kept(directory: Path, make: Callable[[], object], what: str) -> Path:
    """A stored folder: the one that is there, if it is whole, or one made now.

    Of several processes that want it, one makes it, and the others wait.

    Args:
        directory: Its place.
        make: Makes it there.
        what: What it is, for the lines that say what is done.
    """
    if not (directory.is_dir() and fault(directory) is None):
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
    identity = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
    return _of_state(path.resolve(), identity)


def read_digest(path: Path) -> str:
    """SHA-256 of what a file holds now, read from the first byte to the last."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=4096)
def _of_state(path: Path, identity: tuple[int, ...]) -> str:
    if identity[0] < _LARGE:
        return read_digest(path)
    return remembered("digests", f"{path} {identity}", lambda: read_digest(path))


def remembered(kind: str, state: str, find: Callable[[], str]) -> str:
    """What was found out of a state of files before, or is found now; damaged memories are no memories.

    Args:
        kind: A folder of the cache.
        state: All that decides the answer.
        find: Gives the answer, a text.
    """
    memory = cache_dir() / kind / hashlib.sha256(state.encode()).hexdigest()
    try:
        known = parse_json(memory.read_bytes(), str(memory))
        if known["sha256"] == _digest([state, known["found"]]):
            return str(known["found"])
    except (OSError, InputError, KeyError, TypeError):
        pass
    found = find()
    memory.parent.mkdir(parents=True, exist_ok=True)
    write_whole(memory, json.dumps({"found": found, "sha256": _digest([state, found])}))
    return found


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder that its seal speaks of."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).parts[0] not in (SEAL, *_ADDED):
            yield path


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
