"""What a key stage could cost: time and memory of four ways to train it, against the plain one.

    python -m benchmarks stage2_cost

Its loss touches a few tokens at the end of each example. Of SmolLM2-135M's shape, with random weights and
examples of GSM8K's lengths as in `training_speed`:

- *plain*: what the trainer does; positions without loss pass through all layers but not through the head.
- *rows alone*: the last layer's MLP too sees only the positions with loss. The same gradient.
- *first half frozen*: no gradient through embeddings, head and half of the layers. Another method.
- *cached*: the same method; what the frozen layers make of an example is computed once for all epochs.

Losses of the ways of one method are held against each other. Prefixes that examples share could be computed
once, too: the share of tokens in the longest common beginning of any two neighbours in sorted order is told.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from benchmarks.measure.children import Side, in_turns, run_child
from benchmarks.measure.gsm8k import TAGGED, add_data_dir, train_tokenizer, training_records
from benchmarks.measure.tables import GIB, machine, ratio, spread, table
from benchmarks.training_speed import SHAPES, make_case, specification
from sftkey_train.spans import encode
from sftkey_train.text import TextPath

WAYS = {"plain": "plain", "rows alone": "plain", "first half frozen": "frozen", "cached": "frozen"}
"""Each with the method whose gradient it has."""


def measure(told: dict[str, Any], repeats: int, work: Path) -> dict[str, list[dict[str, Any]]]:
    """All ways in turns, each in a fresh process."""
    results: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for way in in_turns(list(WAYS), repeats):
        print(f"stage 2: {way}", file=sys.stderr)
        side = Side(way, Path(sys.executable), "benchmarks.ours.stage2_steps")
        results[way].append(run_child(side, {**told, "way": way}, work))
    return results


def shared_prefixes(data_dir: Path) -> float:
    """Share of tokens that a neighbour in sorted order begins with as well."""
    records, _ = training_records(data_dir, 7473)
    corpus = encode(records, TAGGED, TextPath.of(train_tokenizer(records, 8192), "plain"), 1024)
    examples = sorted(corpus[index]["input_ids"].tolist() for index in range(len(corpus)))
    shared = sum(
        len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))
        for one, other in pairwise(examples)
    )
    return shared / sum(map(len, examples))


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stage2_cost", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--batch-size", type=int, default=4, help="examples a step")
    parser.add_argument("--batches", type=int, default=4, help="steps that are timed")
    parser.add_argument("--repeats", type=int, default=2, help="processes of a way")
    add_data_dir(parser)
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        case, source = make_case(told)
        results = measure(specification(case, 2, Path(folder)), told.repeats, Path(folder))
    timed = {
        way: [sum(one["seconds"][-told.batches :]) / told.batches for one in runs]
        for way, runs in results.items()
    }
    peaks = {way: [one["peak_bytes"] / GIB for one in runs] for way, runs in results.items()}
    rows = []
    for way, method in WAYS.items():
        first = next(other for other in WAYS if WAYS[other] == method)
        pairs = zip(results[way][0]["losses"], results[first][0]["losses"], strict=True)
        rows.append(
            [
                *(way, spread(timed[way]), ratio(timed[way], timed["plain"]), spread(peaks[way])),
                *(
                    ratio(peaks[way], peaks["plain"]),
                    "–" if way == first else f"{max(abs(a - b) for a, b in pairs):.0e}",
                ),
            ]
        )
    head = ["way", "s a step", "/ plain", "peak GiB", "/ plain", "loss differs by"]
    print(f"{machine()}\n\n{case.shape.name}, {told.batch_size} examples a step, lengths from {source}\n")
    print(table(head, rows))
    once = [one["once"] for one in results["cached"]]
    print(f"\nMaking the cache took {spread(once)} s, once, for {len(case.corpus.ids_N)} tokens.")
    print(f"Tokens in prefixes that examples share: {shared_prefixes(told.data_dir):.1%}")


if __name__ == "__main__":
    main(sys.argv[1:])
