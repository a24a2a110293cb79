"""Time to make 100,000 GSM8K examples ready for training, against TRL's SFTTrainer.

    python -m benchmarks data_speed

Both sides start from texts in memory, with one tokenizer (byte-level BPE, GPT-2's pre-tokenisation, trained
on GSM8K), and end with token ids and which of them carry loss; both must come to the same number of tokens.
Ours renders the tags, tokenises, and gives every token its segment, from which all stages and variants take
their loss; TRL is handed the rendered text and masks the prompt. TRL gets the number of processes that does
best in a trial on a tenth of the examples, and no cutting to length, which would be one more pass.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure.children import Side, in_turns, run_child
from benchmarks.measure.gsm8k import (
    TAGGED,
    add_data_dir,
    train_tokenizer,
    training_records,
    write_halves,
    write_records,
)
from benchmarks.measure.tables import GIB, against, machine, spread, table
from benchmarks.trl.environment import NEWEST, Rival, ensure_environment
from tasks.errors import InputError

OURS = Side("ours", Path(sys.executable), "benchmarks.ours.data")
GOAL = 0.5
_VOCABULARY = 8192


def write_inputs(data_dir: Path, count: int, work: Path) -> tuple[dict[str, Any], str]:
    """Writes tokenizer, records and rendered texts; gives what both sides are told, and the source."""
    records, source = training_records(data_dir, count)
    train_tokenizer(records[:7473], _VOCABULARY).save_pretrained(work / "tokenizer")
    write_halves(work / "halves.json", records, TAGGED)
    write_records(work / "records.jsonl", records)
    told = {
        "tokenizer": str(work / "tokenizer"),
        "halves": str(work / "halves.json"),
        "records": str(work / "records.jsonl"),
        "max_length": 1024,
        "count": count,
    }
    return told, source


def best_rival(told: dict[str, Any], work: Path) -> Rival:
    """TRL with the number of processes that does best on a tenth of the examples."""
    cores = len(os.sched_getaffinity(0))
    candidates = [Rival(NEWEST, "1 process"), _in_processes(cores)]
    if cores > 2:
        candidates.append(_in_processes(cores // 2))
    tenth = {**told, "count": max(1, told["count"] // 10)}
    seconds = [_run(rival, tenth, work)["seconds"] for rival in candidates]
    for rival, needed in zip(candidates, seconds, strict=True):
        print(f"trial on {tenth['count']} examples: {rival.name} {needed:.1f} s", file=sys.stderr)
    return candidates[seconds.index(min(seconds))]


def _in_processes(number: int) -> Rival:
    return Rival(NEWEST, f"{number} processes", {"dataset_num_proc": number})


def _run(rival: Rival, told: dict[str, Any], work: Path) -> dict[str, Any]:
    return run_child(rival.side("benchmarks.trl.data"), {**told, "settings": rival.settings}, work)


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks data_speed", description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3, help="processes of a side")
    add_data_dir(parser)
    asked = parser.parse_args(arguments)
    ensure_environment()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        told, source = write_inputs(asked.data_dir, asked.examples, work)
        rival = best_rival(told, work)
        results: dict[str, list[dict[str, Any]]] = {OURS.name: [], rival.name: []}
        for name in in_turns([OURS.name, rival.name], asked.repeats):
            result = run_child(OURS, told, work) if name == OURS.name else _run(rival, told, work)
            print(f"{name}: {result['seconds']:.1f} s", file=sys.stderr)
            results[name].append(result)
    tokens = {result["num_tokens"] for runs in results.values() for result in runs}
    if len(tokens) > 1:
        raise InputError(f"the sides did not tokenise the same: {sorted(tokens)} tokens")
    rows = [
        [
            name,
            spread([result["seconds"] for result in runs]),
            f"{asked.examples / min(result['seconds'] for result in runs):,.0f}",
            spread([result["peak_bytes"] / GIB for result in runs]),
        ]
        for name, runs in results.items()
    ]
    print(f"{machine()}\n\n{asked.examples} examples of {source}, {tokens.pop()} tokens; median (range)\n")
    print(table(["side", "s", "examples/s at best", "peak GiB, first process"], rows))
    seconds = [[result["seconds"] for result in results[name]] for name in (OURS.name, rival.name)]
    print(f"\nTime of ours against TRL's: {against(*seconds, GOAL)}")


if __name__ == "__main__":
    main(sys.argv[1:])
