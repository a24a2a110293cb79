"""How every floor reads JSON and YAML: bounded in size, depth and expansion, and one line for what is wrong.

What is read may come from anybody: a checkpoint's files, an entry, an answer of a server, a file cut short.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tasks.errors import InputError
from tasks.secrets import one_line

MOST_JSON_BYTES = 256 << 20
MOST_YAML_BYTES = 1 << 20
"""PyYAML takes a second for each megabyte, or ten where it was built without its C part."""
MOST_DEPTH = 64
"""Far below what Python's recursion allows to whoever walks through a value."""
MOST_NODES = 100_000
"""Of a YAML text, its aliases written out: nine lines of aliases to aliases are a billion."""
_MOST_BITS = 64
_LONE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""What no path and no file in UTF-8 may hold."""
_FAULTS = (ValueError, RecursionError, OverflowError, MemoryError)


def read_text(path: Path, unreadable: str = "cannot be read ({error})", most: int = MOST_JSON_BYTES) -> str:
    """A text file in UTF-8, if it is no longer than `most` bytes.

    Args:
        path: the file.
        unreadable: what the error says after the path.
        most: bytes.

    Raises:
        InputError: one line that names the file.
    """
    try:
        with open_bytes(path) as file:
            raw = file.read(most + 1)
        if len(raw) > most:
            raise ValueError(f"more than {most:,} bytes")
        return raw.decode("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {_worded(unreadable, error)}") from error


def open_bytes(path: Path) -> BinaryIO:
    """Opens a file to be read, or the pipe that a shell's `<(…)` gives.

    Raises:
        OSError: it cannot be opened, or is a pipe with a name, on which one may wait for ever.
        ValueError: no file can have this name.
    """
    # What a shell gives is a link to a pipe that has no place among the files.
    if stat.S_ISFIFO(path.stat().st_mode) and os.path.lexists(os.path.realpath(path)):
        raise OSError(errno.ESPIPE, "a named pipe; give a file, or <(command)")
    return path.open("rb")


def read_json(path: Path, fault: str = "cannot be read ({error})", *, kind: type = dict) -> Any:
    """What a JSON file holds.

    Args:
        path: the file.
        fault: what the error says after the path.
        kind: the type that the value must have.

    Raises:
        InputError: one line that names the file.
    """
    value = parse_json(read_text(path, fault), str(path), fault)
    if not isinstance(value, kind):
        expected = "keys and values" if kind is dict else f"a {kind.__name__}"
        raise InputError(f"{path}: {_worded(fault, f'expected {expected}')}")
    return value


def parse_json(
    text: str | bytes,
    where: str,
    fault: str = "not JSON ({error})",
    *,
    strict: bool = False,
    mended: bool = True,
) -> Any:
    """What a text in JSON holds.

    Args:
        text: bytes are UTF-8.
        where: begins the error.
        fault: what it says then.
        strict: refuse a key that stands twice, and NaN and infinity, which are no JSON.
        mended: halves of characters, which UTF-8 cannot write, are replaced by U+FFFD.

    Raises:
        InputError: it is not JSON, or nested too deeply.
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        value = _STRICT.decode(text) if strict else json.loads(text)
        if text.count("[") + text.count("{") > MOST_DEPTH:
            _check_depth(value)
        return _whole_characters(value) if mended and "\\u" in text and _LONE.search(text) else value
    except _FAULTS as error:
        raise InputError(f"{where}: {_worded(fault, _said(error))}") from error


def read_yaml(path: Path, unreadable: str = "cannot be read ({error})", loader: Any = None) -> Any:
    """What a YAML file holds; an empty file holds None.

    Args:
        path: the file.
        unreadable: what the error says after the path, where the file cannot be opened or is no text.
        loader: a loader of PyYAML; the safe one where None.

    Raises:
        InputError: one line that names the file.
    """
    return parse_yaml(read_text(path, unreadable, MOST_YAML_BYTES), str(path), loader)


