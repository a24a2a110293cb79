"""An engine on each of several GPUs: the same model in every process, the requests dealt out."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.engines.api import Completion, Engine, Request, new_engine
from harness.engines.settings import EngineSettings
from tasks.workers import end_with_parent, see_one_gpu


class ParallelEngine:
    """See `Engine`. A completion does not depend on how many processes there are, nor does its key.

    Args:
        name: Of the engine in each process.
        settings: Of each.
        workers: How many processes.
    """

    def __init__(self, name: str, settings: EngineSettings, workers: int) -> None:
        self._inner: Engine = new_engine(name, settings)  # never loaded: it says what the workers' are
        self.name, self.version, self.dtype = name, self._inner.version, self._inner.dtype
        self.wants_text = self._inner.wants_text
        self._settings = settings
        self._num_workers = workers
        self._workers: list[tuple[BaseProcess, Connection]] = []

    def refusal(self, adapter_dir: Path) -> str | None:
        """As the engine in each process."""
        return self._inner.refusal(adapter_dir)

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Loads the model in every process; errors are those of the first that fails."""
        if not self._workers:
            self._workers = [self._start(rank) for rank in range(self._num_workers)]
        failed = None
        for _, connection in self._workers:
            connection.send(("load", (model_dir, tuple(adapters))))
        for _, connection in self._workers:
            _, error = self._hear(connection)
            failed = failed or error
        if failed is not None:
            raise failed

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Yields as any process finishes; requests that come longest first are shared out evenly."""
        busy: dict[Connection, int] = {}
        for rank, (_, connection) in enumerate(self._workers):
            connection.send(("generate", requests[rank :: self._num_workers]))
            busy[connection] = rank
        try:
            while busy:
                spoken: list[Connection] = wait(list(busy))  # type: ignore[assignment]
                for connection in spoken:
                    kind, content = self._hear(connection)
                    if kind == "failed":
                        raise content
                    if kind == "done":
                        del busy[connection]
                    else:
                        index, completions = content
                        yield busy[connection] + index * self._num_workers, completions
        finally:
            if busy:  # the caller stopped early, or a process failed: what they work on is of no use
                self.close()

    def close(self) -> None:
        """Ends the processes."""
        for process, connection in self._workers:
            connection.close()
            process.kill()
            process.join()
        self._workers = []

    def _start(self, rank: int) -> tuple[BaseProcess, Connection]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self.name, self._settings, rank), daemon=True)
        process.start()
        theirs.close()
        return process, ours

    def _hear(self, connection: Connection) -> tuple[str, Any]:
        try:
            message: tuple[str, Any] = connection.recv()
            return message
        except EOFError as error:
            self.close()
            raise RuntimeError(
                f"a process of the {self.name} engine ended unexpectedly; is memory short?"
            ) from error


def _work(connection: Connection, name: str, settings: EngineSettings, rank: int) -> None:
    """A worker's life: what it is told, until it is killed."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this one
    see_one_gpu(rank)
    engine = new_engine(name, settings)
    while True:
        try:
            task, content = connection.recv()
        except EOFError:
            os._exit(0)  # what an engine holds needs no tidying
        try:
            if task == "load":
                engine.load(*content)
            else:
                for answer in engine.generate(content):
                    connection.send(("answer", answer))
            connection.send(("done", None))
        except Exception as error:
            connection.send(("failed", error))
