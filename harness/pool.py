"""Stages side by side: a worker process for each GPU, or for each core where the model is small.

A stage is trained in one process from what is in the store and its seed alone, so that its weights do not
depend on what is trained beside it. Workers take the stages whose parents and references are done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from harness.plan import Plan
from harness.progress import Reporter
from sftkey_train.stages import StageNode
from tasks.workers import end_with_parent, see_one_gpu

if TYPE_CHECKING:
    from sftkey_train.telemetry import StepMetrics

SMALL_MODEL_BYTES = 12_000_000
"""Weights of a model that is trained on one thread, see `trainer.SMALL_MODEL`."""

STEPS_WORTH_A_WORKER = 200
"""A small model is this many steps further by the time that another process has started."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    node: StageNode | None = None
    show: Callable[[StepMetrics], None] | None = None
    finish: Callable[[], None] | None = None


def num_workers(plan: Plan, todo: Sequence[StageNode]) -> int:
    """How many stages to train at a time: `train.workers`, or what suits the machine and the work."""
    import torch

    wanted = plan.config.train.workers
    if wanted is None and torch.cuda.is_available():
        wanted = torch.cuda.device_count()
    elif wanted is None:
        weights = sum(path.stat().st_size for path in plan.base.path.glob("*.safetensors"))
        cores = len(os.sched_getaffinity(0)) if weights < SMALL_MODEL_BYTES else 1
        wanted = min(cores, sum(node.num_steps for node in todo) // STEPS_WORTH_A_WORKER)
    return max(1, min(wanted, len(todo)))


def train_side_by_side(plan: Plan, todo: Sequence[StageNode], workers: int, reporter: Reporter) -> None:
    """Trains stages in worker processes until all are in the store.

    Raises:
        Exception: What a worker's stage raised; the other workers are ended.
    """
    waiting = list(todo)
    with ExitStack() as stack:
        crew = [_start(plan, rank, stack) for rank in range(workers)]
        while waiting or any(worker.node for worker in crew):
            for worker in crew:
                node = None if worker.node else _next(waiting, crew)
                if node is not None:
                    waiting.remove(node)
                    _hand_over(worker, node, reporter, stack)
            spoken = wait([worker.connection for worker in crew if worker.node])
            for worker in crew:
                if worker.connection in spoken:
                    _listen(worker, reporter)


def _next(waiting: Sequence[StageNode], crew: Sequence[_Worker]) -> StageNode | None:
    """The first stage that waits for no other."""
    unfinished = {node.key for node in waiting} | {worker.node.key for worker in crew if worker.node}
    ready = (node for node in waiting if not {node.parent, node.reference} & unfinished)
    return next(ready, None)


def _start(plan: Plan, rank: int, stack: ExitStack) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, plan, rank), daemon=True)
    process.start()
    theirs.close()
    stack.callback(_end, process, ours)
    return _Worker(process, ours)


def _end(process: BaseProcess, connection: Connection) -> None:
    """Lets an idle worker go home, and ends one that is in the middle of a stage."""
    connection.close()
    if sys.exc_info()[0] is not None:
        process.kill()
    process.join()


def _hand_over(worker: _Worker, node: StageNode, reporter: Reporter, stack: ExitStack) -> None:
    shown = stack.enter_context(ExitStack())
    progress = shown.enter_context(reporter.stage(node.label, node.num_steps))
    worker.node, worker.show, worker.finish = node, progress.update, shown.close
    worker.connection.send(node.key)


def _listen(worker: _Worker, reporter: Reporter) -> None:
    """Takes one message of a worker."""
    try:
        kind, content = worker.connection.recv()
    except EOFError as error:
        label = worker.node.label if worker.node else "nothing"
        raise RuntimeError(
            f"the process that trained {label} ended unexpectedly; is memory short?"
        ) from error
    if kind == "step" and worker.show:
        worker.show(content)
    elif kind == "line":
        reporter.line(content)
    elif kind == "failed":
        raise content
    elif kind == "done" and worker.finish:
        worker.finish()
        worker.node = None


class _Relay:
    """A reporter that leaves the showing to the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def line(self, text: str) -> None:
        self._connection.send(("line", text))

    @contextmanager
    def stage(self, label: str, num_steps: int) -> Iterator[_Relay]:
        yield self

    def update(self, metrics: StepMetrics) -> None:
        self._connection.send(("step", metrics))


def _work(connection: Connection, plan: Plan, rank: int) -> None:
    """A worker's life: stages by key until there are no more."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this one
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is shared with other processes, and would outlive this one
    see_one_gpu(rank)
    from harness.training import train_stage_of

    relay = _Relay(connection)
    while True:
        try:
            key = connection.recv()
        except EOFError:
            return
        try:
            train_stage_of(plan, plan.graph.nodes[key], relay)
        except Exception as error:
            connection.send(("failed", error))
            return
        connection.send(("done", None))
