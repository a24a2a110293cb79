"""How every floor reads YAML and writes to disk: errors of one line, and nothing that stands half written."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.errors import InputError


def read_yaml(path: Path, unreadable: str = "cannot be read ({error})", loader: Any = None) -> Any:
    """What a YAML file holds; an empty file holds None.

    Args:
        path: the file.
        unreadable: what the error says after the path, where the file cannot be opened or is no text.
        loader: a loader of PyYAML; the safe one where None.

    Raises:
        InputError: one line that names the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {unreadable.format(error=error)}") from error
    return parse_yaml(text, str(path), loader)


def parse_yaml(text: str | bytes, where: str, loader: Any = None, fault: str = "not YAML ({error})") -> Any:
    """What a text in YAML holds; bytes are decoded as YAML says.

    Raises:
        InputError: it is not YAML; says `where`, and then `fault`.
    """
    import yaml

    try:
        return yaml.load(text, loader or yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: {fault.format(error=' '.join(str(error).split()))}") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write, which replaces it when the context ends well, and else is removed."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file whole or not at all; line ends are those of the text."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def whole_folder(directory: Path) -> Iterator[Path]:
    """An empty folder beside `directory`, which becomes it when the context ends well, and else is removed.

    Where another process has filled the place meanwhile, that one's folder stays: both are made from the same
    inputs, so either will do.
    """
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        try:
            partial.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
