"""Our side of `data_speed`: `python -m benchmarks.ours.data SPECIFICATION`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.measure.children import answer
from benchmarks.measure.gsm8k import TAGGED
from benchmarks.measure.steps import peak_bytes
from sftkey_train.spans import encode
from sftkey_train.text import TextPath, load_tokenizer
from tasks.records import read_records


def encode_all(told: dict[str, Any]) -> dict[str, Any]:
    """Times the encoding of the specification's records."""
    path = TextPath.of(load_tokenizer(told["tokenizer"]), "plain")
    records = read_records(Path(told["records"]))[: told["count"]]
    encode(records[:8], TAGGED, path, told["max_length"])  # what is done once
    start = time.perf_counter()
    corpus = encode(records, TAGGED, path, told["max_length"])
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "num_tokens": len(corpus.ids_N), "peak_bytes": peak_bytes()}


answer(encode_all)
