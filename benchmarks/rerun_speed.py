"""What a run costs when everything is in the store: 10 checkpoints × 10 benchmarks, 1k to 100k samples.

    python -m benchmarks rerun_speed

Completions are put into the store without a model: outputs as one might write them, 60 % right, some wrong,
without tags or cut off, so that there is something to score. Then fresh processes evaluate:

- *nothing is scored yet*: the completions are there, lm-eval scores them all, results are written;
- *all is there*: the same once more, which reads what was scored and writes results.

Both are timed after imports and as whole processes; no engine starts. The whole command, which ends with the
leaderboard, and `harness leaderboard` by itself are reported beside them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.measure.children import Side, run_child, run_command
from benchmarks.measure.models import EMBEDDED, embedded_tokenizer, write_adapters, write_model
from benchmarks.measure.tables import machine, spread, table, within
from benchmarks.ours.rerun import TAGS
from tasks.errors import InputError

WORLDS = (
    *("world_number", "world_choice", "world_number_gap1", "world_choice_gap1"),
    *("world_number_long", "world_number_gap2", "world_number_gap1_long", "world_choice_gap2"),
)
DATA = ("gsm8k", "commonsenseqa", "college_math")
NUM_BENCHMARKS = 10
GOAL_SECONDS = 10.0
_CONTEXT = 8192
_ALL_THERE, _UNSCORED = "all is there", "nothing is scored yet"


@dataclass
class Case:
    """A store of one size.

    Attributes:
        model: Folder of the base model.
        adapters: The checkpoints.
        benchmarks: Names.
        limit: Samples of each benchmark.
        data_dir: Folder of benchmark data.
        work: Folder of the run.
    """

    model: Path
    adapters: Sequence[Path]
    benchmarks: Sequence[str]
    limit: int
    data_dir: Path | None
    work: Path
    out: Path = field(init=False)

    def __post_init__(self) -> None:
        self.out = self.work / f"run-{self.limit}"

    def child(self, *, fill: bool) -> dict[str, Any]:
        """Fills the store, or runs over it, in a fresh process."""
        told = {
            "model": str(self.model),
            "adapters": [str(path) for path in self.adapters],
            "benchmarks": list(self.benchmarks),
            "limit": self.limit,
            "data_dir": str(self.data_dir) if self.data_dir else None,
            "out": str(self.out),
            "fill": fill,
        }
        return run_child(Side("ours", Path(sys.executable), "benchmarks.ours.rerun"), told, self.work)

    def forget_scores(self) -> None:
        """Leaves the completions alone in the store."""
        evaluations = self.out / "store" / "evaluations"
        if evaluations.is_dir():
            shutil.rmtree(evaluations)

    def command(self) -> list[str]:
        """The whole command."""
        return [
            *(sys.executable, "-m", "harness", "eval", "--model", str(self.model)),
            *(part for path in self.adapters for part in ("--adapter", str(path))),
            *("--benchmarks", ",".join(self.benchmarks), "--limit", str(self.limit)),
            *("--tags", TAGS, "--engine", "vllm", "--out", str(self.out)),
            *(("--data-dir", str(self.data_dir)) if self.data_dir else ()),
        ]


@dataclass
class Measured:
    """Seconds, one for each repetition.

    Attributes:
        num_samples: In the store.
        after_imports: By what is there: evaluation and writing of results.
        process: Likewise, of the whole process.
        intake: Looking at the checkpoints again, which no weights are read for.
        command: `harness eval`, leaderboard included.
        leaderboard: `harness leaderboard`.
    """

    num_samples: int
    after_imports: dict[str, list[float]] = field(default_factory=lambda: {_UNSCORED: [], _ALL_THERE: []})
    process: dict[str, list[float]] = field(default_factory=lambda: {_UNSCORED: [], _ALL_THERE: []})
    intake: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)
    leaderboard: list[float] = field(default_factory=list)


def measure(case: Case, repeats: int) -> Measured:
    """Fills a store and runs over it."""
    measured = Measured(case.child(fill=True)["num_samples"])
    for _ in range(repeats):
        case.forget_scores()
        for there in (_UNSCORED, _ALL_THERE):
            found = case.child(fill=False)
            print(f"{measured.num_samples} samples, {there}: {found['seconds']:.2f} s", file=sys.stderr)
            measured.after_imports[there].append(found["seconds"])
            measured.process[there].append(found["process_seconds"])
            measured.intake.append(found["intake"])
        measured.command.append(run_command(case.command()))
        board = [sys.executable, "-m", "harness", "leaderboard", str(case.out)]
        measured.leaderboard.append(run_command(board))
    return measured


def report(all_measured: Sequence[Measured]) -> None:
    """Prints the tables in Markdown."""
    head = ["samples", "s after imports", "s of the process", "µs a sample"]
    for there in (_ALL_THERE, _UNSCORED):
        rows = [
            [
                f"{one.num_samples:,}",
                spread(one.after_imports[there]),
                spread(one.process[there], 1),
                f"{min(one.after_imports[there]) / one.num_samples * 1e6:.0f}",
            ]
            for one in all_measured
        ]
        print(f"\n#### {there.capitalize()}\n\n{table(head, rows)}")
    last = all_measured[-1]
    seconds = within(last.after_imports[_ALL_THERE], GOAL_SECONDS)
    print(f"\n{last.num_samples:,} samples, all there, after imports: {seconds} s")
    rows = [
        [f"{one.num_samples:,}", spread(one.intake), spread(one.command, 1), spread(one.leaderboard, 1)]
        for one in all_measured
    ]
    head = [
        "samples",
        "looking at the checkpoints, s",
        "`harness eval` in all, s",
        "`harness leaderboard`, s",
    ]
    print(f"\n#### Beside it\n\n{table(head, rows)}")


def benchmarks_of(data_dir: Path | None) -> tuple[str, ...]:
    """Ten benchmarks, some of them of the data directory; where it lacks them, the eight that need none."""
    there = tuple(name for name in DATA if data_dir and list((data_dir / name).glob("[tv]*.jsonl")))
    return (*there, *WORLDS[: NUM_BENCHMARKS - len(there)])


def main(arguments: Sequence[str]) -> None:
    """Prints tables in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rerun_speed", description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=10)
    parser.add_argument("--limits", default="10,100,1000", help="samples of a benchmark, with commas")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--data-dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--quick", action="store_true", help="2 checkpoints, 10 samples of a benchmark, once")
    told = parser.parse_args(arguments)
    if told.quick:
        told.checkpoints, told.limits, told.repeats = 2, "10", 1
    limits = [int(limit) for limit in told.limits.split(",")]
    if limits != sorted(limits):
        raise InputError("--limits: name the smallest first")
    data_dir = told.data_dir if told.data_dir.is_dir() else None
    names = benchmarks_of(data_dir)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model = work / "model"
        write_model(model, embedded_tokenizer(), EMBEDDED, context=_CONTEXT)
        adapters = write_adapters(model, work, told.checkpoints)
        measured = [
            measure(Case(model, adapters, names, limit, data_dir, work), told.repeats) for limit in limits
        ]
    print(f"{machine()}\n\n{told.checkpoints} checkpoints × {len(names)} benchmarks ({', '.join(names)});")
    print(f"median (range) of {told.repeats} processes")
    report(measured)


if __name__ == "__main__":
    main(sys.argv[1:])
