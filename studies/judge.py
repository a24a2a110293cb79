"""A judge that is a model: how far SmolLM2-135M-Instruct, served by vLLM, agrees with the rule.

    python -m studies judge [--out runs/judge] [--limit 150]

Trains the method, its control and plain SFT on the embedded world with one seed, has their outputs and the
base's judged over HTTP on this machine, and prints what judge and rule say. So small a model judges badly;
what is shown is that a real server and a real model go through the whole of it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.measure.children import run_command
from benchmarks.measure.served import serving
from benchmarks.measure.tables import machine, table
from benchmarks.real_model import real_model
from tasks.errors import InputError

VARIANTS = "sft-tag,sftkey-tag,sft-tag-x2"
BENCHMARKS = "world_number_gap1,world_choice_gap1"
NAME = "SmolLM2-135M-Instruct"


def main(arguments: list[str]) -> None:
    """Runs all of it and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m studies judge", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/judge"), help="folder of the run")
    parser.add_argument("--limit", type=int, default=150, help="test questions of each benchmark")
    told = parser.parse_args(arguments)
    try:
        print(judged(told.out, told.limit))
    except InputError as error:
        sys.exit(f"error: {error}")


def judged(out: Path, limit: int) -> str:
    """Machine and table of what judge and rule say, by benchmark."""
    from harness.models.locate import locate
    from leaderboards import build_board, read_outcomes

    out.mkdir(parents=True, exist_ok=True)
    model = locate(str(real_model()))
    with serving(model, NAME, out / "server.log", "--max-model-len", "2048", seconds=600) as url:
        run_command([
            *(sys.executable, "-m", "harness", "train-and-eval", "--variants", VARIANTS, "--benchmarks"),
            *(BENCHMARKS, "--seeds", "1", "--judge", url, "--out", str(out)),
            *("--set", f"limit={limit}", "--set", "eval.judge.max_new_tokens=16"),
        ])  # fmt: skip
    board = build_board([read_outcomes(out)])
    rows = [
        [row.name, cell.benchmark, str(found.n), str(found.unreadable)]
        + [f"{100 * share:.1f}" for share in (found.rule_accuracy, found.judge_accuracy, found.agreement)]
        + ["–" if found.kappa is None else f"{found.kappa:.2f}"]
        for row in board.rows
        for cell in row.cells
        if (found := cell.judged)
    ]
    head = ("entry", "benchmark", "read", "not read", "rule, %", "judge, %", "agree, %", "κ")
    return f"{machine()}\nJudge: {NAME}, de-quantised from Q4_1, served by vLLM\n\n{table(head, rows)}"
