"""The table of scored samples: its Parquet schema, and whether it belongs to a run's entries."""

from collections.abc import Iterator, Sequence

import pandas as pd
import pyarrow as pa

from leaderboards.parquet import Table
from leaderboards.results import RESULTS_FILE, SAMPLES_FILE, Entry, describe
from tasks.errors import InputError

_CHECKPOINT_KEY = ["model", "entry", "seed", "benchmark"]
_Key = tuple[str, str, int | None, str]

SAMPLES = Table(
    rows="samples",
    mend="run the evaluation again",
    schema=pa.schema(
        [
            pa.field("entry", pa.string(), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("seed", pa.int64()),
            pa.field("benchmark", pa.string(), nullable=False),
            pa.field("sample_id", pa.string(), nullable=False),
            pa.field("prompt", pa.string(), nullable=False),
            pa.field("output", pa.string(), nullable=False),
            pa.field("gold", pa.string(), nullable=False),
            pa.field("extracted", pa.string()),
            pa.field("accuracy", pa.bool_(), nullable=False),
            pa.field("accuracy_strict", pa.bool_(), nullable=False),
            pa.field("format_valid", pa.bool_(), nullable=False),
            pa.field("score", pa.float64(), nullable=False),
            pa.field("truncated", pa.bool_(), nullable=False),
            pa.field("defects", pa.list_(pa.string()), nullable=False),
            pa.field("finish_reason", pa.string(), nullable=False),
            pa.field("prompt_tokens", pa.int64(), nullable=False),
            pa.field("output_tokens", pa.int64(), nullable=False),
        ]
    ),
)


def check_samples(entries: Sequence[Entry], samples: pd.DataFrame, where: str) -> None:
    """Every evaluation has exactly its `n` samples, and no sample is without an evaluation.

    Raises:
        InputError: naming the checkpoint and the benchmark where it is not so.
    """
    expected: dict[_Key, int] = {}
    for key, n in _expected_counts(entries):
        if key in expected:
            raise InputError(f"{where}: {describe(key[1], key[2])} is listed twice for {key[3]}")
        expected[key] = n
    duplicate = _first_duplicate(samples)
    if duplicate is not None:
        raise InputError(f"{where}: {duplicate} is stored twice")
    counts = _count_samples(samples)
    for key in [*expected, *(key for key in counts if key not in expected)]:
        if expected.get(key, 0) != counts.get(key, 0):
            raise InputError(
                f"{where}: {describe(key[1], key[2])} on {key[3]}: {RESULTS_FILE} says "
                f"{expected.get(key, 0)} samples, {SAMPLES_FILE} holds {counts.get(key, 0)}"
            )


def _expected_counts(entries: Sequence[Entry]) -> Iterator[tuple[_Key, int]]:
    for entry in entries:
        for evaluation in entry.evaluations:
            yield (entry.model, entry.name, entry.seed, evaluation.benchmark), evaluation.n


def _count_samples(frame: pd.DataFrame) -> dict[_Key, int]:
    sizes = (
        frame.groupby(_CHECKPOINT_KEY, dropna=False, sort=False, observed=True).size().reset_index(name="n")
    )
    return {
        (model, entry, None if pd.isna(seed) else int(seed), benchmark): int(n)
        for model, entry, seed, benchmark, n in sizes.itertuples(index=False)
    }


def _first_duplicate(frame: pd.DataFrame) -> str | None:
    """The first sample that stands twice for one checkpoint, in words; None where there is none."""
    repeated = frame.duplicated([*_CHECKPOINT_KEY, "sample_id"]).to_numpy()
    if not repeated.any():
        return None
    row = frame.iloc[int(repeated.argmax())]
    seed = "" if pd.isna(row["seed"]) else f" (seed {row['seed']})"
    return f"sample {row['sample_id']} of {row['benchmark']} for {row['entry']}{seed}"
