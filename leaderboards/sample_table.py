"""The table of scored samples: its Parquet schema, and how it is written and read.

Apart from `results` because only this file needs pandas and pyarrow; it is imported when used.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from leaderboards.results import SampleRow
from tasks.errors import InputError

CHECKPOINT_KEY = ["model", "entry", "seed", "benchmark"]

SCHEMA = pa.schema(
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
)


def to_frame(samples: Iterable[SampleRow] | pd.DataFrame) -> pd.DataFrame:
    """The samples as a DataFrame with exactly the schema's columns and types.

    Raises:
        InputError: a column is missing, holds nulls where none may be, or has another type.
    """
    if not isinstance(samples, pd.DataFrame):
        rows = list(samples)
        columns = {name: [getattr(row, name) for row in rows] for name in SCHEMA.names}
        return _from_table(_to_table(columns))
    missing = [name for name in SCHEMA.names if name not in samples.columns]
    if missing:
        raise InputError(f"samples: the column {missing[0]!r} is missing")
    return _from_table(_to_table({name: samples[name] for name in SCHEMA.names}))


def write_samples(frame: pd.DataFrame, path: Path) -> str:
    """Writes the table atomically and returns the SHA-256 of the file."""
    part = path.with_name(f"{path.name}.part")
    pq.write_table(_to_table({name: frame[name] for name in SCHEMA.names}), part, compression="zstd")
    digest = _sha256(part)
    part.replace(path)
    return digest


def read_samples(path: Path, sha256: str) -> pd.DataFrame:
    """Reads the table back, after comparing the file with the digest that `results.json` holds.

    Raises:
        InputError: the file is missing, damaged, of another run, or of another schema.
    """
    try:
        found = _sha256(path)
    except OSError:
        raise InputError(f"{path}: no such file; run the evaluation again") from None
    if found != sha256:
        raise InputError(
            f"{path}: damaged, or of another run than the results.json beside it; run the evaluation again"
        )
    try:
        table = pq.read_table(path)
        return _from_table(table.select(SCHEMA.names).cast(SCHEMA))
    except (pa.ArrowException, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not a table of samples ({reason}); run the evaluation again") from None


def count_samples(frame: pd.DataFrame) -> dict[tuple[str, str, int | None, str], int]:
    """Samples per (model, entry, seed, benchmark)."""
    sizes = (
        frame.groupby(CHECKPOINT_KEY, dropna=False, sort=False, observed=True).size().reset_index(name="n")
    )
    return {
        (model, entry, None if pd.isna(seed) else int(seed), benchmark): int(n)
        for model, entry, seed, benchmark, n in sizes.itertuples(index=False)
    }


def first_duplicate(frame: pd.DataFrame) -> str | None:
    """The first sample that stands twice for one checkpoint, in words; None where there is none."""
    repeated = frame.duplicated([*CHECKPOINT_KEY, "sample_id"]).to_numpy()
    if not repeated.any():
        return None
    row = frame.iloc[int(repeated.argmax())]
    seed = "" if pd.isna(row["seed"]) else f" (seed {row['seed']})"
    return f"sample {row['sample_id']} of {row['benchmark']} for {row['entry']}{seed}"


def _to_table(columns: Mapping[str, "list[object] | pd.Series"]) -> pa.Table:
    arrays = []
    for field in SCHEMA:
        try:
            array = pa.array(columns[field.name], type=field.type, from_pandas=True)
        except (pa.ArrowException, UnicodeError, TypeError) as error:
            raise InputError(f"samples: column {field.name!r}: {str(error).splitlines()[0]}") from None
        if array.null_count and not field.nullable:
            raise InputError(f"samples: column {field.name!r} holds a missing value")
        arrays.append(array)
    return pa.table(arrays, schema=SCHEMA)


def _from_table(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get).astype(
        {"prompt_tokens": "int64", "output_tokens": "int64"}
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
