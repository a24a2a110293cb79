"""The command, the seconds of all its digests written down: `python -m benchmarks.faults.timed …`.

The file that `FAULTS_TIMES` names gets one line from each process: its seconds. The small base is not used.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from multiprocessing import util
from pathlib import Path
from typing import Any

NAMES = {
    "tasks.seals": (
        *("seal", "fault", "sha256_of", "read_digest", "own_fault", "usable", "remembered", "content_digest"),
        *("is_whole", "memory_fault"),
    ),
    "sftkey_train.stored": ("save_fault", "weights_digest"),
    "harness.evaluation.generations": ("_checksum",),
}
"""Module -> functions that make or check digests; modules that others import stand first."""
_inside = threading.local()
_spent = [0.0]


def timed(work: Callable[..., Any]) -> Callable[..., Any]:
    """The same, its seconds added up; a call within a call counts once."""

    @functools.wraps(work)
    def call(*arguments: Any, **named: Any) -> Any:
        if getattr(_inside, "deep", False):
            return work(*arguments, **named)
        _inside.deep, began = True, time.perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            _inside.deep = False
            _spent[0] += time.perf_counter() - began

    return call


def _write(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{_spent[0]}\n")


def _patch() -> None:
    """Before any other module takes these functions by name; in the workers too, which import this again."""
    import importlib

    for module_name, names in NAMES.items():
        module = importlib.import_module(module_name)
        for name in names:
            if hasattr(module, name):
                setattr(module, name, timed(getattr(module, name)))
    util.Finalize(None, _write, args=(Path(os.environ["FAULTS_TIMES"]),), exitpriority=0)


if "FAULTS_TIMES" in os.environ:
    _patch()
if __name__ == "__main__":
    from harness.__main__ import main

    main()
