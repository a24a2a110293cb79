"""A run's folder: one process at a time works in it, and keeps its configuration and tag formats there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.config import Config, dump_config
from sftkey_train import processes
from tasks.errors import InputError
from tasks.files import write_whole
from tasks.tags import TAG_FORMATS, TagFormat, get_tag_format

FORMATS = "tag-formats"
"""Folder of the kept tag formats."""


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


@contextmanager
def run_folder(config: Config) -> Iterator[None]:
    """Makes the run's folder, stores the configuration, and keeps a second run out of it.

    Of the processes of one launch, the first does that for all.

    Raises:
        InputError: Another process works in it, or it cannot be written.
    """
    if not processes.is_first():
        yield
        return
    with locked(config.out):
        write_whole(config.out / "config.yaml", dump_config(config))
        yield


def keep_formats(run_dir: Path, tags: Iterable[str]) -> None:
    """Copies the files of tag formats that have no name of their own, so that outputs can be judged again."""
    for path in {Path(one) for one in tags if one not in TAG_FORMATS}:
        (run_dir / FORMATS).mkdir(exist_ok=True)
        shutil.copyfile(path, run_dir / FORMATS / f"{get_tag_format(str(path)).digest()[:16]}.yaml")


def format_of(run_dir: Path, name: str) -> TagFormat:
    """The tag format that a stored entry names.

    Raises:
        InputError: It is neither a named one nor kept in the run's folder.
    """
    kept = [get_tag_format(str(path)) for path in sorted((run_dir / FORMATS).glob("*.yaml"))]
    return next((one for one in kept if one.name == name), None) or get_tag_format(name)
