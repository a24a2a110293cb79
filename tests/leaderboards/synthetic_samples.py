"""A synthetic run with several outputs for each question, and what else a run may know of its outputs."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
from synthetic_board import VARIANTS, synthetic_run

from leaderboards.results.schema import Entry, Evaluation, RunResults

WRONG = ("5", "6", "6.0", None)


def change_evaluations(run: RunResults, change: Callable[[Entry, Evaluation], Evaluation]) -> RunResults:
    entries = tuple(
        dataclasses.replace(entry, evaluations=tuple(change(entry, each) for each in entry.evaluations))
        for entry in run.entries
    )
    return dataclasses.replace(run, entries=entries)


def sampled_run(num_samples: int = 4, n: int = 60, names: tuple[str, ...] = ("sft", "sft-tag")) -> RunResults:
    """Each question of a synthetic run answered `num_samples` times, easy ones more often right."""
    run = synthetic_run(tuple(variant for variant in VARIANTS if variant.name in names), n=n)
    rng = np.random.default_rng(num_samples)
    easy = 0.25 + 0.5 * run.samples["accuracy"].to_numpy()
    draws = []
    for index in range(num_samples):
        right = rng.random(len(easy)) < easy
        wrong = rng.integers(0, len(WRONG), len(easy))
        answers = ["4" if is_right else WRONG[w] for is_right, w in zip(right, wrong, strict=True)]
        draws.append(run.samples.assign(sample_index=index, accuracy=right, extracted=answers))

    def drawn(entry: Entry, evaluation: Evaluation) -> Evaluation:
        generation = {**evaluation.generation, "temperature": 0.7, "seed": 100 + (entry.seed or 0)}
        return dataclasses.replace(evaluation, num_samples=num_samples, kind="number", generation=generation)

    return dataclasses.replace(change_evaluations(run, drawn), samples=pd.concat(draws, ignore_index=True))
