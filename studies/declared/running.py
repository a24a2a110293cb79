"""Runs a study: settings are chosen, then each cell is trained and tested, by the harness's own commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import ROOT
from harness.commands.sweep import CHOSEN_FILE
from harness.config import Config, dump_config
from leaderboards import read_results
from leaderboards.results.schema import RESULTS_FILE
from studies.declared.declaration import Study
from tasks.errors import InputError
from tasks.files import write_whole

ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "ERROR", "TOKENIZERS_PARALLELISM": "false"}
SIDE_BY_SIDE = {
    "OMP_NUM_THREADS": "1",  # one command on each core
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else two may bind themselves to the same core
}


def run_study(study: Study, workers: int, data_dir: Path | None = None) -> None:
    """Runs what is not done yet, so many commands at a time; each writes a log beside its configuration.

    Args:
        study: What was declared.
        workers: Commands at a time.
        data_dir: Of benchmarks that are asked for orientation; the Hub where None.

    Raises:
        InputError: A command failed; what is done stays done.
    """
    around = os.environ | ENVIRONMENT | (SIDE_BY_SIDE if workers > 1 else {})
    with ThreadPoolExecutor(workers) as pool:
        chosen = {group: pool.submit(_choose, study, group, around) for group in study.declaration.groups}
        measured = []
        for group, done in chosen.items():
            done.result()
            for cell in study.declaration.groups[group].cells:
                measured.append(pool.submit(_measure, study, group, cell, around))
        for one in measured:
            one.result()
    if study.declaration.orientation:
        _orient(study, data_dir, around)


def _choose(study: Study, group: str, around: Mapping[str, str]) -> None:
    choice = study.declaration.choice
    if not study.declaration.groups[group].chosen_on or choice is None:
        return
    config = study.choosing(group)
    if not (config.out / CHOSEN_FILE).exists():
        grid = [f"{name}={','.join(map(str, values))}" for name, values in choice.grid.items()]
        run_harness(config, around, "sweep", *(part for one in grid for part in ("--grid", one)))


def _measure(study: Study, group: str, cell: str, around: Mapping[str, str]) -> None:
    for arms in range(len(study.declaration.arms)):
        config = study.measuring(group, cell, arms)
        if not (config.out / RESULTS_FILE).exists():
            run_harness(config, around, "train-and-eval")


def _orient(study: Study, data_dir: Path | None, around: Mapping[str, str]) -> None:
    """Asks the base, and each arm's first seed in the first cell."""
    blocks = range(len(study.declaration.arms))
    runs = [read_results(study.run_folder(study.declaration.cells[0], number)) for number in blocks]
    first = {entry.name: entry for run in reversed(runs) for entry in reversed(run.entries)}
    for entry in first.values():
        config = study.orienting(entry, data_dir)
        if not (config.out / RESULTS_FILE).exists():
            name = "untrained" if entry.role == "base" else entry.name
            run_harness(config, around, "eval", "--name", name)


def run_harness(config: Config, around: Mapping[str, str], command: str, *arguments: str) -> None:
    """Runs a command with this configuration, its output in a log beside it; InputError where it fails."""
    path = config.out.parent / f"{config.out.name}-{command}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, dump_config(config))
    log = path.with_suffix(".log")
    print(
        f"{command}: {', '.join(config.benchmarks)}, {len(config.variants)} variants; log: {log}", flush=True
    )
    with log.open("a", encoding="utf-8") as file:
        called = [sys.executable, "-m", "harness", command, "--config", str(path), *arguments]
        done = subprocess.run(called, cwd=ROOT, env=around, stdout=file, stderr=file)
    if done.returncode:
        raise InputError(f"{command} ended with {done.returncode}: {log} says why; the same command goes on")
