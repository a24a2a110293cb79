"""The strict reader of JSONL files: UTF-8, one object a line, and a fault is named with its file and line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.errors import InputError


def iter_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    r"""Read a JSONL file object by object; lines end in ``\n`` only, since texts may hold U+2028.

    Args:
        path: the file; a byte-order mark at its start and blank lines are skipped.

    Yields:
        Where the object stands, as ``file:line``, and the object.

    Raises:
        InputError: the file cannot be read, or a line is not UTF-8, no JSON or no object.
    """
    try:
        with path.open("rb") as file:
            for line_number, raw in enumerate(file, start=1):
                where = f"{path}:{line_number}"
                line = raw.removeprefix(b"\xef\xbb\xbf") if line_number == 1 else raw
                if line.strip():
                    yield where, _object(line, where)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def json_type(value: object) -> str:
    """Name the JSON type of a decoded value, with its article."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")


def _object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        detail = f"column {error.colno}" if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise InputError(f"{where}: invalid JSON ({detail}); write one JSON object a line") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: {json_type(value)} instead of an object; write one JSON object a line")
    return value
