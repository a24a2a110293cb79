"""The study's cells as one stored run, so that the leaderboard can show it: an entry is a recipe at one seed.

Within a cell a recipe has a checkpoint of its own, trained on that cell's problems; over the cells it has
four. Their digests are joined, their compute is added up, and each cell is a benchmark. The base is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leaderboards import read_results, write_results
from leaderboards.results.schema import Entry, RunResults, TrainingCost
from studies.evidence.design import Design

FOLDER = "pooled"


def pool(design: Design) -> Path:
    """Writes the run under the folder of the study and gives its own."""
    import pandas as pd

    runs = [read_results(design.out / cell.name / "test") for cell in design.cells]
    names = dict.fromkeys((entry.name, entry.seed) for run in runs for entry in run.entries)
    entries = [_pooled([_entry(run, *name) for run in runs]) for name in names]
    samples = pd.concat([run.samples for run in runs], ignore_index=True)
    folder = design.out / FOLDER
    # Steps of different cells do not lie on one axis: the curves stay with the cells.
    write_results(folder, _provenance(design, runs), entries, samples, config="model: embedded\n")
    return folder


def _entry(run: RunResults, name: str, seed: int | None) -> Entry:
    return next(entry for entry in run.entries if (entry.name, entry.seed) == (name, seed))


def _pooled(cells: Sequence[Entry]) -> Entry:
    first = cells[0]
    digests = dict.fromkeys(entry.digest for entry in cells)
    same = len(digests) == 1
    joined = hashlib.sha256(" ".join(digests).encode()).hexdigest()
    return replace(
        first,
        checkpoint="the embedded base" if same else f"{len(digests)} checkpoints, one a cell",
        digest=first.digest if same else joined,
        training=_added([entry.training for entry in cells if entry.training]),
        evaluations=tuple(evaluation for entry in cells for evaluation in entry.evaluations),
    )


def _added(costs: Sequence[TrainingCost]) -> TrainingCost | None:
    if not costs:
        return None
    return TrainingCost(
        steps=sum(cost.steps for cost in costs),
        tokens_forward=sum(cost.tokens_forward for cost in costs),
        tokens_loss=sum(cost.tokens_loss for cost in costs),
        flops=sum(cost.flops for cost in costs),
        wall_seconds=sum(cost.wall_seconds for cost in costs),
        stages=costs[0].stages,
        reference_tokens=sum(cost.reference_tokens for cost in costs),
        reference_flops=sum(cost.reference_flops for cost in costs),
        budget=f"that of {len(costs)} cells",
    )


def _provenance(design: Design, runs: Sequence[RunResults]) -> dict[str, str]:
    """What all cells have in common; where they differ, each one's own."""
    facts: dict[str, str] = {"study": "python -m studies study; docs/study.md says how it was done"}
    for key in runs[0].provenance:
        values = {
            cell.name: run.provenance.get(key, "") for cell, run in zip(design.cells, runs, strict=True)
        }
        alike = len(set(values.values())) == 1
        facts |= {key: runs[0].provenance[key]} if alike else {f"{key} ({n})": v for n, v in values.items()}
    return facts
