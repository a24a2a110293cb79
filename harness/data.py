"""The training records of a run: a stream over the benchmarks that have some."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from harness.config import Config
from tasks.benchmarks import Benchmark
from tasks.errors import InputError
from tasks.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TrainingRecords:
    """Records with a rationale from the training splits of benchmarks: a stream that can be read again.

    Benchmarks that share their training data (a set and its harder test) give it once. Of a record that has
    been read eight bytes are kept, and only where a later benchmark may share it: among ten million records
    the chance that one is taken for another is below one in a hundred thousand.

    Args:
        config: Says how many records of a benchmark to take, and where they are.
        benchmarks: In the order in which their records come; those without training data give none.

    Attributes:
        counts: Benchmark name -> its records in the stream, filled when a reading comes to the end.
    """

    def __init__(self, config: Config, benchmarks: Sequence[Benchmark]) -> None:
        self.counts: dict[str, int] = {}
        self._config = config
        self._benchmarks = benchmarks

    def __iter__(self) -> Iterator[Record]:
        """Yields the records.

        Raises:
            InputError: There are none, or a source is broken.
        """
        counts: dict[str, int] = {}
        sources = [benchmark for benchmark in self._benchmarks if benchmark.train_split is not None]
        known = np.empty(0, np.uint64)
        for position, benchmark in enumerate(sources):
            records = benchmark.iter_records("train", self._config.data_dir)
            usable = islice(filter(self._may_take(benchmark), records), self._config.train_limit)
            hashes = array("Q")
            for record in usable:
                if len(sources) > 1:
                    hashes.append(_hash(record))
                    if _is_in(known, hashes[-1]):
                        continue
                counts[benchmark.name] = counts.get(benchmark.name, 0) + 1
                yield record
            if position < len(sources) - 1:
                known = np.union1d(known, np.frombuffer(hashes, np.uint64))
        if not counts:
            names = ", ".join(benchmark.name for benchmark in self._benchmarks)
            raise InputError(
                f"no training data with rationales in {names}; add a benchmark that has some, such as gsm8k"
            )
        self.counts.clear()
        self.counts.update(counts)

    def _may_take(self, benchmark: Benchmark) -> Callable[[Record], bool]:
        """Has a rationale, and is not lent to a validation split that this run looks at."""
        config = self._config
        validates = config.eval.split == "validation" or config.train.validate_every is not None
        return lambda record: bool(record.rationale) and not (validates and benchmark.is_lent(record))


def _hash(record: Record) -> int:
    text = f"{record.id}\0{record.question}".encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _is_in(known: NDArray[np.uint64], value: int) -> bool:
    position = int(np.searchsorted(known, np.uint64(value)))
    return position < len(known) and int(known[position]) == value
