"""The tables of a stored run as Parquet files: samples, and curves of training.

Written whole or not at all, read back only under their digest, and checked against the run's entries. Apart
from `store` because only the tables need pandas and pyarrow. A row of the curves is one logged step; `stage`
is 1 for the variant's first, where `step`, `tokens` (forward) and `wall_seconds` begin. `loss` is the stage's
objective, the other losses are mean cross-entropies of the tokens they name; `accuracy` and `format_valid`
are shares of the validation sample; gradient norms are of the whole loss and of its parts. A stage that
learns from its responses has their reward, and the parts of it by name, as JSON, in `rewards`.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from leaderboards.results import schema as stored_run
from leaderboards.results.schema import Entry, Sample, describe
from tasks.errors import InputError
from tasks.seals import read_digest

_CHECKPOINT_KEY = ["model", "entry", "seed", "benchmark"]
EvaluationKey = tuple[str, str, int | None, str]
"""Whose samples, and of what: model, entry, seed, benchmark."""
_OUTCOMES = [
    *("accuracy", "accuracy_strict", "format_valid", "truncated", "output_tokens", "defects"),
    *("thinking_chars", "gold_chars", "content", "undecided", "key", "bits_gold", "bits_own", "reasoning"),
]


@dataclass(frozen=True, slots=True)
class Table:
    """What a table's rows are called in errors, how a damaged one is mended, and its schema.

    `later` names columns that older files lack; they are read as null.
    """

    rows: str
    mend: str
    schema: pa.Schema
    later: frozenset[str] = frozenset()

    def to_frame(self, rows: Iterable[object] | pd.DataFrame) -> pd.DataFrame:
        """The rows as a DataFrame with exactly the schema's columns and types.

        Args:
            rows: objects with an attribute for each column, mappings with a key for each, or a DataFrame.

        Raises:
            InputError: a column is missing, holds nulls where none may be, or has another type.
        """
        names = self.schema.names
        # A frame without columns is that of a run without such rows: one that trained nothing has no curves.
        if not isinstance(rows, pd.DataFrame) or rows.columns.empty:
            listed = [] if isinstance(rows, pd.DataFrame) else list(rows)
            values = {name: [self._value(row, name) for row in listed] for name in names}
            return self._from_arrow(self._to_arrow(values))
        if missing := [name for name in names if name not in rows.columns]:
            raise InputError(f"{self.rows}: the column {missing[0]!r} is missing")
        return self._from_arrow(self._to_arrow({name: rows[name] for name in names}))

    def _value(self, row: object, name: str) -> object:
        if not isinstance(row, Mapping):
            return getattr(row, name)
        return row.get(name) if name in self.later else row[name]

    def write(self, frame: pd.DataFrame, path: Path) -> str:
        """Writes the table and returns the SHA-256 of the file."""
        columns = {name: frame[name] for name in self.schema.names}
        pq.write_table(self._to_arrow(columns), path, compression="zstd")
        return read_digest(path)

    def read(self, path: Path, sha256: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Reads the table back, after comparing the file with the digest that `results.json` holds.

        Args:
            sha256: the digest that it must have.
            columns: those to read; by default all of them. Where they are chosen, lists stay in Arrow's form,
                since a million small Python arrays cost more than all the rest.

        Raises:
            InputError: the file is missing, damaged, of another run, or of another schema.
        """
        try:
            found = read_digest(path)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; {self.mend}") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); {self.mend}") from None
        if found != sha256:
            raise InputError(
                f"{path}: damaged, or of another run than the results.json beside it; {self.mend}"
            )
        try:
            stored = pq.read_schema(path).names
            if missing := [n for n in self.schema.names if n not in stored and n not in self.later]:
                raise ValueError(f"without the column {missing[0]!r}")
            schema = pa.schema([self.schema.field(name) for name in columns or self.schema.names])
            table = pq.read_table(path, columns=[name for name in schema.names if name in stored])
            for name in self.later.intersection(schema.names).difference(stored):
                table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
            table = table.select(schema.names).cast(schema)
            return self._from_arrow(table, lists_in_arrow=columns is not None)
        except (pa.ArrowException, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: not a table of {self.rows} ({reason}); {self.mend}") from None

    def _to_arrow(self, columns: Mapping[str, "list[object] | pd.Series"]) -> pa.Table:
        arrays = []
        for field in self.schema:
            try:
                array = pa.array(columns[field.name], type=field.type, from_pandas=True)
            except (pa.ArrowException, UnicodeError, TypeError) as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"{self.rows}: column {field.name!r}: {reason}") from None
            if array.null_count and not field.nullable:
                raise InputError(f"{self.rows}: column {field.name!r} holds a missing value")
            arrays.append(array)
        return pa.table(arrays, schema=self.schema)

    def _from_arrow(self, table: pa.Table, lists_in_arrow: bool = False) -> pd.DataFrame:
        plain = {pa.int64(): "int64", pa.bool_(): "bool"}
        kept: dict[pa.DataType, object] = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        if lists_in_arrow:
            strings = pa.list_(pa.string())
            kept[strings] = pd.ArrowDtype(strings)
        whole = [field for field in table.schema if field.type in plain and not field.nullable]
        frame = table.to_pandas(types_mapper=kept.get)
        return frame.astype({field.name: plain[field.type] for field in whole})


