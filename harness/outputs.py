"""Where a command may write: into a folder that can be made, never over what it reads or others keep.

What is foreign in a folder stays: our files are written beside it, and a folder is refused where somebody
else's file has one of their names. All is asked before anything is made, so that `--dry-run` finds it too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from harness.config import CONFIG_FILE
from leaderboards.results.schema import RESULTS_FILE, SAMPLES_FILE
from tasks.errors import InputError
from tasks.reading import read_yaml
from tasks.tables import ENDINGS

_NOT_FOR_FILES = ("/proc", "/sys", "/dev")
_KEPT = {
    "a run's results": (RESULTS_FILE, SAMPLES_FILE),
    "a store": ("generations.sqlite", "stages/", "evaluations/"),
    "a model": ("config.json", "adapter_config.json", "*.safetensors"),
    "benchmark data": tuple(f"*/{name}{end}" for name in ("train", "test", "validation") for end in ENDINGS),
}
"""What a folder may hold that is not to be mixed with other things, and by what it is known."""


def check_run_folder(folder: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Refuses (InputError) a folder that a run cannot be kept in, or that the run reads; makes nothing."""
    _check(folder, inputs, [kind for kind in _KEPT if kind != "a run's results"])
    if not _is_run(folder):
        _refuse_others(folder, (CONFIG_FILE, RESULTS_FILE, "leaderboard"), "was written by no run")


def check_report_folder(folder: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Likewise of a report."""
    _check(folder, inputs, _KEPT)
    if not (folder / "leaderboard.json").exists():
        _refuse_others(folder, ("manifest.json", "leaderboard.md"), "belongs to no report")


def check_card_file(path: Path) -> None:
    """Refuses (InputError) to put a card in the place of anything but another one, or some other `.md`."""
    check_folder(path.parent)
    if os.path.lexists(path) and not (path.is_file() and path.suffix.lower() == ".md"):
        raise InputError(f"--out {path}: is there and is no card; give a name that ends in .md")


def check_folder(folder: Path, option: str = "--out") -> None:
    """Refuses (InputError) a folder that cannot be made, or not be written in."""
    try:
        fault = _fault(folder)
    except OSError as error:  # such as the folder that one stands in, which has gone
        fault = f"cannot be used ({error.strerror})"
    if fault:
        raise InputError(f"{option} {str(folder)[:200]!r}: {fault}; name another folder")


def refuse_overwriting(out: Path | None, inputs: Iterable[Path | None], option: str = "--out") -> None:
    """Refuses (InputError) to write to what is read, under whatever name: by links, `..`, /dev/stdin."""
    if out is not None and not str(out).isprintable():
        raise InputError(f"{option} {str(out)!r}: holds characters that no name should have")
    for read in inputs:
        if out is not None and read is not None and _same(out, read):
            raise InputError(f"{option} {out}: is what is read ({read}); write elsewhere")


def refuse_nesting(out: Path, inputs: Iterable[Path]) -> None:
    """Refuses (InputError) a folder that is one of those that are read, holds one or lies in one."""
    for read in inputs:
        one, other = out.resolve(), read.resolve()
        if _same(out, read) or one.is_relative_to(other) or other.is_relative_to(one):
            raise InputError(f"--out {out}: lies in {read}, or around it; write beside it")


def _check(folder: Path, inputs: Iterable[Path | None], kept_apart: Iterable[str]) -> None:
    check_folder(folder)
    refuse_overwriting(folder, inputs)
    for around in list(folder.absolute().parents)[:2]:  # stages and evaluations are two levels down
        if _holds(around, "a store"):
            raise InputError(f"--out {folder}: lies within a store ({around}); use another folder")
    for kind in kept_apart:
        if _holds(folder, kind):
            raise InputError(f"--out {folder}: holds {kind}, which is kept apart; use another folder")


def _holds(folder: Path, kind: str) -> bool:
    return any(next(folder.glob(name), None) for name in _KEPT[kind])


def _refuse_others(folder: Path, names: Iterable[str], fault: str) -> None:
    for name in names:
        if (folder / name).exists():
            raise InputError(f"--out {folder}: its {name} {fault}; use another folder")


def _same(out: Path, read: Path) -> bool:
    try:
        return out.samefile(read)
    except (OSError, ValueError):  # one of them is not there, and may be made
        return Path(os.path.realpath(out)) == Path(os.path.realpath(read))


def _is_run(folder: Path) -> bool:
    if (folder / "store").is_dir() or (folder / SAMPLES_FILE).exists():
        return True
    with suppress(InputError):
        written = read_yaml(folder / CONFIG_FILE)
        wanted = {"model", "benchmarks", "variants", "out", "train", "eval"}
        return isinstance(written, dict) and written.keys() >= wanted
    return False


def _fault(folder: Path) -> str | None:
    if not str(folder).isprintable():
        return "holds characters that no name should have"
    path = os.fsencode(folder)
    if len(path) > 3_800 or max(map(len, path.split(b"/"))) > 255:  # what is made in it has names too
        return "is longer than a path may be"
    real = Path(os.path.realpath(folder))
    if any(real.is_relative_to(place) for place in _NOT_FOR_FILES) and not real.is_relative_to("/dev/shm"):
        return "is no place for files"
    there = next(place for place in (real, *real.parents) if os.path.lexists(place))
    if not there.is_dir():
        return f"{there} is no folder"
    links = (place for place in (folder, *folder.parents) if place.is_symlink() and not place.exists())
    if nowhere := next(links, None):
        return f"{nowhere} is a link that leads nowhere"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written"
    return None
