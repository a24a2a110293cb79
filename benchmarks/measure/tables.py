"""How the figures are written: the machine, medians with their range, ratios against goals."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

GIB = 2**30


def machine() -> str:
    """One line: processor, cores, memory, Python, torch, GPU."""
    import torch

    names = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    parts = [
        names[0] if names else platform.processor(),
        f"{len(os.sched_getaffinity(0))} cores",
        f"{memory / GIB:.0f} GiB",
        f"Python {platform.python_version()}",
        f"torch {version('torch')}",
        f"transformers {version('transformers')}",
    ]
    return ", ".join(
        [*parts, torch.cuda.get_device_name()] if torch.cuda.is_available() else [*parts, "no GPU"]
    )


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, with the range behind it."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Ratio of medians."""
    return f"{statistics.median(ours) / statistics.median(theirs):.2f}"


def against(ours: Sequence[float], theirs: Sequence[float], goal: float) -> str:
    """Ratio of medians, and whether it reaches the goal."""
    reached = statistics.median(ours) <= goal * statistics.median(theirs)
    return f"{ratio(ours, theirs)} (goal ≤ {goal:.2g}: {'reached' if reached else 'missed'})"


def at_least(ours: Sequence[float], theirs: Sequence[float], goal: float) -> str:
    """Ratio of ours to theirs where more is better: it must reach the goal from below."""
    reached = statistics.median(ours) >= goal * statistics.median(theirs)
    return f"{ratio(ours, theirs)} (goal ≥ {goal:.2g}: {'reached' if reached else 'missed'})"


def within(values: Sequence[float], limit: float, digits: int = 2) -> str:
    """The median against a limit of its own."""
    reached = statistics.median(values) <= limit
    return f"{spread(values, digits)} (goal ≤ {limit:g}: {'reached' if reached else 'missed'})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(map(table_line, [head, ["---"] * len(head), *rows]))


def table_line(cells: Sequence[str]) -> str:
    """A line of it, for a table that is printed as it is measured: who stops it keeps what there is."""
    return f"| {' | '.join(cells)} |"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
