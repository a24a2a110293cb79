"""Score many outputs: in order, in worker processes where that pays, in memory that does not grow.

What takes less than half a second is scored in this process, since starting others would take longer.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

from tasks.errors import InputError
from tasks.records import Kind
from tasks.scoring.verdict import DEFAULT_ALPHA, SampleScore, score_output
from tasks.tags import TagFormat

ALONE_SECONDS = 0.5
"""Scored in this process before others are started."""
CHUNK_ITEMS = 64
CHUNK_CHARS = 1 << 20
"""A chunk, which goes to a worker at a time, ends at either."""
_CHUNKS_AHEAD = 4


@dataclass(frozen=True, slots=True)
class ScoreItem:
    """An output to be scored; the fields are the arguments of `score_output`."""

    output: str
    gold: str
    kind: Kind
    choices: tuple[str, ...] | None
    tag_format: TagFormat
    truncated: bool = False
    alpha: float = DEFAULT_ALPHA
    reasoning_open: bool | None = None

    def score(self) -> SampleScore:
        """The verdict on it."""
        return score_output(
            self.output,
            gold=self.gold,
            kind=self.kind,
            choices=self.choices,
            tag_format=self.tag_format,
            truncated=self.truncated,
            alpha=self.alpha,
            reasoning_open=self.reasoning_open,
        )


def score_many(items: Iterable[ScoreItem], workers: int | None = None) -> Iterator[SampleScore]:
    """Score outputs in their order; the verdicts do not depend on the number of workers.

    Closing the iterator, or an interruption, ends the workers at once.

    Args:
        items: read as they are needed, some hundreds ahead for each worker.
        workers: processes at most; a process for each core where None, this process alone where 1.

    Yields:
        A verdict for each item.

    Raises:
        InputError: a worker was killed, most likely for want of memory.
    """
    left = iter(items)
    number = len(os.sched_getaffinity(0)) if workers is None else workers
    seconds = 0.0
    for item in left:
        start = time.perf_counter()
        score = item.score()
        seconds += time.perf_counter() - start
        yield score
        if seconds > ALONE_SECONDS and number > 1:
            break
    yield from _score_in_workers(left, number)


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    chunk: int | None = None
    """The index of the chunk it has."""


def _score_in_workers(items: Iterator[ScoreItem], number: int) -> Iterator[SampleScore]:
    chunks = _chunks(items)
    scores: dict[int, list[SampleScore]] = {}
    wanted, given, more = 0, 0, True
    with _crew() as crew:
        while True:
            while more and given - wanted < _CHUNKS_AHEAD * number and _has_room(crew, number):
                chunk = next(chunks, None)
                if chunk is None:
                    more = False
                else:
                    _hand_over(_idle(crew) or _start(crew), given, chunk)
                    given += 1
            if wanted == given:
                return
            if wanted in scores:
                yield from scores.pop(wanted)
                wanted += 1
            else:
                _receive(crew, scores)


def _chunks(items: Iterator[ScoreItem]) -> Iterator[list[ScoreItem]]:
    chunk: list[ScoreItem] = []
    num_chars = 0
    for item in items:
        chunk.append(item)
        num_chars += len(item.output)
        if len(chunk) == CHUNK_ITEMS or num_chars >= CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
    if chunk:
        yield chunk


def _idle(crew: Sequence[_Worker]) -> _Worker | None:
    return next((worker for worker in crew if worker.chunk is None), None)


def _has_room(crew: Sequence[_Worker], number: int) -> bool:
    return len(crew) < number or _idle(crew) is not None


@contextmanager
def _crew() -> Iterator[list[_Worker]]:
    """Workers, to be added to; at the end the idle go home and the busy are killed."""
    crew: list[_Worker] = []
    try:
        yield crew
    finally:
        for worker in crew:
            worker.connection.close()
            if worker.chunk is not None:
                worker.process.kill()
        for worker in crew:
            worker.process.join()


def _start(crew: list[_Worker]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    # The first start of a process starts this tracker too, and lifts the mask behind it.
    resource_tracker.ensure_running()
    # The child inherits the mask: at Ctrl-C it is this process that hears it, and ends the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    crew.append(_Worker(process, ours))
    return crew[-1]


def _hand_over(worker: _Worker, index: int, chunk: list[ScoreItem]) -> None:
    worker.chunk = index
    try:
        worker.connection.send(chunk)
    except OSError as error:
        raise _lost(worker) from error


def _receive(crew: Sequence[_Worker], scores: dict[int, list[SampleScore]]) -> None:
    """Waits for workers to be done with their chunks."""
    busy = {worker.connection: worker for worker in crew if worker.chunk is not None}
    for ready in wait(list(busy)):
        worker = busy[cast(Connection, ready)]
        assert worker.chunk is not None
        try:
            scores[worker.chunk] = worker.connection.recv()
        except (EOFError, OSError) as error:
            raise _lost(worker) from error
        worker.chunk = None


def _lost(worker: _Worker) -> InputError:
    worker.process.join(5)
    code = worker.process.exitcode
    how = "was killed" if code == -signal.SIGKILL else f"ended with exit code {code}"
    return InputError(f"a process that scores {how}; is memory short? use fewer --workers")


def _work(connection: Connection) -> None:
    """A worker's life: chunks until there are no more, or nobody wants their verdicts."""
    try:
        while True:
            connection.send([item.score() for item in connection.recv()])
    except (EOFError, OSError):
        return
