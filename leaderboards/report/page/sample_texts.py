"""Reads the texts of the samples that a page shows, one block of a run at a time.

A board is built without prompts and outputs, which are nearly all of a run; here they are streamed from the
run's Parquet, and only the rows that are asked for become Python objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from leaderboards.board.rows import Board
from leaderboards.results.sample_table import SAMPLES, checkpoint_codes
from leaderboards.results.schema import SAMPLES_FILE, RunResults
from tasks.errors import InputError
from tasks.tags import TagFormat, format_of

_KEYS = ("model", "entry", "seed", "benchmark", "sample_id")
_COLUMNS = (
    *("sample_index", "prompt", "output", "gold", "choices", "extracted", "accuracy", "accuracy_strict"),
    *("format_valid", "truncated", "defects", "output_tokens", "judge"),
)
_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 20


class Place(NamedTuple):
    """One seed of one row of the board on one benchmark; `run` holds its samples, marked by `code`."""

    row: int
    seed: int | None
    benchmark: str
    run: int
    code: int
    tags: str


class Sample(NamedTuple):
    """One output and what was said of it; `question` is its number among those kept."""

    question: int
    sample_index: int
    prompt: str
    output: str
    gold: str
    choices: Sequence[str] | None
    extracted: str | None
    accuracy: bool
    accuracy_strict: bool
    format_valid: bool
    truncated: bool
    defects: Sequence[str]
    output_tokens: int
    judge: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class RunTexts:
    """A run that has its texts, in memory or in its Parquet.

    Attributes:
        run: The run.
        path: Of its Parquet; None where the texts are in memory.
        code_N: Number of each row's (checkpoint, benchmark) among `codes`.
        codes: Those there are.
        sample_id_N: Id of each row's question.
        output_tokens_N: Tokens of each row's output.
    """

    run: RunResults
    path: Path | None
    code_N: NDArray[np.int64]
    codes: Mapping[tuple[str, str, int | None, str], int]
    sample_id_N: NDArray[np.object_]
    output_tokens_N: NDArray[np.int64]

    @classmethod
    def of(cls, run: RunResults) -> "RunTexts | None":
        """None where the texts are nowhere to be found."""
        columns = [*_KEYS, "output_tokens"]
        if "prompt" in run.samples:
            path, keys = None, run.samples[columns]
        else:
            path = Path(run.source) / SAMPLES_FILE
            if not path.is_file():
                return None
            keys = pq.read_table(path, columns=columns, read_dictionary=list(_KEYS)).to_pandas()
        code_N, codes = checkpoint_codes(keys)
        return cls(
            run,
            path,
            code_N,
            {code: number for number, code in enumerate(codes)},
            keys["sample_id"].to_numpy(dtype=object),
            keys["output_tokens"].to_numpy(dtype=np.int64),
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The columns of a `Sample`, some thousand rows at a time, in the order of `code_N`."""
        if self.path:
            file = pq.ParquetFile(self.path, buffer_size=_BUFFER_BYTES)
            yield from file.iter_batches(_BATCH_ROWS, columns=list(_COLUMNS))
            return
        schema = pa.schema([SAMPLES.schema.field(name) for name in _COLUMNS])
        for start in range(0, len(self.run.samples), _BATCH_ROWS):
            rows = self.run.samples.iloc[start : start + _BATCH_ROWS]
            arrays = [pa.array(rows[field.name], type=field.type, from_pandas=True) for field in schema]
            yield from pa.table(arrays, schema=schema).combine_chunks().to_batches()


def places_of(board: Board, texts: Sequence[RunTexts | None]) -> list[Place]:
    """Where each row's samples are: as in the board, the first run that holds them stands for them."""
    places = []
    for number, row in enumerate(board.rows):
        for cell in row.cells:
            for seed in row.seeds:
                code = (row.model, row.name, seed, cell.benchmark)
                held = ((run, each.codes.get(code)) for run, each in enumerate(texts) if each)
                found = next(((run, mark) for run, mark in held if mark is not None), None)
                if found:
                    places.append(Place(number, seed, cell.benchmark, *found, row.tags))
    return places


def read_places(
    texts: RunTexts, places: Sequence[Place], kept: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[Place, list[Sample]]]:
    """The samples of these places of one run, each place as soon as it is complete.

    Args:
        texts: The run.
        places: Which of its places.
        kept: By benchmark, the number of each question that is to be read.

    Raises:
        InputError: The run's file changed while it was read.
    """
    question_N, left = _wanted(texts, places, kept)
    by_code = {place.code: place for place in places}
    found: dict[int, list[Sample]] = {place.code: [] for place in places}
    prompts: dict[str, str] = {}
    start = 0
    for batch in texts.batches():
        numbers = question_N[start : start + batch.num_rows]
        codes = texts.code_N[start : start + batch.num_rows]
        start += batch.num_rows
        for question, code, values in _chosen(batch, numbers, codes):
            sample = Sample(question, **values)
            found[code].append(sample._replace(prompt=prompts.setdefault(sample.prompt, sample.prompt)))
            left[code] -= 1
            if not left[code]:
                yield by_code[code], sorted(found.pop(code), key=lambda each: each[:2])
    if start != len(question_N):
        raise InputError(f"{texts.path}: changed while it was read; write the report again")


def _wanted(
    texts: RunTexts, places: Sequence[Place], kept: Mapping[str, Mapping[str, int]]
) -> tuple[NDArray[np.int64], dict[int, int]]:
    """The number of each row's question, -1 where it is not wanted, and how many rows each place has."""
    question_N = np.full(len(texts.code_N), -1, dtype=np.int64)
    left = {}
    for place in places:
        rows = np.flatnonzero(texts.code_N == place.code)
        numbers = pd.Series(texts.sample_id_N[rows]).map(kept[place.benchmark]).fillna(-1)
        question_N[rows] = numbers.to_numpy(dtype=np.int64)
        left[place.code] = int((question_N[rows] >= 0).sum())
    return question_N, left


def _chosen(
    batch: pa.RecordBatch, numbers: NDArray[np.int64], codes: NDArray[np.int64]
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    rows = np.flatnonzero(numbers >= 0)
    if len(rows):
        values = batch.take(pa.array(rows)).to_pylist()
        yield from zip(numbers[rows].tolist(), codes[rows].tolist(), values, strict=True)


def tag_format_of(source: str, name: str) -> TagFormat | None:
    """The tag format that an entry of a run names: one kept in the run's folder, or a known one, or None."""
    try:
        return format_of(Path(source), name)
    except InputError:
        return None
