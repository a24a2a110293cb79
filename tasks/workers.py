"""A crew of worker processes: each is started, spoken to, found dead and ended in this one way.

A worker is a fresh process (spawned, not forked: threads and CUDA do not survive a fork) at the other end of
a pipe. It lives in a function `life(connection, *arguments)` that receives messages until the pipe closes.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import connection as pipes
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


class WorkerLost(Exception):
    """A worker ended before it had answered; the message says how."""


@dataclass(eq=False)
class Worker:
    """A process of ours and our end of the pipe to it."""

    process: BaseProcess
    connection: Connection

    def send(self, message: object) -> None:
        """Gives the worker something to do.

        Raises:
            WorkerLost: It is dead.
        """
        try:
            self.connection.send(message)
        except OSError as error:
            raise self._lost() from error

    def hear(self) -> Any:
        """Waits for the worker's next message.

        Raises:
            WorkerLost: It died instead.
        """
        try:
            return self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error

    def end(self, *, busy: bool = False) -> None:
        """Lets an idle worker go home, and kills one that is busy; returns when it is gone."""
        self.connection.close()
        if busy:
            self.process.kill()
        self.process.join()

    def _lost(self) -> WorkerLost:
        self.process.join(5)
        code = self.process.exitcode
        return WorkerLost("was killed" if code == -signal.SIGKILL else f"ended with exit code {code}")


def start_worker(life: Callable[..., None], *arguments: object) -> Worker:
    """Starts a process that lives in `life(connection, *arguments)`; everything must be picklable."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_live, args=(life, theirs, arguments), daemon=True)
    # The first start of a process starts this tracker too, and lifts the mask behind it.
    resource_tracker.ensure_running()
    # The child inherits the mask, so that Ctrl-C while it imports ends in no traceback of its own: it is this
    # process that hears it, and ends the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return Worker(process, ours)


def spoken(workers: Iterable[Worker]) -> list[Worker]:
    """Waits until some of the workers have sent something, or have died, and returns them."""
    by_connection = {worker.connection: worker for worker in workers}
    ready = pipes.wait(list(by_connection))
    return [worker for connection, worker in by_connection.items() if connection in ready]


def see_one_gpu(rank: int) -> None:
    """Leaves this process one of the GPUs, its rank's; to be called before torch looks for them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(rank)]
    os.environ["CUDA_VISIBLE_DEVICES"] = devices[rank % len(devices)]


def end_with_parent() -> None:
    """A killed parent must not leave processes behind that write where its successor writes."""
    if sys.platform == "linux":
        pr_set_pdeathsig: Any = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _live(life: Callable[..., None], connection: Connection, arguments: tuple[object, ...]) -> None:
    end_with_parent()
    try:
        life(connection, *arguments)
    except (EOFError, ConnectionError):
        return  # nobody wants anything any more
