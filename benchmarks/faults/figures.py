"""What a run came to, without what may differ from one time to the next: seconds, dates and places."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Figures = dict[str, list[str]]
"""Part -> its lines."""
_CHANGES = re.compile(r"seconds|created|provenance|^source$|^checkpoints?$|sha256|git_commit|config")


def figures(run: Path) -> Figures:
    """The board, the samples, and the curves of a run's folder."""
    return {
        "board": board(run / "leaderboard"),
        "results": _lines(json.loads((run / "results.json").read_text("utf-8"))),
        "samples": table(run / "samples.parquet"),
        **({"curves": table(run / "training.parquet")} if (run / "training.parquet").is_file() else {}),
    }


def board(folder: Path) -> list[str]:
    """A board's figures, and whether its other forms are there."""
    missing = [
        f"without {form}"
        for form in ("html", "md", "csv", "tex")
        if not (folder / f"leaderboard.{form}").is_file()
    ]
    return [*missing, *_lines(json.loads((folder / "leaderboard.json").read_text("utf-8")))]


def table(path: Path) -> list[str]:
    """A table's rows, one a line, in order of their text."""
    import pandas as pd

    frame = pd.read_parquet(path)
    kept = frame[[name for name in frame.columns if not _CHANGES.search(name)]]
    return [
        " ".join(kept.columns),
        *sorted(str(row) for row in kept.astype(str).itertuples(index=False, name=None)),
    ]


def difference(reference: Mapping[str, list[str]], found: Mapping[str, list[str]]) -> str | None:
    """Where two come to something else first; None where they are equal."""
    for part, lines in reference.items():
        other = found.get(part, [])
        for ours, theirs in zip(lines, other, strict=False):
            if ours != theirs:
                return f"{part}: {_about(theirs, ours)} for {_about(ours, theirs)}"
        if len(lines) != len(other):
            return f"{part}: {len(other)} lines for {len(lines)}"
    return None


def _about(text: str, other: str) -> str:
    """A text around the first character that is another."""
    at = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    return repr(text[max(0, at - 20) : at + 40])


def _lines(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [
            line
            for key, one in value.items()
            if not _CHANGES.search(key)
            for line in _lines(one, f"{path}/{key}")
        ]
    if isinstance(value, list) and value:
        return [line for number, one in enumerate(value) for line in _lines(one, f"{path}/{number}")]
    return [f"{path} {value!r}"]