def parse_yaml(text: str | bytes, where: str, loader: Any = None, fault: str = "not YAML ({error})") -> Any:
    """What a text in YAML holds; bytes are decoded as YAML says.

    Raises:
        InputError: it is not YAML, too large, nested too deeply, or a key stands twice (but with a loader of
            one's own, whose dialect may allow it); says `where`, and then `fault`.
    """
    import yaml

    each_once = loader is None
    loader = loader or getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if len(text) > MOST_YAML_BYTES:
            raise ValueError(f"more than {MOST_YAML_BYTES:,} bytes")
        _check_events(yaml.parse(text, loader), each_once)
        value = yaml.load(text, loader)
        _check_scalars(value)
        return value
    except (yaml.YAMLError, *_FAULTS) as error:
        raise InputError(f"{where}: {_worded(fault, _said(error))}") from error


@dataclass
class _Open:
    """A list or mapping of a YAML text that is not at its end."""

    anchor: str | None
    start: int  # nodes before it
    keys: set[str] | None  # of a mapping whose keys may stand there once, so far
    num_nodes: int = 0  # in it: of a mapping, keys and values take turns

    def take(self, node: Any) -> None:
        """Notes a node; ValueError where it is a key that was there."""
        key = getattr(node, "value", None)
        if self.keys is not None and self.num_nodes % 2 == 0 and key is not None and key != "<<":
            if key in self.keys:
                raise ValueError(f"the key {key!r} stands twice")
            self.keys.add(key)
        self.num_nodes += 1


def _check_events(events: Iterable[Any], each_once: bool) -> None:
    """Walks through a YAML text before anything is built of it; ValueError where it is no plain tree."""
    from yaml import events as kinds

    total, sizes, around = 0, dict[str, int](), list[_Open]()
    for event in events:
        if isinstance(event, kinds.CollectionEndEvent):
            ended = around.pop()
            sizes[ended.anchor or ""] = total - ended.start
        if not isinstance(event, kinds.NodeEvent):
            continue
        if around:
            around[-1].take(event)
        total += 1
        if isinstance(event, kinds.CollectionStartEvent):
            keys = set[str]() if each_once and isinstance(event, kinds.MappingStartEvent) else None
            around.append(_Open(event.anchor, total, keys))
        elif isinstance(event, kinds.AliasEvent):
            # 0 of a scalar; whoever names what it stands in names more than there may be.
            name = str(event.anchor)
            total += sizes.get(name, MOST_NODES if _around(name, around) else 0)
        if len(around) > MOST_DEPTH or total > MOST_NODES:
            raise ValueError(f"more than {MOST_DEPTH} levels, or {MOST_NODES:,} values, aliases written out")


def _around(anchor: str, around: Iterable[_Open]) -> bool:
    return any(one.anchor == anchor for one in around)


def _check_scalars(value: Any) -> None:
    """ValueError where a value holds what no field can: a whole number too large, a text that is none."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, int) and one.bit_length() > _MOST_BITS:
            raise ValueError(f"a whole number of more than {_MOST_BITS} bits")
        elif isinstance(one, str) and _NO_TEXT.search(one):
            raise ValueError(f"NUL, or half a surrogate pair, in the text {one[:40]!r}")


def _check_depth(value: Any) -> None:
    """ValueError where a value is nested too deeply."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"more than {MOST_DEPTH} levels")


def _whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_characters(one) for one in value]
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(one) for key, one in value.items()}
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return found


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number in JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number)


def _worded(fault: str, error: object) -> str:
    """A fault with its error in it, whatever braces either of them holds."""
    return fault.replace("{error}", str(error))


def _said(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return f"more than {MOST_DEPTH} levels"
    if "integer string conversion" in str(error):
        return "a number of thousands of digits"
    if isinstance(error, json.JSONDecodeError) and error.lineno == 1:
        return f"{error.msg}, column {error.colno}"
    return one_line(error) or type(error).__name__
