"""Stages side by side: a worker process for each GPU, or for each core where the model is small.

A stage is trained in one process from what is in the store and its seed alone, so that its weights do not
depend on what is trained beside it. Workers take the stages whose parents and references are done.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from harness.plan import Plan
from harness.progress import ShowStep, StageReporter
from sftkey_train import distributed
from sftkey_train.settings import SMALL_MODEL
from sftkey_train.stages import StageNode
from tasks.workers import Worker, WorkerLost, see_one_gpu, spoken, start_worker

TrainNode = Callable[[Plan, StageNode, StageReporter], None]
"""Trains one stage, whose parent and reference are in the store, and puts it there."""

WORTH_A_WORKER = 6e11
"""FLOPs of training that a core is through with by the time that another process has started."""


@dataclass
class _Seat:
    """A worker, the stage that it trains, and where that is shown."""

    worker: Worker
    node: StageNode | None = None
    show: ShowStep | None = None
    finish: Callable[[], None] | None = None

    def leave(self) -> None:
        self.worker.end(busy=self.node is not None)


def train_all(
    plan: Plan,
    todo: Sequence[StageNode],
    train_node: TrainNode,
    reporter: StageReporter,
    meanwhile: Callable[[], object] | None = None,
) -> None:
    """Trains stages, parents before children: side by side where that is faster, else one after another.

    Args:
        plan: Of the run.
        todo: The stages.
        train_node: Trains one.
        reporter: Shows progress.
        meanwhile: Called in a thread as soon as a worker has nothing left to do while others still train.

    Raises:
        Exception: What a stage raised; workers that train others are ended.
    """
    count = _num_workers(plan, todo)
    if count > 1:
        _side_by_side(plan, todo, train_node, count, reporter, meanwhile)
    else:
        for node in todo:
            train_node(plan, node, reporter)


def _num_workers(plan: Plan, todo: Sequence[StageNode]) -> int:
    """How many stages to train at a time: `train.workers`, or what suits the machine and the work."""
    import torch

    if distributed.count() > 1:  # the launch's processes train each stage together
        return 1
    wanted = plan.config.train.workers
    if wanted is None and torch.cuda.is_available():
        wanted = torch.cuda.device_count()
    elif wanted is None:
        size = sum(path.stat().st_size for path in plan.base.path.glob("*.safetensors"))
        cores = len(os.sched_getaffinity(0)) if size < 4 * SMALL_MODEL else 1  # float32
        work = 6 * size / 4 * sum(node.tokens_forward for node in todo)
        wanted = min(cores, int(work / WORTH_A_WORKER))
    return max(1, min(wanted, len(todo)))


def _side_by_side(
    plan: Plan,
    todo: Sequence[StageNode],
    train_node: TrainNode,
    count: int,
    reporter: StageReporter,
    meanwhile: Callable[[], object] | None,
) -> None:
    waiting, seats = list(todo), list[_Seat]()
    aside: threading.Thread | None = None
    with ExitStack() as stack:
        for rank in range(count):
            seats.append(_Seat(start_worker(_life, plan, train_node, rank)))
            stack.callback(seats[-1].leave)
        while waiting or any(seat.node for seat in seats):
            for seat in seats:
                node = None if seat.node else _next(waiting, seats)
                if node is not None:
                    waiting.remove(node)
                    _hand_over(seat, node, reporter, stack)
            if meanwhile and not (aside or waiting or all(seat.node for seat in seats)):
                aside = threading.Thread(target=meanwhile, daemon=True)
                aside.start()
            busy = {seat.worker: seat for seat in seats if seat.node}
            for worker in spoken(busy):
                _listen(busy[worker], reporter)
        if aside:  # what follows may fork, which no import in another thread should see
            aside.join()


def _next(waiting: Sequence[StageNode], seats: Sequence[_Seat]) -> StageNode | None:
    """The first stage that waits for no other."""
    unfinished = {node.key for node in waiting} | {seat.node.key for seat in seats if seat.node}
    ready = (node for node in waiting if not node.needs & unfinished)
    return next(ready, None)


def _hand_over(seat: _Seat, node: StageNode, reporter: StageReporter, stack: ExitStack) -> None:
    shown = stack.enter_context(ExitStack())
    show = shown.enter_context(reporter.stage(node.label, node.num_steps))
    seat.node, seat.show, seat.finish = node, show, shown.close
    seat.worker.send(node.key)


def _listen(seat: _Seat, reporter: StageReporter) -> None:
    """Takes one message of a worker."""
    try:
        kind, content = seat.worker.hear()
    except WorkerLost as error:
        trained = f"trained {seat.node.label if seat.node else 'nothing'}"
        raise RuntimeError(f"the process that {trained} ended unexpectedly; is memory short?") from error
    if kind == "step" and seat.show:
        seat.show(content)
    elif kind == "line":
        reporter.line(content)
    elif kind == "failed":
        raise content
    elif kind == "done" and seat.finish:
        seat.finish()
        seat.node = None


class _Relay:
    """A reporter that leaves the showing to the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def line(self, text: str) -> None:
        self._connection.send(("line", text))

    @contextmanager
    def stage(self, label: str, num_steps: int) -> Iterator[ShowStep]:
        yield lambda metrics: self._connection.send(("step", metrics))


def _life(connection: Connection, plan: Plan, train_node: TrainNode, rank: int) -> None:
    """A worker's life: stages by key until the parent closes the pipe."""
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is shared with other processes, and would outlive this one
    see_one_gpu(rank)
    relay = _Relay(connection)
    while True:
        key = connection.recv()
        try:
            train_node(plan, plan.graph.nodes[key], relay)
        except Exception as error:
            connection.send(("failed", error))
            return
        connection.send(("done", None))
