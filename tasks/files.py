"""How every floor writes a file: it never stands half written, and no two writers share what they write."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from tasks.leases import cache_dir as cache_dir
from tasks.leases import clear_leftovers, owned


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write, which replaces it when the context ends well, and else is removed."""
    clear_leftovers(path.parent, f".{escape(path.name[:100])}.*.part")
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    held = owned(part, os.O_RDWR | os.O_CREAT)
    try:
        yield part
        try:
            part.replace(path)
        except OSError as error:  # what is in the way is at `path`
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        part.unlink(missing_ok=True)
        if held is not None:
            os.close(held)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file whole or not at all; line ends are those of the text."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def remove(path: Path) -> None:
    """Removes a file or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
