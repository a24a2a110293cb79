"""An engine on each of several GPUs: the same model in every process, the requests dealt out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.engines.api import Completion, Engine, Request
from harness.engines.registry import new_engine
from harness.engines.settings import EngineSettings
from tasks.workers import Worker, WorkerLost, see_one_gpu, spoken, start_worker


class ParallelEngine:
    """The same `Engine` in several processes; no completion depends on how many, nor does its key.

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
        self._workers: list[Worker] = []

    def refusal(self, adapter_dir: Path) -> str | None:
        """As the engine in each process."""
        return self._inner.refusal(adapter_dir)

    def load(self, model_dir: Path, adapters: Sequence[Path] = ()) -> None:
        """Loads the model in every process; errors are those of the first that fails."""
        if not self._workers:
            ranks = range(self._num_workers)
            self._workers = [start_worker(_live, self.name, self._settings, rank) for rank in ranks]
        for worker in self._workers:
            self._tell(worker, ("load", (model_dir, tuple(adapters))))
        answers = [self._hear(worker) for worker in self._workers]
        failed = next((content for kind, content in answers if kind == "failed"), None)
        if failed is not None:
            raise failed

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Yields as any process finishes; requests that come longest first are shared out evenly."""
        busy: dict[Worker, int] = {}
        for rank, worker in enumerate(self._workers):
            self._tell(worker, ("generate", requests[rank :: self._num_workers]))
            busy[worker] = rank
        try:
            while busy:
                for worker in spoken(busy):
                    kind, content = self._hear(worker)
                    if kind == "failed":
                        raise content
                    if kind == "done":
                        del busy[worker]
                    else:
                        index, completions = content
                        yield busy[worker] + index * self._num_workers, completions
        finally:
            if busy:  # the caller stopped early, or a process failed: what they work on is of no use
                self.close()

    def close(self) -> None:
        """Ends the processes."""
        for worker in self._workers:
            worker.end(busy=True)  # what an engine holds needs no tidying
        self._workers = []

    def _tell(self, worker: Worker, message: object) -> None:
        try:
            worker.send(message)
        except WorkerLost as lost:
            raise self._ended() from lost

    def _hear(self, worker: Worker) -> tuple[str, Any]:
        try:
            message: tuple[str, Any] = worker.hear()
            return message
        except WorkerLost as lost:
            raise self._ended() from lost

    def _ended(self) -> RuntimeError:
        self.close()
        return RuntimeError(f"a process of the {self.name} engine ended unexpectedly; is memory short?")


def _live(connection: Connection, name: str, settings: EngineSettings, rank: int) -> None:
    """A worker's life: what it is told, until it is killed."""
    see_one_gpu(rank)
    engine = new_engine(name, settings)
    while True:
        try:
            task, content = connection.recv()
        except EOFError:
            os._exit(0)
        try:
            if task == "load":
                engine.load(*content)
            else:
                for answer in engine.generate(content):
                    connection.send(("answer", answer))
            connection.send(("done", None))
        except Exception as error:
            connection.send(("failed", error))
