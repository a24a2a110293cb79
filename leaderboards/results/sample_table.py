"""The table of samples: its Parquet schema, and whether it belongs to a run's entries."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from leaderboards.results.parquet import Table
from leaderboards.results.schema import (
    READABLE_VERSIONS,
    RESULTS_FILE,
    SAMPLES_FILE,
    Entry,
    Evaluation,
    Sample,
    describe,
)
from tasks.errors import InputError

_CHECKPOINT_KEY = ["model", "entry", "seed", "benchmark"]
EvaluationKey = tuple[str, str, int | None, str]
"""Whose samples, and of what: model, entry, seed, benchmark."""
_OUTCOMES = [
    *("accuracy", "accuracy_strict", "format_valid", "truncated", "output_tokens", "defects"),
    *("thinking_chars", "gold_chars"),
]

_TYPES = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "tuple[str, ...]": pa.list_(pa.string()),
}


def _stored(field: "dataclasses.Field[object]") -> pa.Field:
    """The column of a field of `Sample`, whose type is there as it is written."""
    kind = str(field.type)
    return pa.field(field.name, _TYPES[kind.removesuffix(" | None")], nullable=kind.endswith(" | None"))


SAMPLES = Table(
    rows="samples",
    mend="run the evaluation again",
    schema=pa.schema([_stored(field) for field in dataclasses.fields(Sample)]),
    later=frozenset(
        field.name for field in dataclasses.fields(Sample) if field.metadata["since"] > READABLE_VERSIONS[0]
    ),
)


def outcome_columns(entries: Sequence[Entry]) -> list[str]:
    """What a board of these entries is built from: no texts, and answers only where they are voted on."""
    evaluations = [evaluation for entry in entries for evaluation in entry.evaluations]
    votes = ["extracted", "choices"] if any(each.num_samples > 1 for each in evaluations) else []
    judged = ["judge"] if any(each.judge for each in evaluations) else []
    return [*_CHECKPOINT_KEY, "sample_id", "sample_index", *_OUTCOMES, *votes, *judged]


def checkpoint_codes(frame: pd.DataFrame) -> tuple[NDArray[np.int64], list[EvaluationKey]]:
    """Numbers each row's (checkpoint, benchmark), from 0 as they appear, and says which these are."""
    groups = frame.groupby(_CHECKPOINT_KEY, dropna=False, sort=False, observed=True)
    keys = groups.size().reset_index()[_CHECKPOINT_KEY].itertuples(index=False)
    return groups.ngroup().to_numpy().astype(np.int64, copy=False), [
        (model, entry, None if pd.isna(seed) else int(seed), benchmark)
        for model, entry, seed, benchmark in keys
    ]


def check_samples(entries: Sequence[Entry], samples: pd.DataFrame, where: str) -> None:
    """Every evaluation has exactly its n × num_samples samples, and no sample is without an evaluation.

    Raises:
        InputError: naming the checkpoint and the benchmark where it is not so.
    """
    expected: dict[EvaluationKey, Evaluation] = {}
    for key, evaluation in _evaluations(entries):
        if key in expected:
            raise InputError(f"{where}: {describe(key[1], key[2])} is listed twice for {key[3]}")
        expected[key] = evaluation
    code_N, keys = checkpoint_codes(samples)
    duplicate = _first_duplicate(samples, code_N)
    if duplicate is not None:
        raise InputError(f"{where}: {duplicate} is stored twice")
    counts = dict(zip(keys, np.bincount(code_N, minlength=len(keys)).tolist(), strict=True))
    for key in [*expected, *(key for key in counts if key not in expected)]:
        wanted = expected[key].n * expected[key].num_samples if key in expected else 0
        if wanted != counts.get(key, 0):
            raise InputError(
                f"{where}: {describe(key[1], key[2])} on {key[3]}: {RESULTS_FILE} says "
                f"{wanted} samples, {SAMPLES_FILE} holds {counts.get(key, 0)}"
            )


def _evaluations(entries: Sequence[Entry]) -> Iterator[tuple[EvaluationKey, Evaluation]]:
    for entry in entries:
        for evaluation in entry.evaluations:
            yield (entry.model, entry.name, entry.seed, evaluation.benchmark), evaluation


def _first_duplicate(frame: pd.DataFrame, code_N: NDArray[np.int64]) -> str | None:
    """The first sample that stands twice for one checkpoint, in words; None where there is none."""
    question_N, questions = pd.factorize(frame["sample_id"])
    drawn_N, drawn = pd.factorize(frame["sample_index"])
    number_N = (code_N * len(questions) + question_N) * len(drawn) + drawn_N
    repeated = pd.Series(number_N).duplicated().to_numpy()
    if not repeated.any():
        return None
    row = frame.iloc[int(repeated.argmax())]
    seed = "" if pd.isna(row["seed"]) else f" (seed {row['seed']})"
    return f"sample {row['sample_id']} of {row['benchmark']} for {row['entry']}{seed}"
