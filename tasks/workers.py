"""A crew of worker processes: each is started, spoken to, found dead and ended in this one way.

A worker is a fresh process (spawned, not forked: threads and CUDA do not survive a fork) at the other end of
a pipe. It lives in a function `life(connection, *arguments)` that receives messages until the pipe closes. No
process of ours outlives the one that started it, whatever ends that: each calls `end_with` before all else.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection as pipes
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from tasks.secrets import scrub_streams


class WorkerLost(Exception):
    """A worker ended before it had answered; the message says how."""


@dataclass(eq=False)
class Worker:
    """A process of ours and our end of the pipe to it."""

    process: BaseProcess
    connection: Connection

    def send(self, message: object) -> None:
        """Gives the worker something to do; WorkerLost where it is dead."""
        try:
            self.connection.send(message)
        except OSError as error:
            raise self._lost() from error

    def hear(self) -> Any:
        """Waits for the worker's next message; WorkerLost where it died instead."""
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
    process = context.Process(target=_live, args=(theirs, *starter()), daemon=True)
    # The first start of a process starts this tracker too, and lifts the mask behind it.
    resource_tracker.ensure_running()
    # Neither this process may be interrupted between the child's start and its first message, nor the child
    # while it imports, which would end in a traceback of its own: it inherits the mask.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    worker = Worker(process, ours)
    with suppress(WorkerLost):  # whoever speaks to it next meets that
        # What it needs is sent apart: to read this it imports much, and by then it is tied to this process.
        worker.send((life, arguments))
    return worker


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


def starter() -> tuple[int, bool]:
    """What a process that is started here needs for `end_with`."""
    return os.getpid(), threading.current_thread() is threading.main_thread()


def end_with(parent_id: int, by_main_thread: bool) -> None:
    """Ties this process to the one that started it: to be called before anything that takes long."""
    # The kernel's signal comes where the *thread* ends that started it.
    if sys.platform == "linux" and by_main_thread:
        ctypes.CDLL(None).prctl(1, ctypes.c_ulong(signal.SIGKILL))  # PR_SET_PDEATHSIG
    else:
        threading.Thread(target=_watch, args=(parent_id,), daemon=True).start()
    if os.getppid() != parent_id:  # it had ended before the kernel was asked
        os._exit(1)


def _watch(parent_id: int) -> None:
    while os.getppid() == parent_id:
        time.sleep(0.5)
    os._exit(1)


def _live(connection: Connection, parent_id: int, by_main_thread: bool) -> None:
    end_with(parent_id, by_main_thread)
    # SIGTERM ends it without a word. Ctrl-C stays out: its parent hears it too, and ends it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    scrub_streams()
    try:
        life, arguments = connection.recv()
        life(connection, *arguments)
    except (EOFError, ConnectionError):
        return  # nobody wants anything any more
