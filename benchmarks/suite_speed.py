"""The whole of 6 variants × 3 seeds, against six runs of TRL's SFTTrainer, one for each variant.

    python -m benchmarks suite_speed

A model of the embedded one's size with random weights, 1,000 GSM8K examples, one pass of them for each
variant. Ours is one `harness train` command from start to end. TRL's are processes as a script of its user
would be: the same number of steps, two-stage variants as two trainings on the same weights in memory, the
last weights saved. Seeds take TRL as long as each other, so 18 runs are reckoned as three times six.

TRL gets the version, loss and number of threads that do best in a trial of a few steps. Our command trains
a stage on each core where the model is small; a user of TRL may start as many scripts at once, so the six
runs are measured in that way too, one thread each.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.measure.children import run_child, run_command
from benchmarks.measure.gsm8k import (
    TAGGED,
    add_data_dir,
    train_tokenizer,
    training_records,
    write_halves,
    write_records,
)
from benchmarks.measure.models import EMBEDDED, write_model
from benchmarks.measure.tables import against, machine, ratio, spread, table
from benchmarks.trl.environment import NEWEST, Rival, ensure_environment
from tasks.records import Record
from tasks.tags import get_tag_format

PLAIN = get_tag_format("none")
VARIANTS = {
    "sft": (PLAIN, (False,)),
    "sft-tag": (TAGGED, (False,)),
    "key-tag": (TAGGED, (True,)),
    "sftkey": (PLAIN, (False, True)),
    "sftkey-tag": (TAGGED, (False, True)),
    "sft-tag-x2": (TAGGED, (False, False)),
}
"""Tag format of each variant, and whether each of its stages has its loss on the answer alone."""
NUM_SEEDS = 3
GOAL = 1 / 3
BATCH_SIZE = 8
VOCABULARY = 512
WARMUP_SHARE = 0.1
LEARNING_RATES = (2e-3, 1e-5)
TRIAL_STEPS = 25


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        records: The examples.
        work: Folder that holds the model, the data, and what is made.
    """

    records: Sequence[Record]
    work: Path

    @property
    def num_steps(self) -> int:
        """Optimiser steps of a variant, all of its stages together."""
        return len(self.records) // BATCH_SIZE

    def prepare(self) -> None:
        """Writes the data for both sides, and a model with random weights and a tokenizer for it."""
        folder = self.work / "data" / "gsm8k"
        folder.mkdir(parents=True)
        write_records(folder / "train.jsonl", self.records)
        for variant, (_, stages) in VARIANTS.items():
            for answer_only in stages:
                self._write_halves(variant, answer_only)
        tokenizer = train_tokenizer(self.records, VOCABULARY)
        write_model(self.work / "model", tokenizer, EMBEDDED)

    def ours(self, repeat: int) -> list[str]:
        """The command that trains all of it."""
        settings = {
            "train.epochs": 1,
            "train.batch_size": BATCH_SIZE,
            "train.warmup_epochs": WARMUP_SHARE,
            "train.learning_rate": LEARNING_RATES[0],
            "train.second_learning_rate": LEARNING_RATES[1],
        }
        return [
            *(sys.executable, "-m", "harness", "train", "--model", str(self.work / "model")),
            *("--benchmarks", "gsm8k", "--data-dir", str(self.work / "data")),
            *("--variants", ",".join(VARIANTS), "--seeds", str(NUM_SEEDS)),
            *("--out", str(self.work / f"ours-{repeat}")),
            *(part for key, value in settings.items() for part in ("--set", f"{key}={value}")),
        ]

    def theirs(self, variant: str, rival: Rival, num_steps: int) -> dict[str, Any]:
        """What TRL is told of a variant."""
        stages = VARIANTS[variant][1]
        per_stage = [num_steps // len(stages)] * len(stages)
        per_stage[-1] += num_steps - sum(per_stage)
        return {
            "model": str(self.work / "model"),
            "out": str(self.work / f"theirs-{variant}"),
            "batch_size": BATCH_SIZE,
            "warmup_steps": round(WARMUP_SHARE * num_steps),
            "log_every": 10,
            "seed": 0,
            "settings": {"weight_decay": 0.1, **rival.settings},
            "stages": [
                {
                    "num_steps": steps,
                    "learning_rate": rate,
                    "halves": str(self._halves_path(variant, answer_only)),
                }
                for steps, rate, answer_only in zip(per_stage, LEARNING_RATES, stages, strict=False)
            ],
        }

    def _halves_path(self, variant: str, answer_only: bool) -> Path:
        return self.work / f"{VARIANTS[variant][0].name}-{answer_only}.json"

    def _write_halves(self, variant: str, answer_only: bool) -> None:
        path, tag_format = self._halves_path(variant, answer_only), VARIANTS[variant][0]
        write_halves(path, self.records, tag_format, answer_only=answer_only)


def best_rival(case: Case) -> Rival:
    """What does a few steps of sft-tag in the least time."""
    all_cores = len(os.sched_getaffinity(0))
    kinds: tuple[tuple[str, str, dict[str, str]], ...] = (
        (NEWEST, "", {}),
        ("1.14.2", "chunked_nll", {"loss_type": "chunked_nll"}),
        ("1.14.2", "nll", {"loss_type": "nll"}),
    )
    best: tuple[float, Rival] | None = None
    for version, note, settings in kinds:
        for threads in dict.fromkeys((1, all_cores)):
            rival = Rival(version, f"{note} {threads} threads".strip(), settings, threads)
            seconds = _run(case, "sft-tag", rival, TRIAL_STEPS)["seconds"]
            print(f"trial of {TRIAL_STEPS} steps: {rival.name} {seconds:.1f} s", file=sys.stderr)
            if best is None or seconds < best[0]:
                best = (seconds, rival)
    assert best is not None
    return best[1]


def _run(case: Case, variant: str, rival: Rival, num_steps: int) -> dict[str, Any]:
    return run_child(rival.side("benchmarks.trl.suite"), case.theirs(variant, rival, num_steps), case.work)


@dataclass
class Measured:
    """Seconds, one for each repetition.

    Attributes:
        ours: Our command.
        theirs: TRL's process of each variant, one after another.
        inside: What those took in all after their start and imports.
        side_by_side: TRL's six processes, as many at a time as there are cores.
    """

    ours: list[float] = field(default_factory=list)
    theirs: dict[str, list[float]] = field(default_factory=lambda: {variant: [] for variant in VARIANTS})
    inside: list[float] = field(default_factory=list)
    side_by_side: list[float] = field(default_factory=list)

    @property
    def six(self) -> list[float]:
        """TRL's six processes, one after another."""
        return [sum(runs) for runs in zip(*self.theirs.values(), strict=True)]


def measure(case: Case, rival: Rival, repeats: int) -> Measured:
    """Runs all of it in turns."""
    measured = Measured()
    for repeat in range(repeats):
        measured.ours.append(run_command(case.ours(repeat)))
        print(f"ours: {measured.ours[-1]:.1f} s", file=sys.stderr)
        results = {variant: _run(case, variant, rival, case.num_steps) for variant in VARIANTS}
        for variant, result in results.items():
            measured.theirs[variant].append(result["process_seconds"])
            print(f"{rival.name} {variant}: {result['process_seconds']:.1f} s", file=sys.stderr)
        measured.inside.append(sum(result["seconds"] for result in results.values()))
        measured.side_by_side.append(_all_side_by_side(case, replace(rival, threads=1)))
        print(f"{rival.name} side by side: {measured.side_by_side[-1]:.1f} s", file=sys.stderr)
    return measured


def _all_side_by_side(case: Case, rival: Rival) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(lambda variant: _run(case, variant, rival, case.num_steps), VARIANTS))
    return time.perf_counter() - start


