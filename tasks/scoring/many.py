"""Many outputs: scored in order, in worker processes where that pays, and two verdicts on each compared.

Memory does not grow with their number. What takes less than half a second is scored in this process, since
starting others would take longer.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tasks.errors import InputError
from tasks.scoring.verdict import Item, Score, score
from tasks.workers import Worker, WorkerLost, spoken, start_worker

ALONE_SECONDS = 0.5
"""Scored in this process before others are started."""
CHUNK_ITEMS = 64
CHUNK_CHARS = 1 << 20
"""A chunk, which goes to a worker at a time, ends at either."""
_CHUNKS_AHEAD = 4


def score_many(items: Iterable[Item], workers: int | None = None) -> Iterator[Score]:
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
        verdict = score(item)
        seconds += time.perf_counter() - start
        yield verdict
        if seconds > ALONE_SECONDS and number > 1:
            break
    try:
        yield from _score_in_workers(left, number)
    except WorkerLost as lost:
        raise InputError(f"a process that scores {lost}; is memory short? use fewer --workers") from lost


def _score_in_workers(items: Iterator[Item], number: int) -> Iterator[Score]:
    chunks = _chunks(items)
    idle: list[Worker] = []
    busy: dict[Worker, int] = {}  # the index of the chunk that each has
    scores: dict[int, list[Score]] = {}
    wanted, given, more = 0, 0, True
    try:
        while more or wanted < given:
            while more and given - wanted < _CHUNKS_AHEAD * number and len(busy) < number:
                chunk = next(chunks, None)
                more = chunk is not None
                if more:
                    worker = idle.pop() if idle else start_worker(_work)
                    busy[worker] = given
                    worker.send(chunk)
                    given += 1
            if wanted in scores:
                yield from scores.pop(wanted)
                wanted += 1
            elif busy:
                for worker in spoken(busy):
                    scores[busy[worker]] = worker.hear()
                    idle.append(worker)
                    del busy[worker]
    finally:  # the idle go home and the busy are killed
        for worker in (*idle, *busy):
            worker.end(busy=worker in busy)


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    num_chars = 0
    for item in items:
        chunk.append(item)
        num_chars += len(item.output)
        if len(chunk) == CHUNK_ITEMS or num_chars >= CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
    if chunk:
        yield chunk


def _work(connection: Connection) -> None:
    """A worker's life: chunks until there are no more, or nobody wants their verdicts."""
    while True:
        connection.send([score(item) for item in connection.recv()])


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two series of verdicts, compared.

    Attributes:
        n: number of pairs.
        agreement: share of them that are the same.
        kappa: Cohen's κ, see `cohens_kappa`.
    """

    n: int
    agreement: float
    kappa: float | None


def agreement(pairs: Iterable[tuple[bool, bool]]) -> Agreement:
    """Compare two series of verdicts, given as the two on each output.

    Raises:
        ValueError: there are no pairs.
    """
    counts = Counter(pairs)
    both, neither = counts[True, True], counts[False, False]
    if not (n := counts.total()):
        raise ValueError("no verdicts to compare")
    kappa = cohens_kappa(both, counts[True, False], counts[False, True], neither)
    return Agreement(n, (both + neither) / n, kappa)


def cohens_kappa(both: int, first_only: int, second_only: int, neither: int) -> float | None:
    """Agreement beyond chance, (p_o - p_e) / (1 - p_e) (Cohen 1960, doi:10.1177/001316446002000104, eq. 1).

    The arguments count the outputs that both judges hold right, only one of them, or neither. None where
    chance alone makes both agree on everything, both being constant and alike.
    """
    n = both + first_only + second_only + neither
    first, second = both + first_only, both + second_only
    by_chance = first * second + (n - first) * (n - second)  # times n², so that all but the end is exact
    return None if by_chance == n * n else ((both + neither) * n - by_chance) / (n * n - by_chance)
