"""A bad input: what stands in the folder, and the command that is given it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Content = str | bytes | Callable[[Path], object] | None
"""A file's text or bytes; what makes it at a path; None for an empty folder."""


@dataclass(frozen=True)
class Bad:
    """A command line that is to be refused.

    Attributes:
        words: What is bad about it, a name of its own.
        arguments: Behind `harness`; paths count from the folder that `files` are written into.
        files: Path -> content.
        needs_run: Whether a finished run stands in the folder as `run`.
        environment: Variables.
    """

    words: str
    arguments: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)
    needs_run: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def write(self, place: Path) -> None:
        """Writes the files into a folder."""
        for name, content in self.files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir(exist_ok=True)
            elif callable(content):
                content(path)
            else:
                path.write_bytes(
                    content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
                )


def lines_of(*rows: Any) -> str:
    """A file of JSON objects, one a line; a text stands as it is."""
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


NUMBERS = (
    "nan",
    ".nan",
    ".inf",
    "-.inf",
    "-1",
    "1e400",
    "-0.5",
    "x",
    "[]",
    "{}",
    "true",
    "'5'",
    "''",
    "[1, 2]",
)
"""Values in YAML, few of which any number of a configuration may be."""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
)
DEEP = "[" * 3000 + "]" * 3000
DEEP_JSON = '{"a":' * 3000 + "1" + "}" * 3000
RECURSIVE = "a: &a [*a]\n"
NUL, ESCAPE, RTL = "a\0b", "a\x1b[31mred", "a\u202eb"
TEXTS: dict[str, str | bytes] = {
    "a bomb of aliases": BOMB,
    "nested deeply": DEEP,
    "an alias to itself": RECURSIVE,
    "bytes that are no text": b"\xff\xfe\x00\x81",
    "NUL": b"name: a\x00b\n",
    "a list": "- 1\n- 2\n",
    "a text": "just words\n",
    "a number": "7\n",
    "cut short": "name: [a, b\n",
    "a tab": "a:\n\t- b\n",
    "a key twice": "name: a\nname: b\n",
    "an object of Python": "name: !!python/object/apply:os.system ['true']\n",
    "a number of a thousand digits": "limit: " + "9" * 1000 + "\n",
    "many megabytes": "name: " + "x" * (3 << 20) + "\n",
    "a key of nobody's": "nobodys_key: 1\n",
}
"""Texts that are no YAML of this project's, by what is bad about them."""
