"""One fresh process for every measurement, the sides taking turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import ROOT
from tasks.errors import InputError

_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "true"}
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
T = TypeVar("T")


@dataclass(frozen=True)
class Side:
    """Who races.

    Attributes:
        name: In the tables.
        python: Its interpreter.
        module: What the interpreter runs, with the path of a JSON specification behind it.
        environment: Variables of its own.
    """

    name: str
    python: Path
    module: str
    environment: Mapping[str, str] = field(default_factory=dict)


def run_child(side: Side, specification: Mapping[str, Any], work: Path) -> dict[str, Any]:
    """Runs one measurement in a fresh process.

    Args:
        side: Who.
        specification: What the module is told; it writes its result to the path under `result`.
        work: Folder for both files.

    Returns:
        Its result, with the seconds of the whole process as `process_seconds`.

    Raises:
        InputError: The process failed.
    """
    with tempfile.TemporaryDirectory(dir=work) as folder:
        told, result = Path(folder) / "specification.json", Path(folder) / "result.json"
        told.write_text(json.dumps({**specification, "result": str(result)}), encoding="utf-8")
        seconds = run_command([str(side.python), "-m", side.module, str(told)], side.environment)
        return {**json.loads(result.read_text(encoding="utf-8")), "process_seconds": seconds}


def answer(does: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """What the process of `run_child` does: reads its specification, and writes the result of `does`."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(told["result"]).write_text(json.dumps(does(told)), encoding="utf-8")


def run_command(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Runs a command from the repository's root, with all cores, and gives its seconds.

    Raises:
        InputError: It failed.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in _THREADS}
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, **_OFFLINE, **(environment or {})},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
        raise InputError(f"{' '.join(command[:4])} … ended with {done.returncode}; its output is above")
    return seconds


def in_turns(sides: Sequence[T], repeats: int) -> Iterator[T]:
    """Each side once a round; every other round backwards, so that neither always follows the other."""
    for repeat in range(repeats):
        yield from sides if repeat % 2 == 0 else reversed(sides)
