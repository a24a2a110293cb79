"""The campaign's command line, its table and its exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from benchmarks.faults.ground import FAILED, THREE, Ground, Outcome, Verdict
from benchmarks.faults.small import warm_up

Part = Callable[[Ground, argparse.Namespace], Iterator[Outcome]]


def _kills(ground: Ground, told: argparse.Namespace) -> Iterator[Outcome]:
    from benchmarks.faults.kills import kills

    return kills(ground, told.kills, told.only)


def _corruptions(ground: Ground, told: argparse.Namespace) -> Iterator[Outcome]:
    from benchmarks.faults.corruptions import corruptions

    return corruptions(ground, told.cases, told.only)


def _together(ground: Ground, told: argparse.Namespace) -> Iterator[Outcome]:
    from benchmarks.faults.together import together

    return together(ground, told.only, told.times)


def _inputs(ground: Ground, told: argparse.Namespace) -> Iterator[Outcome]:
    from benchmarks.faults.inputs import inputs

    return inputs(ground, told.cases, told.only)


def _names(ground: Ground, told: argparse.Namespace) -> Iterator[Outcome]:
    from benchmarks.faults.names import names

    return names(ground, told.only)


def _cost(ground: Ground, told: argparse.Namespace) -> Iterator[Outcome]:
    from benchmarks.faults.cost import cost

    return cost(ground, told.only)


PARTS: dict[str, Part] = {
    "kills": _kills,
    "corruptions": _corruptions,
    "together": _together,
    "inputs": _inputs,
    "names": _names,
    "cost": _cost,
}


_SHORT = (
    "train-and-eval, references' reference.json, all there: other JSON",
    "train-and-eval, a stage's model.safetensors, answers gone: not numbers",
    "train-and-eval, answers generations.sqlite, scores gone: texts changed",
    "leaderboard, the run's samples.parquet, all there: one row changed",
    "leaderboard, the run's config.yaml, all there: emptied",
    "verify, answers generations.sqlite, all there: texts changed",
)
_SHORT_INPUTS = (
    "--grid learning_rate=nan",
    "--out: a file --dry-run",
    "over its input: score f.jsonl --kind number --samples f.jsonl",
    "a configuration: a bomb of aliases",
    "a variant: a name: a path",
    "an entry: a name: ESC",
    "score: gold NaN",
    "inspect a checkpoint: config: a million layers",
    "eval a checkpoint: weights: offsets that overlap",
    "eval an adapter: weights: scalars",
)


def _short(ground: Ground) -> Iterator[Outcome]:
    """One case of each kind."""
    from benchmarks.faults.corruptions import corruptions
    from benchmarks.faults.inputs import inputs
    from benchmarks.faults.together import together

    yield from corruptions(ground, only=_SHORT, saves=False)
    yield from together(ground, "two runs, one store, one is killed", times=1)
    yield from inputs(ground, only=_SHORT_INPUTS)


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown; exit code 1 where anything is silently wrong or crashed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks faults", description="Makes faults, and looks."
    )
    parser.add_argument(
        "--part", action="append", choices=list(PARTS), help="may be repeated; all by default"
    )
    parser.add_argument(
        "--state", type=Path, default=Path("/tmp/faults"), help="found again, it goes on from there"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, help="corruptions or inputs at most, drawn among all")
    parser.add_argument("--times", type=int, default=2, help="that each meeting takes place")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--again", action="store_true", help="try again what failed before")
    parser.add_argument("--only", default="", help="words that a case must have")
    parser.add_argument("--short", action="store_true", help="one case of each kind, in seconds: the test's")
    parser.add_argument("--cold", action="store_true", help="each command in a fresh process, as a user's")
    told = parser.parse_args(arguments)
    os.nice(10)
    warm_up()
    ground = Ground(
        told.state.resolve(), told.seed, told.cold, "[sftkey-tag, rho-1]" if told.short else THREE
    )
    if told.again:
        ground.done = {key: one for key, one in ground.done.items() if one.verdict not in FAILED}
    if told.short:
        found = list(_short(ground))
    else:
        found = [outcome for name in told.part or PARTS for outcome in PARTS[name](ground, told)]
    report(found, told.state / "outcomes.json")
    sys.exit(any(outcome.verdict in FAILED for outcome in found))


def report(found: Sequence[Outcome], path: Path) -> None:
    """Prints how many came to which end, and each failure; writes all of them as JSON."""
    from benchmarks.measure.tables import machine, table

    verdicts = get_args(Verdict)
    rows = []
    for part in dict.fromkeys(outcome.part for outcome in found):
        counts = Counter(outcome.verdict for outcome in found if outcome.part == part)
        rows.append([part, str(counts.total()), *(str(counts[verdict]) for verdict in verdicts)])
    print(f"\n{machine()}\n\n{table(['part', 'tried', *verdicts], rows)}\n")
    for outcome in found:
        if outcome.verdict in FAILED:
            print(f"- {outcome.verdict}: {outcome.part}: {outcome.case}: {outcome.said}")
    told = {"machine": machine(), "outcomes": [asdict(outcome) for outcome in found]}
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