_TYPES = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "tuple[str, ...]": pa.list_(pa.string()),
}


def _stored(name: str, kind: str) -> pa.Field:
    """A column of a type as it is written in Python."""
    return pa.field(name, _TYPES[kind.removesuffix(" | None")], nullable=kind.endswith(" | None"))


_FIELDS = dataclasses.fields(Sample)
_OLDEST = stored_run.READABLE_VERSIONS[0]
SAMPLES = Table(
    rows="samples",
    mend="run the evaluation again",
    schema=pa.schema([_stored(field.name, str(field.type)) for field in _FIELDS]),
    later=frozenset(field.name for field in _FIELDS if field.metadata["since"] > _OLDEST),
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
    expected: dict[EvaluationKey, int] = {}
    for entry, evaluation in ((of, each) for of in entries for each in of.evaluations):
        key = (entry.model, entry.name, entry.seed, evaluation.benchmark)
        if key in expected:
            raise InputError(f"{where}: {describe(key[1], key[2])} is listed twice for {key[3]}")
        expected[key] = evaluation.n * evaluation.num_samples
    code_N, keys = checkpoint_codes(samples)
    if duplicate := _first_duplicate(samples, code_N):
        raise InputError(f"{where}: {duplicate} is stored twice")
    counts = dict(zip(keys, np.bincount(code_N, minlength=len(keys)).tolist(), strict=True))
    for key in [*expected, *(key for key in counts if key not in expected)]:
        if expected.get(key, 0) != counts.get(key, 0):
            raise InputError(
                f"{where}: {describe(key[1], key[2])} on {key[3]}: {stored_run.RESULTS_FILE} says "
                f"{expected.get(key, 0)} samples, {stored_run.SAMPLES_FILE} holds {counts.get(key, 0)}"
            )


def _first_duplicate(frame: pd.DataFrame, code_N: NDArray[np.int64]) -> str | None:
    """The first sample that stands twice for one checkpoint, in words; None where there is none."""
    question_N, questions = pd.factorize(frame["sample_id"])
    drawn_N, drawn = pd.factorize(frame["sample_index"])
    # One number for each (checkpoint, question, draw): integers compare in no time, rows of text do not.
    number_N = (code_N * len(questions) + question_N) * len(drawn) + drawn_N
    repeated = pd.Series(number_N).duplicated().to_numpy()
    if not repeated.any():
        return None
    row = frame.iloc[int(repeated.argmax())]
    seed = "" if pd.isna(row["seed"]) else f" (seed {row['seed']})"
    return f"sample {row['sample_id']} of {row['benchmark']} for {row['entry']}{seed}"


_CURVE_KEY = ["model", "entry", "seed"]
# NaN where not measured at a step: stored as null and read back as NaN.
_MEASURED = (
    *("loss", "loss_thinking", "loss_answer", "loss_tags", "learning_rate", "accuracy", "format_valid"),
    *("gradient_norm", "gradient_norm_thinking", "gradient_norm_answer", "gradient_norm_tags"),
)
_OF_RESPONSES = ("reward", "kl", "entropy", "response_tokens", "equal_groups")
_POINT = {"entry": "str", "model": "str", "seed": "int", "stage": "int", "stage_name": "str", "step": "int"}
_POINT |= {"tokens": "int", **dict.fromkeys(_MEASURED, "float | None"), "wall_seconds": "float"}
_POINT |= {**dict.fromkeys(_OF_RESPONSES, "float | None"), "rewards": "str | None"}
CURVES = Table(
    rows="curves",
    mend="run train-and-eval again",
    schema=pa.schema([_stored(name, kind) for name, kind in _POINT.items()]),
    later=frozenset((*_OF_RESPONSES, "rewards")),
)


def check_curves(entries: Sequence[Entry], curves: pd.DataFrame, where: str) -> None:
    """Every curve belongs to an entry, holds a point once, and counts on through its stages.

    Raises:
        InputError: a curve of an entry that is not there, a point stored twice, or steps or tokens that
            begin anew in a later stage, which would draw the stages over each other.
    """
    known = {(entry.model, entry.name, entry.seed) for entry in entries}
    for _, points in curves.groupby(_CURVE_KEY, sort=False):
        model, name, seed = points.iloc[0][_CURVE_KEY]
        owner = f"{where}: {stored_run.TRAINING_FILE}: {describe(name, seed)}"
        if (model, name, seed) not in known:
            raise InputError(f"{owner} of {model} is not among the entries")
        _check_order(points.sort_values(["stage", "step"]), owner)


def _check_order(points: pd.DataFrame, owner: str) -> None:
    if len(repeated := points[points.duplicated(["stage", "step"])]):
        first = repeated.iloc[0]
        raise InputError(f"{owner}: stage {first['stage']}, step {first['step']} is stored twice")
    for count in ("step", "tokens"):
        if len(falls := points[points[count].diff() < 0]):
            first = falls.iloc[0]
            raise InputError(
                f"{owner}: {count} falls to {first[count]} at stage {first['stage']}, step {first['step']}; "
                "steps and tokens count on from the variant's first stage"
            )
