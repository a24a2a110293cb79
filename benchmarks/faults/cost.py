"""Part `cost`: what verification costs: its share of a run, and the rerun of 100,000 samples."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks import ROOT
from benchmarks.faults.ground import Ground, Outcome, Verdict
from benchmarks.measure.children import run_command
from tasks.files import remove

PART = "cost"
MOST_SHARE = 0.03
MOST_SECONDS = 10.0
"""Of a rerun after its imports, as `rerun_speed` has it."""


def cost(ground: Ground, only: str = "") -> Iterator[Outcome]:
    """The outcomes: within the limits is `unaffected`, and beyond them `crashed`."""
    cases: Mapping[str, Callable[[], tuple[Verdict, str]]] = {
        "share of the quick run": partial(_share, ground, "--quick"),
        "share of the default run": partial(_share, ground),
        "rerun of 100,000 samples": partial(_rerun, ground),
    }
    yield from ground.each(PART, {case: do for case, do in cases.items() if only in case})


def _share(ground: Ground, *options: str) -> tuple[Verdict, str]:
    """Of a run with an empty cache, of one that finds its base model, and of the same once more."""
    place, said = ground.state / "cost", []
    remove(place)
    place.mkdir()
    shares = []
    for words in ("cold cache", "base there", "all there"):
        if words == "base there":
            remove(place / "run")
        times = place / f"times-{words}"
        times.touch()
        own = {"HARNESS_CACHE": str(place / "cache"), "FAULTS_TIMES": str(times), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "benchmarks.faults.timed", "train-and-eval", *options]
        began = time.perf_counter()
        subprocess.run(
            [*command, "--out", str(place / "run")], env={**os.environ, **own}, check=True, stdout=-3
        )
        seconds = time.perf_counter() - began
        spent = sum(map(float, times.read_text("utf-8").split()))
        said.append(f"{words}: {spent:.2f} of {seconds:.1f} s ({spent / seconds:.2%})")
        shares.append(spent / seconds)
    remove(place)
    return "unaffected" if max(shares[:2]) <= MOST_SHARE else "crashed", "; ".join(said)


def _rerun(ground: Ground, limit: int = 1000) -> tuple[Verdict, str]:
    """10 checkpoints × 10 benchmarks × so many samples, all in the store."""
    from benchmarks import rerun_speed
    from benchmarks.measure.models import EMBEDDED, embedded_tokenizer, write_adapters, write_model

    work = ground.state / "cost"
    remove(work)
    work.mkdir()
    data = ROOT.parent / "shared" / "data"
    data_dir = data if data.is_dir() else None
    model = work / "model"
    write_model(model, embedded_tokenizer(), EMBEDDED, context=8192)
    adapters = write_adapters(model, work, 10)
    case = rerun_speed.Case(model, adapters, rerun_speed.benchmarks_of(data_dir), limit, data_dir, work)
    num_samples = case.child(fill=True)["num_samples"]
    case.child(fill=False)
    again = case.child(fill=False)
    seconds = run_command(case.command())
    fresh = _state_forgotten(case.out, case.command())
    shutil.rmtree(work)
    said = (
        f"{num_samples:,} samples: {again['seconds']:.2f} s after imports, {again['process_seconds']:.1f} s "
        f"of the process; harness eval in all {seconds:.1f} s, with every file read again {fresh:.1f} s"
    )
    return "unaffected" if again["seconds"] <= MOST_SECONDS else "crashed", said


def _state_forgotten(out: Path, command: list[str]) -> float:
    """The command's seconds where no digest is remembered: each file's state is another."""
    for path in out.rglob("*"):
        if path.is_file() and path.suffix != ".sqlite":
            os.utime(path)
    return run_command(command)
