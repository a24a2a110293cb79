"""Our side of `data_speed`: `python -m benchmarks.ours.data SPECIFICATION`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.measure.gsm8k import TAGGED
from benchmarks.measure.steps import peak_bytes
from sftkey_train.model import load_tokenizer
from sftkey_train.spans import encode
from sftkey_train.text import TextPath
from tasks.records import read_records


def main() -> None:
    """Times the encoding of the specification's records and writes the result."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    path = TextPath.of(load_tokenizer(told["tokenizer"]), "plain")
    records = read_records(Path(told["records"]))[: told["count"]]
    encode(records[:8], TAGGED, path, told["max_length"])  # what is done once
    start = time.perf_counter()
    corpus = encode(records, TAGGED, path, told["max_length"])
    seconds = time.perf_counter() - start
    result = {"seconds": seconds, "num_tokens": len(corpus.ids_N), "peak_bytes": peak_bytes()}
    Path(told["result"]).write_text(json.dumps(result), encoding="utf-8")


main()
