"""Memory and time of training data by the number of examples: written to disk as a stream, read in batches.

    python -m benchmarks data_memory [SIZE ...]

Every size runs in a process of its own, so that no peak hides another. While examples are written, the peak
is of all memory; while they are read, pages of the mapped files count apart, since the system takes them back
when it needs them. Linux only (`/proc`).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sftkey_train.corpus import Corpus
from sftkey_train.embedded import embedded_tokenizer
from sftkey_train.model import load_tokenizer
from sftkey_train.spans import encode
from sftkey_train.text import TextPath
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
        tokenizer = load_tokenizer(str(embedded_tokenizer(Path(folder))))
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
    if arguments[:1] == ["--here"]:
        print(json.dumps(measure(int(arguments[1]))))
        return
    sizes = [int(size) for size in arguments] or SIZES
    print(f"| {' | '.join(COLUMNS.values())} |\n|{'---|' * len(COLUMNS)}")
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks", "data_memory", "--here", str(size)]
        child = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(child.stdout.splitlines()[-1])
        cells = (f"{row[name]:,.2f}" if name.endswith("seconds") else f"{row[name]:,.0f}" for name in COLUMNS)
        print(f"| {' | '.join(cells)} |", flush=True)
