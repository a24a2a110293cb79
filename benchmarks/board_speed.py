"""From stored samples to a finished board with all statistics: 10 entries × 10 benchmarks, 10k to 1M samples.

    python -m benchmarks board_speed [--questions 100,1000,10000] [--repeats 3]

A run of each size is made and stored, with texts of a few hundred characters, so that reading costs what it
costs. Then fresh processes take turns:

- *board*: reads the run and builds the board: intervals, bootstrap, all pairs with every metric, Holm,
  McNemar, tiers, α, buckets;
- *report*: the same, and writes every form of the report, the page with its samples too;
- *naive*: reads the same samples with pandas and takes the bootstrap interval of each mean, and of each
  difference to the reference, with `scipy.stats.bootstrap` (as many resamples), one after another. Of the
  largest sizes only a share of the figures, since they take minutes; the time of all is in proportion.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure.children import Side, in_turns, run_child
from benchmarks.measure.tables import GIB, machine, ratio, spread, table, within

ENTRIES, BENCHMARKS = 10, 10
GOAL_SECONDS, GOAL_GIB = 20.0, 2e9 / GIB
_BOARD, _REPORT, _NAIVE = "board", "report", "naive"


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks board_speed", description=__doc__)
    parser.add_argument("--questions", type=_numbers, default=(100, 1_000, 10_000), help="of a benchmark")
    parser.add_argument("--repeats", type=int, default=3)
    told = parser.parse_args(arguments)
    print(f"{machine()}\n\nmedian (range) of {told.repeats} processes; seconds after imports\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for questions in told.questions:
            rows.append(_measured(Path(folder), questions, told.repeats))
    head = ["samples", "board, s", "peak memory, GiB", "with report, s", "peak, GiB", "page, MB"]
    print(table([*head, "naive, s", "of its figures", "board over naive"], rows))


def _measured(work: Path, questions: int, repeats: int) -> list[str]:
    run_dir = work / f"run-{questions}"
    told: dict[str, Any] = {"run": str(run_dir), "entries": ENTRIES, "benchmarks": BENCHMARKS}
    run_child(_side("make"), {**told, "do": "make", "questions": questions}, work)
    found: dict[str, list[dict[str, Any]]] = {_BOARD: [], _REPORT: [], _NAIVE: []}
    for name in in_turns(list(found), repeats):
        found[name].append(run_child(_side(name), {**told, "do": name, "questions": questions}, work))
    seconds = {name: [run["seconds"] for run in runs] for name, runs in found.items()}
    memory = {name: [run["peak_bytes"] / GIB for run in runs] for name, runs in found.items()}
    share = found[_NAIVE][0]["share"]
    print(f"{ENTRIES * BENCHMARKS * questions:,} samples measured", file=sys.stderr)
    return [
        f"{ENTRIES * BENCHMARKS * questions:,}",
        within(seconds[_BOARD], GOAL_SECONDS),
        within(memory[_BOARD], GOAL_GIB),
        spread(seconds[_REPORT]),
        spread(memory[_REPORT]),
        spread([run["page_bytes"] / 1e6 for run in found[_REPORT]], digits=1),
        spread(seconds[_NAIVE]),
        f"{100 * share:.0f} %",
        ratio(seconds[_BOARD], [each / share for each in seconds[_NAIVE]]),
    ]


def _side(name: str) -> Side:
    return Side(name, Path(sys.executable), "benchmarks.ours.board")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main(sys.argv[1:])
