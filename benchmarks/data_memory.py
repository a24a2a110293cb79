"""Memory and time of training data by the number of examples: written to disk as a stream, read in batches.

    python -m benchmarks data_memory [SIZE ...]

Every size runs in a process of its own, so that no peak hides another. While examples are written, the peak
is of all memory; while they are read, pages of the mapped files count apart, since the system takes them back
when it needs them. Linux only (`/proc`).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure.children import Side, answer, run_child
from benchmarks.measure.tables import table
from sftkey_train.corpus import Corpus
from sftkey_train.embedded import embedded_folder
from sftkey_train.spans import encode
from sftkey_train.text import TextPath, load_tokenizer
from tasks.records import Record
from tasks.tags import get_tag_format

SIZES = (10_000, 100_000, 1_000_000)
BATCH_SIZE = 64
MAX_LENGTH = 512
COLUMNS = {
    "examples": "examples",
    "tokens": "tokens",
    "disk_mb": "MB on disk",
    "encode_seconds": "s to encode",
    "start_mb": "MB before",
    "encode_peak_mb": "MB peak, encoding",
    "read_seconds": "s to read",
    "read_private_mb": "MB own, reading",
    "read_mapped_mb": "MB mapped, reading",
}


def problems(size: int) -> Iterator[Record]:
    """Sums in two steps, made one by one."""
    rng = random.Random(0)
    for i in range(size):
        a, b, c = (rng.randint(1, 99) for _ in range(3))
        question = f"Ann has {a} pears. She picks {b} more and eats {c}. How many pears has she now?"
        rationale = f"Ann has {a} + {b} = {a + b} pears. Then {a + b} - {c} = {a + b - c}."
        yield Record(f"sum-{i}", question, None, rationale, str(a + b - c), "number")


def measure(size: int) -> dict[str, float]:
    """One row of the table, measured in this process."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = load_tokenizer(str(embedded_folder()))
        path = TextPath.of(tokenizer)
        row = {"examples": size, "start_mb": _status_mb("VmRSS")}
        started = time.perf_counter()
        directory = Path(folder) / "corpus"
        corpus = encode(problems(size), get_tag_format("thinking-answer"), path, MAX_LENGTH, to=directory)
        row["encode_seconds"] = time.perf_counter() - started
        row["encode_peak_mb"] = _status_mb("VmHWM")
        row["tokens"] = len(corpus.ids_N)
        row["disk_mb"] = sum(file.stat().st_size for file in directory.iterdir()) / 1e6
        return row | _read(corpus)


def _read(corpus: Corpus) -> dict[str, float]:
    """Reads all examples in batches, in a random order as training does."""
    started = time.perf_counter()
    order = np.random.default_rng(0).permutation(len(corpus))
    private_mb = mapped_mb = 0.0
    num_tokens = 0
    for start in range(0, len(order), BATCH_SIZE):
        num_tokens += sum(len(corpus[int(i)]["input_ids"]) for i in order[start : start + BATCH_SIZE])
        if start % (50 * BATCH_SIZE) == 0 or start + BATCH_SIZE >= len(order):
            private_mb = max(private_mb, _status_mb("RssAnon"))
            mapped_mb = max(mapped_mb, _status_mb("RssFile"))
    if num_tokens != len(corpus.ids_N):
        raise AssertionError(f"read {num_tokens} tokens of {len(corpus.ids_N)}")
    return {
        "read_seconds": time.perf_counter() - started,
        "read_private_mb": private_mb,
        "read_mapped_mb": mapped_mb,
    }


def _status_mb(name: str) -> float:
    """A figure of this process's memory, in megabytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise KeyError(name)


def main(arguments: list[str]) -> None:
    """Prints a Markdown table, a row for each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks data_memory", description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, metavar="SIZE", help="examples")
    side = Side("ours", Path(sys.executable), "benchmarks.data_memory")
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for size in parser.parse_args(arguments).sizes:
            row = run_child(side, {"size": size}, Path(work))
            digits = {name: 2 if name.endswith("seconds") else 0 for name in COLUMNS}
            rows.append([f"{row[name]:,.{digits[name]}f}" for name in COLUMNS])
    print(table([*COLUMNS.values()], rows))


if __name__ == "__main__":
    answer(lambda told: measure(told["size"]))
