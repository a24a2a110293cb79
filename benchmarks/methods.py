"""What each method of training costs, and what mixed precision changes: loss, step time and peak memory.

    python -m benchmarks methods [--shape smollm2-135m] [--steps 60]

A model of SmolLM2-135M's or Qwen2.5-0.5B's shape with random weights is written to a folder and trained on
GSM8K's examples from there, as a run would: whole, with LoRA and, on a GPU, with QLoRA; on a GPU in bfloat16
mixed precision, and whole in float32 too. Every way runs in two processes, whose weights should be the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure.children import Side, run_child
from benchmarks.measure.gsm8k import add_data_dir, train_tokenizer, training_records
from benchmarks.measure.models import write_model
from benchmarks.measure.tables import GIB, machine, spread, table, table_line
from benchmarks.training_speed import SHAPES
from tasks.errors import InputError

_VOCABULARY = 8192


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m benchmarks methods", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--steps", type=int, default=60, help="optimiser steps of a process")
    parser.add_argument("--batch-size", type=int, default=16, help="examples a step")
    add_data_dir(parser)
    told = parser.parse_args(arguments)
    on_gpu = torch.cuda.is_available()
    precision = "bfloat16" if on_gpu else "float32"
    ways = [("full", "float32")] * on_gpu + [("full", precision), ("lora", precision)]
    ways += [("qlora", precision)] * on_gpu
    records, source = training_records(told.data_dir, 7473)
    print(f"{machine()}\n\n{SHAPES[told.shape].name}, random weights, {told.batch_size} examples a step of")
    print(f"{source}, {told.steps} steps; median (range) of the steps of two processes, without the first\n")
    head = ["method", "loss at the start", "at the end", "ms a step", "peak GiB", "same weights twice"]
    print(table(head, []), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        write_model(model, train_tokenizer(records, _VOCABULARY), SHAPES[told.shape], context=1024)
        for method, dtype in ways:
            side = Side(f"{method}, {dtype}", Path(sys.executable), "benchmarks.ours.method_steps")
            asked = {
                "model": str(model),
                "data_dir": str(told.data_dir),
                "method": method,
                "bf16": dtype == "bfloat16",
                "batch_size": told.batch_size,
                "steps": told.steps,
            }
            print(side.name, file=sys.stderr)
            try:
                row = _row(side.name, [run_child(side, asked, Path(folder)) for _ in range(2)])
            except InputError as error:
                row = [side.name, f"failed: {error}", "", "", "", ""]
            print(table_line(row), flush=True)


def _row(name: str, runs: Sequence[dict[str, Any]]) -> list[str]:
    losses = runs[0]["losses"]
    last = losses[-10:]
    return [
        name,
        f"{losses[0]:.3f}",
        f"{sum(last) / len(last):.3f}",
        spread([1000 * seconds for run in runs for seconds in run["seconds"]], 0),
        spread([run["peak_bytes"] / GIB for run in runs]),
        "yes" if len({run["digest"] for run in runs}) == 1 else "no",
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
