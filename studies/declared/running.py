"""Runs a study: settings are chosen, then each cell is trained and tested, by the harness's own commands."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from benchmarks import ROOT
from harness.commands.sweep import CHOSEN_FILE
from harness.config import Config, dump_config
from leaderboards.results.schema import RESULTS_FILE
from studies.declared.declaration import Study
from tasks.errors import InputError
from tasks.files import write_whole

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # commands run side by side, one on each core
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else two may bind themselves to the same core
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TOKENIZERS_PARALLELISM": "false",
}


def run_study(study: Study, workers: int) -> None:
    """Runs what is not done yet, so many commands at a time; each writes a log beside its configuration.

    Raises:
        InputError: A command failed; what is done stays done.
    """
    with ThreadPoolExecutor(workers) as pool:
        chosen = {group: pool.submit(_choose, study, group) for group in study.declaration.groups}
        measured = []
        for group, done in chosen.items():
            done.result()
            for cell in study.declaration.groups[group].cells:
                measured.append(pool.submit(_measure, study, group, cell))
        for one in measured:
            one.result()


def _choose(study: Study, group: str) -> None:
    choice = study.declaration.choice
    if not study.declaration.groups[group].chosen_on or choice is None:
        return
    config = study.choosing(group)
    if not (config.out / CHOSEN_FILE).exists():
        grid = [f"{name}={','.join(map(str, values))}" for name, values in choice.grid.items()]
        _harness(config, "sweep", *(part for one in grid for part in ("--grid", one)))


def _measure(study: Study, group: str, cell: str) -> None:
    for arms in range(len(study.declaration.arms)):
        config = study.measuring(group, cell, arms)
        if not (config.out / RESULTS_FILE).exists():
            _harness(config, "train-and-eval")


def _harness(config: Config, command: str, *arguments: str) -> None:
    path = config.out.parent / f"{config.out.name}-{command}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, dump_config(config))
    log = path.with_suffix(".log")
    print(
        f"{command}: {', '.join(config.benchmarks)}, {len(config.variants)} variants; log: {log}", flush=True
    )
    with log.open("a", encoding="utf-8") as file:
        called = [sys.executable, "-m", "harness", command, "--config", str(path), *arguments]
        done = subprocess.run(called, cwd=ROOT, env=os.environ | ENVIRONMENT, stdout=file, stderr=file)
    if done.returncode:
        raise InputError(f"{command} ended with {done.returncode}: {log} says why; the same command goes on")
