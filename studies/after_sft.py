"""Study 3: SFT variants before and after one identical further stage, and GRPO with other rewards.

    python -m studies after_sft [NAME] [--out runs/studies/after_sft]

What is declared stands in `studies/declared/further/NAME.yaml`. Three runs share a store: the variants
alone, each with each further stage behind it, and the rewards, where there are any. What is done is kept, so
that the same command goes on where it was stopped. Writes `docs/study_NAME.md`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import ROOT
from benchmarks.measure.tables import table
from harness.config import load_config
from harness.run import report
from leaderboards import Board, read_outcomes
from leaderboards.board.rows import Row
from leaderboards.report.wording import difference, percent
from leaderboards.results.schema import RESULTS_FILE
from studies.declared.running import ENVIRONMENT, run_harness
from tasks.errors import InputError

DECLARED = Path(__file__).parent / "declared" / "further"


@dataclass(frozen=True)
class Part:
    """One of the runs: variants that share a budget.

    Attributes:
        name: Of its folder.
        steps: Optimiser steps of the budget.
        variants: Stages of each by its name, shares of the whole.
    """

    name: str
    steps: int
    variants: Mapping[str, Sequence[Mapping[str, Any]]]


def parts_of(told: Mapping[str, Any]) -> list[Part]:
    """The runs of a declaration."""
    first, further = told["sft_steps"], told["further_steps"]
    before, after = told["before"], told["after"]
    joined = {
        f"{name}+{then}": _shared(stages, first, later, further)
        for name, stages in before.items()
        for then, later in after.items()
    }
    rewarded = {}
    for name, reward in told.get("rewards", {}).items():
        stage = {
            "name": "grpo",
            "kind": "grpo",
            "reward": reward,
            "learning_rate": told["reward_rate"],
            "share": 1.0,
        }
        rewarded[f"reward-{name}"] = _shared(before["sft-tag"], first, [stage], told["reward_steps"])
    parts = [Part("before", first, before), Part("after", first + further, joined)]
    return [*parts, Part("rewards", first + told["reward_steps"], rewarded)] if rewarded else parts


def _shared(
    stages: Sequence[Mapping[str, Any]], steps: int, later: Sequence[Mapping[str, Any]], further: int
) -> list[dict[str, Any]]:
    """Stages and the ones after them, their shares of both budgets together."""
    weighed = [({**one}, steps) for one in stages] + [({**one}, further) for one in later]
    return [{**one, "share": one["share"] * own / (steps + further)} for one, own in weighed]


def run(told: Mapping[str, Any], part: Part, out: Path) -> None:
    """Trains and evaluates a part, unless that is done."""
    folder = out / part.name
    if (folder / RESULTS_FILE).exists():
        return
    (folder / "variants").mkdir(parents=True, exist_ok=True)
    paths = []
    for name, stages in part.variants.items():
        content = {
            "name": name,
            "description": "Of study 3.",
            "source": "ours",
            "tagged": told["tagged"],
            "stages": [*stages],
        }
        paths.append(folder / "variants" / f"{name}.yaml")
        paths[-1].write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    config = {
        "benchmarks": told["benchmarks"],
        "variants": [str(path.resolve()) for path in paths],
        "seeds": told["seeds"],
        "first_seed": told["first_seed"],
        "limit": told["limit"],
        "out": str(folder.resolve()),
        "store": str((out / "store").resolve()),
        "train": {**told["train"], "amount": part.steps},
    }
    written = out / f"{part.name}.yaml"
    written.write_text(yaml.safe_dump(config), encoding="utf-8")
    run_harness(load_config(written), os.environ | ENVIRONMENT, "train-and-eval")


def document(name: str, told: Mapping[str, Any], digest: str, done: Sequence[Path], out: Path) -> str:
    """The Markdown of what was found."""
    runs = [read_outcomes(folder) for folder in done]
    board, control = report(runs, out / "leaderboard", reference=told["control"]).board, told["control"]
    facts = dict(board.provenance[0][1])
    blocks = [
        "# A study: after SFT",
        f"**{told['question']}**",
        f"Declared before it was run (`studies/declared/further/{name}.yaml`, sha256 `{digest}`); run, and "
        f"this page written from the results, by `python -m studies after_sft {name}`. "
        f"{told['seeds']} seeds of each, {told['limit']} test questions of each of "
        f"{len(told['benchmarks'])} benchmarks, {told['sft_steps']} steps of SFT and what "
        f"{told['further_steps']} more would cost, samples paid for. Made on {facts.get('cpu', '?')}, "
        f"{facts.get('cpu_cores', '?')} cores, {facts.get('gpu', 'no GPU')}.",
        "## Before and after",
        "Accuracy in %, and in brackets the difference to the variant before with its 95 % interval; "
        f"* p < 0.05 after Holm over all {board.family_macro} pairs of these runs.",
        table(
            ("variant", "before", *(f"+ {then}" for then in told["after"])), list(_before_after(told, board))
        ),
        "The further stage against the same compute of plain SFT (`more`), in points:",
        table(("variant", *_others(told)), list(_against_control(told, board))),
        _compute(told, board),
        f"The variants against `{control}`, the control of two stages, before and after, in points:",
        table(("variant", "before", *(f"+ {then}" for then in told["after"])), list(_order(told, board))),
    ]
    if any(row.name.startswith("reward-") for row in board.rows):
        blocks += [
            "## Other rewards",
            f"GRPO after `sft-tag`, {told['reward_steps']} further steps' worth, rate "
            f"{told['reward_rate']:g}: what the reward was in the first and last tenth of the steps, and "
            "what the board says of the model. A reward that rises while accuracy falls is satisfied "
            "without a right answer.",
            table(
                ("reward", "its own, first", "last", "accuracy, %", "Δ to before", "format, %"),
                list(_rewards(told, board, done[-1])),
            ),
        ]
    blocks += ["## Limits", "\n".join(f"- {' '.join(limit.split())}" for limit in told["limits"])]
    return "\n\n".join(blocks) + "\n"


def _others(told: Mapping[str, Any]) -> list[str]:
    return [then for then in told["after"] if then != "more"]


def _before_after(told: Mapping[str, Any], board: Board) -> Iterator[list[str]]:
    for name in told["before"]:
        cells = (
            f"{_accuracy(board, f'{name}+{then}')} ({_difference(board, f'{name}+{then}', name)})"
            for then in told["after"]
        )
        yield [f"`{name}`", _accuracy(board, name), *cells]


def _against_control(told: Mapping[str, Any], board: Board) -> Iterator[list[str]]:
    for name in told["before"]:
        yield [f"`{name}`", *(_difference(board, f"{name}+{then}", f"{name}+more") for then in _others(told))]


def _compute(told: Mapping[str, Any], board: Board) -> str:
    """What the further stages took, so that a reader sees that budgets were equal in fact."""
    said = []
    for then in _others(told):
        ratios = [
            _row(board, f"{name}+{then}").cost.total_flops / _row(board, f"{name}+more").cost.total_flops
            for name in told["before"]
        ]
        said.append(f"{min(ratios):.2f} to {max(ratios):.2f} of it with {then}")
    return f"FLOPs in all, samples among them, against those with `more`: {'; '.join(said)}."


def _order(told: Mapping[str, Any], board: Board) -> Iterator[list[str]]:
    for name in told["before"]:
        if name != told["control"]:
            ends = ("", *(f"+{then}" for then in told["after"]))
            yield [f"`{name}`", *(_difference(board, name + end, told["control"] + end) for end in ends)]


def _rewards(told: Mapping[str, Any], board: Board, folder: Path) -> Iterator[list[str]]:
    curves = read_outcomes(folder).curves
    for name in told["rewards"]:
        entry = f"reward-{name}"
        own = curves[(curves["entry"] == entry) & curves["reward"].notna()]
        ends: tuple[list[float], list[float]] = ([], [])
        for _, points in own.groupby("seed"):
            values, tenth = points.sort_values("step")["reward"].tolist(), max(1, len(points) // 10)
            ends[0].append(statistics.fmean(values[:tenth]))
            ends[1].append(statistics.fmean(values[-tenth:]))
        row = _row(board, entry)
        yield [
            f"`{name}`", f"{statistics.fmean(ends[0]):.3f}", f"{statistics.fmean(ends[1]):.3f}",
            _accuracy(board, entry), _difference(board, entry, "sft-tag"),
            percent(_mean(row, "format_valid")),
        ]  # fmt: skip


def _row(board: Board, name: str) -> Row:
    return next(row for row in board.rows if row.name == name)


def _accuracy(board: Board, name: str) -> str:
    return percent(_mean(_row(board, name), "accuracy"))


def _mean(row: Row, metric: str) -> float:
    return next(one.estimate.mean for one in row.macro.metrics if one.metric == metric)


def _difference(board: Board, name: str, other: str) -> str:
    """Of two rows in points, with its interval; a star where the corrected test says so."""
    places = [next(i for i, row in enumerate(board.rows) if row.name == one) for one in (name, other)]
    pair = next(one for one in board.pairs if {one.first, one.second} == set(places))
    found = pair.comparison if pair.first == places[0] else pair.comparison.reversed()
    return difference(found.difference, "*" if found.p_holm < 0.05 else "")


def main(arguments: Sequence[str]) -> None:
    """Runs what is not done, and writes the document."""
    parser = argparse.ArgumentParser(prog="python -m studies after_sft", description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="?", default="after_sft", help="of a file in studies/declared/further")
    parser.add_argument("--out", type=Path, help="folder of its runs; runs/studies/NAME")
    parser.add_argument("--publish-only", action="store_true", help="run nothing; write what is done")
    asked = parser.parse_args(arguments)
    out, declared = asked.out or ROOT / "runs" / "studies" / asked.name, DECLARED / f"{asked.name}.yaml"
    path = ROOT / "docs" / f"study_{asked.name}.md"
    told = {"tagged": True, "control": "sft-tag-x2", **yaml.safe_load(declared.read_text(encoding="utf-8"))}
    digest = hashlib.sha256(declared.read_bytes()).hexdigest()
    parts = parts_of(told)
    try:
        for part in [] if asked.publish_only else parts:
            run(told, part, out)
        done = [out / part.name for part in parts if (out / part.name / RESULTS_FILE).exists()]
        if len(done) < 2:
            raise InputError(f"{out}: the variants are not all evaluated yet; the same command goes on")
        path.write_text(document(asked.name, told, digest, done, out), encoding="utf-8")
        print(f"wrote {path}")
    except InputError as error:
        sys.exit(f"error: {error}")
