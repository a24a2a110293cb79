"""A study's cells as stored runs for the leaderboard: one for each block of arms, cells as benchmarks.

Within a cell an arm has checkpoints of its own, trained on that cell alone; over the cells it has as many as
there are cells. Their digests are joined and their compute is added up. The base is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from leaderboards import read_results, write_results
from leaderboards.results.schema import Declared, Entry, RunResults, TrainingCost, Tuning
from studies.declared.declaration import Study
from tasks.errors import InputError


def pool(study: Study) -> Iterator[Path]:
    """Writes the runs under the folder of the study and gives their folders.

    Raises:
        InputError: No cell is done.
    """
    import pandas as pd

    if not (cells := study.done):
        raise InputError(f"{study.out}: no cell is done; run the study")
    for arms in range(len(study.declaration.arms)):
        runs = [read_results(study.run_folder(cell, arms)) for cell in cells]
        names = dict.fromkeys((entry.name, entry.seed) for run in runs for entry in run.entries)
        entries = [_pooled([_entry(run, *name) for run in runs]) for name in names]
        samples = pd.concat([run.samples for run in runs], ignore_index=True)
        folder = study.out / "pooled" / str(arms)
        # Steps of different cells do not lie on one axis: the curves stay with the cells.
        write_results(
            folder,
            _provenance(study, dict(zip(cells, runs, strict=True))),
            entries,
            samples,
            config=f"model: {study.declaration.model}\n",
            declared=_declared(runs),
        )
        yield folder


def _entry(run: RunResults, name: str, seed: int | None) -> Entry:
    return next(entry for entry in run.entries if (entry.name, entry.seed) == (name, seed))


def _pooled(cells: Sequence[Entry]) -> Entry:
    first = cells[0]
    digests = dict.fromkeys(entry.digest for entry in cells)
    same = len(digests) == 1
    return replace(
        first,
        checkpoint=first.checkpoint if same else f"{len(digests)} checkpoints, one a cell",
        digest=first.digest if same else _joined(digests),
        training=_added([entry.training for entry in cells if entry.training]),
        tuning=_tuned([entry.tuning for entry in cells if entry.tuning]),
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
        budget=costs[0].budget if len(costs) == 1 else f"that of {len(costs)} cells",
        sampled_tokens=sum(cost.sampled_tokens for cost in costs),
        sampled_flops=sum(cost.sampled_flops for cost in costs),
    )


def _tuned(choices: Sequence[Tuning]) -> Tuning | None:
    """Trials and seeds, which are the same in all cells; the mean gain, and edges that are any cell's."""
    if not choices:
        return None
    gain = sum(one.gain for one in choices) / len(choices)
    edges = dict.fromkeys(edge for one in choices for edge in one.edges)
    return replace(choices[0], gain=gain, edges=tuple(edges))


def _declared(runs: Sequence[RunResults]) -> list[Declared]:
    """A claim that is on record in every cell, as one: put there when the last cell had it."""
    by_claim = [{one.claim: one for one in run.declared} for run in runs]
    return [
        replace(
            first,
            digest=_joined([own[claim].digest for own in by_claim]),
            at=max(own[claim].at for own in by_claim),
            before=all(own[claim].before for own in by_claim),
        )
        for claim, first in by_claim[0].items()
        if all(claim in own for own in by_claim)
    ]


def _joined(digests: Sequence[str] | dict[str, None]) -> str:
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _provenance(study: Study, runs: Mapping[str, RunResults]) -> dict[str, str]:
    """What all cells have in common; where they differ, each one's own."""
    facts = {
        "study": study.command,
        "declaration": f"{study.file}, sha256 {study.digest}",
    }
    for key in next(iter(runs.values())).provenance:
        values = {cell: run.provenance.get(key, "") for cell, run in runs.items()}
        alike = {*values.values()}
        facts |= {key: alike.pop()} if len(alike) == 1 else {f"{key} ({n})": v for n, v in values.items()}
    return facts
