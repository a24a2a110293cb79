"""Runs the cells of a design in processes of their own: choices on validation questions, then the test."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TYPE_CHECKING

from studies.evidence.design import METHOD, SETTINGS, Cell, Design, SecondStage
from tasks.workers import end_with

if TYPE_CHECKING:
    from harness.config import Config
    from harness.progress import Reporter

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # two workers on two cores
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else each worker may bind itself to the same core
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TOKENIZERS_PARALLELISM": "false",
}


def run_cells(design: Design, workers: int) -> Iterator[tuple[Cell, str]]:
    """Runs every cell and yields it as it is done, with what went wrong, or an empty text.

    The costliest begin first. The seconds that it all took are added up over calls in `seconds.json`.
    """
    started = time.perf_counter()
    os.environ.update(ENVIRONMENT)
    # A fresh process for each cell: vLLM cannot be started again everywhere, and a worker may be killed.
    with ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        max_tasks_per_child=1,
        initializer=end_with,
        initargs=(os.getpid(), False),
    ) as pool:
        order = sorted(design.cells, key=lambda cell: (cell.long, cell.gap), reverse=True)
        futures: dict[Future[None], Cell] = {pool.submit(run_cell, design, cell): cell for cell in order}
        for future in as_completed(futures):
            error = future.exception()
            yield futures[future], f"{type(error).__name__}: {error}" if error else ""
    path = design.out / "seconds.json"
    before = json.loads(path.read_text(encoding="utf-8"))["wall_seconds"] if path.is_file() else 0.0
    seconds = before + time.perf_counter() - started
    path.write_text(json.dumps({"wall_seconds": round(seconds, 1), "workers": workers}), encoding="utf-8")


def run_cell(design: Design, cell: Cell) -> None:
    """Chooses the second-stage settings of a cell, then trains and tests all variants, with a log beside."""
    from rich.console import Console

    from harness.progress import Reporter

    log = design.out / cell.name / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)  # what vLLM writes by itself, too
        os.dup2(file.fileno(), 2)
        reporter = Reporter(Console(file=file, width=200))
        for setting in SETTINGS:
            _run(design.choice_config(cell, setting), reporter)
        chosen = choose(design, cell)
        _run(design.config(cell, chosen), reporter)
        _run(design.start_config(cell, chosen[METHOD]), reporter)


def choose(design: Design, cell: Cell) -> dict[str, SecondStage]:
    """The settings at which each variant is most accurate on validation questions; the first of equals."""
    accuracy = choice_accuracy(design, cell)
    return {name: max(SETTINGS, key=lambda setting: accuracy[setting][name]) for name in design.two_stage}


def choice_accuracy(design: Design, cell: Cell) -> dict[SecondStage, dict[str, float]]:
    """Setting -> variant -> accuracy on the validation questions."""
    from leaderboards import read_results

    found = {}
    for setting in SETTINGS:
        samples = read_results(design.choice_config(cell, setting).out).samples
        means = samples.groupby("entry")["accuracy"].mean()
        found[setting] = {str(name): float(mean) for name, mean in means.items()}
    return found


def _run(config: Config, reporter: Reporter) -> None:
    from harness.files import run_folder
    from harness.plan import make_plan
    from harness.run import evaluate, train

    plan = make_plan(config)
    with run_folder(config):
        train(plan, reporter)
        evaluate(plan, reporter)
