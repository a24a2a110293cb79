"""Which engine to take, and in how many processes.

Each is known by the dotted name of its class, and loaded when it is wanted. Where there are several GPUs, one
on each holds the same model, and the requests are dealt out.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from harness.engines.api import Completion, Engine, EngineSettings, Request, ServerSettings
from harness.engines.vllm import vllm_distribution
from tasks.errors import InputError, did_you_mean
from tasks.workers import Worker, WorkerLost, see_one_gpu, spoken, start_worker


@dataclass(frozen=True)
class EngineInfo:
    """An engine as `harness list engines` shows it."""

    name: str  # as `--engine` takes it
    description: str  # what it is
    source: str  # the distribution that provides it, with its version where that matters
    installed: bool  # whether it is there
    made_by: str  # its class, as `module:name`


ENGINES: dict[str, EngineInfo] = {
    "vllm": EngineInfo(
        "vllm",
        "vLLM in this process; the default where it is installed.",
        vllm_distribution() or "vllm (not installed)",
        vllm_distribution() is not None and importlib.util.find_spec("vllm") is not None,
        "harness.engines.vllm:VllmEngine",
    ),
    "hf": EngineInfo(
        "hf",
        "transformers' generate: slower, runs whatever transformers loads.",
        "transformers",
        True,
        "harness.engines.hf:HfEngine",
    ),
    "openai": EngineInfo(
        "openai",
        "any server that speaks OpenAI's protocol, such as vllm serve: --set eval.server.url=…",
        "openai",
        importlib.util.find_spec("openai") is not None,
        "harness.engines.openai:OpenAIEngine",
    ),
}


def choose_engine(name: str) -> str:
    """Resolves `auto`; InputError where there is no such engine, or it is not installed."""
    if name == "auto":
        return "vllm" if ENGINES["vllm"].installed else "hf"
    if name not in ENGINES:
        raise InputError(f"no engine {name!r}: {did_you_mean(name, [*ENGINES, 'auto'])}")
    if not ENGINES[name].installed:
        raise InputError(
            f"the engine {name} is not installed; install the extra cpu or cuda, or use --engine hf"
        )
    return name


def create_engine(name: str, settings: EngineSettings, server: ServerSettings | None = None) -> Engine:
    """Makes an engine that `choose_engine` has named, on all GPUs; it starts when a model is loaded."""
    if name == "openai":
        return new_engine(name, server or ServerSettings())
    import torch

    workers = settings.data_parallel or torch.cuda.device_count()
    return ParallelEngine(name, settings, workers) if workers > 1 else new_engine(name, settings)


def import_ahead(name: str) -> None:
    """Imports what an evaluation with an engine needs, which takes seconds; what fails there fails later."""
    for module in ("lm_eval.evaluator", *(["vllm"] if name == "vllm" else [])):
        with suppress(Exception):
            importlib.import_module(module)


def new_engine(name: str, settings: EngineSettings | ServerSettings) -> Engine:
    """Makes an engine in this process."""
    engine: Engine = pkgutil.resolve_name(ENGINES[name].made_by)(settings)
    return engine


class ParallelEngine:
    """The same `Engine` in several processes; no completion depends on how many, nor does its key."""

    def __init__(self, name: str, settings: EngineSettings, workers: int) -> None:
        self._inner: Engine = new_engine(name, settings)  # never loaded: it says what the workers' are
        self.name, self.version, self.dtype = name, self._inner.version, self._inner.dtype
        self.wants_text, self.measures = self._inner.wants_text, self._inner.measures
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
        with self._all_alive():
            for worker in self._workers:
                worker.send(("load", (model_dir, tuple(adapters))))
            answers = [worker.hear() for worker in self._workers]
        failed = next((content for kind, content in answers if kind == "failed"), None)
        if failed is not None:
            raise failed

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Yields as any process finishes; requests that come longest first are shared out evenly."""
        busy = {worker: rank for rank, worker in enumerate(self._workers)}
        try:
            with self._all_alive():
                for worker, rank in busy.items():
                    worker.send(("generate", requests[rank :: self._num_workers]))
                while busy:
                    for worker in spoken(busy):
                        kind, content = worker.hear()
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

    @contextmanager
    def _all_alive(self) -> Iterator[None]:
        try:
            yield
        except WorkerLost as lost:
            self.close()
            raise RuntimeError(
                f"a process of the {self.name} engine ended unexpectedly; is memory short?"
            ) from lost


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
