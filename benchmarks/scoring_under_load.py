"""Whether a busy machine changes verdicts: LaTeX answers scored three times, idle and beside busy processes.

`python -m benchmarks scoring_under_load [--pairs 100] [--spinning 4] [--data-dir DIR]`. The pairs are
references of college_math against their neighbours', and heavy ones made up, some of which Math-Verify cannot
decide in its processor time. Each round is a fresh process, so that nothing is remembered.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

from benchmarks.measure.gsm8k import add_data_dir
from benchmarks.measure.tables import machine, table
from tasks.benchmarks import load_benchmark
from tasks.scoring import Item, score
from tasks.tags import get_tag_format

ROUNDS = 3
HEAVY = [
    (rf"\sum_{{k=1}}^{{{n}}} \frac{{1}}{{k^2+x}}", rf"\int_0^{n} \frac{{\sin(x^{k})}}{{x^2+{k}}} dx")
    for n in (3, 9, 21)
    for k in (2, 3)
]
HEAVY += [(rf"(x+y+z)^{{{n}}}", rf"(x+y)^{{{n}}}+z^{{{n}}}") for n in range(4, 40, 6)]
Verdict = tuple[bool, bool]


def pairs(data_dir: Path, count: int) -> list[tuple[str, str]]:
    """References and answers; the heavy ones alone where the data is not at hand."""
    if not (data_dir / "college_math" / "test.jsonl").is_file():
        return HEAVY
    answers = [record.answer for record in load_benchmark("college_math").records("test", data_dir)]
    short = [answer for answer in answers if len(answer) < 120][: count + 1]
    return [*pairwise(short), *HEAVY]


def verdicts(asked: Sequence[tuple[str, str]]) -> tuple[list[Verdict], float]:
    """Whether each is right, whether that could not be decided, and the seconds that all took."""
    tags, began, found = get_tag_format("boxed"), time.perf_counter(), []
    for gold, answer in asked:
        said = score(Item(f"\\boxed{{{answer}}}", gold, "latex", None, tags))
        found.append((said.accuracy, said.undecided))
    return found, time.perf_counter() - began


def spin() -> None:
    """Takes a core for good."""
    while True:
        pass


def main(arguments: Sequence[str]) -> None:
    """Prints how many verdicts differ between rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scoring_under_load", description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--spinning", type=int, default=4)
    add_data_dir(parser)
    options = parser.parse_args(arguments)
    asked, context = pairs(options.data_dir, options.pairs), multiprocessing.get_context("spawn")
    rows, first = [], None
    for number in (0, options.spinning):
        busy = [context.Process(target=spin, daemon=True) for _ in range(number)]
        for process in busy:
            process.start()
        for _ in range(ROUNDS):
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                found, seconds = pool.submit(verdicts, asked).result()
            first = first or found
            differ = sum(one != other for one, other in zip(found, first, strict=True))
            undecided = sum(each for _, each in found)
            rows.append([str(number), str(len(asked)), str(undecided), str(differ), f"{seconds:.1f}"])
        for process in busy:
            process.kill()
    print(table(["spinning", "pairs", "undecided", "differ from the first round", "s"], rows))
    print(machine())