def main(arguments: Sequence[str]) -> None:
    """Prints tables in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks suite_speed", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=2, help="of our command and of TRL's six runs")
    add_data_dir(parser)
    told = parser.parse_args(arguments)
    ensure_environment()
    records, source = training_records(told.data_dir, told.examples)
    with tempfile.TemporaryDirectory() as folder:
        case = Case(records, Path(folder))
        case.prepare()
        rival = best_rival(case)
        measured = measure(case, rival, told.repeats)
    print(f"{machine()}\n\n{told.examples} examples of {source}, {case.num_steps} steps a variant")
    print(f"median (range) of {told.repeats}\n")
    rows = [
        (f"ours: {len(VARIANTS)} variants × {NUM_SEEDS} seeds", measured.ours),
        *((f"{rival.name}: {variant}", seconds) for variant, seconds in measured.theirs.items()),
        (f"{rival.name}: six runs, one after another", measured.six),
        ("… without start and imports", measured.inside),
        ("… side by side, a thread each", measured.side_by_side),
    ]
    print(table(["side", "s"], [[name, spread(seconds, 1)] for name, seconds in rows]))
    eighteen = [NUM_SEEDS * seconds for seconds in measured.six]
    print(f"\nOurs against TRL's six runs, one after another: {against(measured.ours, measured.six, GOAL)}")
    print(f"… without their start and imports: {ratio(measured.ours, measured.inside)}")
    print(f"… side by side: {ratio(measured.ours, measured.side_by_side)}")
    print(f"Ours against 18 runs, three times those one after another: {ratio(measured.ours, eighteen)}")
    eighteen = [NUM_SEEDS * seconds for seconds in measured.side_by_side]
    print(f"… three times those side by side: {ratio(measured.ours, eighteen)}")


if __name__ == "__main__":
    main(sys.argv[1:])
