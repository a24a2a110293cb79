"""Reads samples with their texts, one block of a run at a time: for a page of them, or for a few.

A board is built without prompts and outputs, which are nearly all of a run; here they are streamed from the
run's Parquet, and only the rows that are asked for become a `Sample`.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from leaderboards.results.schema import SAMPLES_FILE, RunResults, Sample
from leaderboards.results.tables import SAMPLES, EvaluationKey, checkpoint_codes
from tasks.errors import InputError
from tasks.scoring import Item, spans
from tasks.tags import TagFormat, format_of, opens_reasoning

_KEYS = ("model", "entry", "seed", "benchmark", "sample_id")
_OFFSETS = ("thinking_start", "thinking_end", "answer_start", "answer_end")
# Rows that are read at once, and bytes that are read ahead: a run of gigabytes is never whole in memory.
_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 20


class Wanted(NamedTuple):
    """The samples of one checkpoint on one benchmark that are to be read: a number for each question's id."""

    key: EvaluationKey
    tags: str
    number_of: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class RunTexts:
    """A run that has its texts, in memory or in the Parquet at `path`; `_N` runs over its samples.

    `code_N` numbers each row's (checkpoint, benchmark) among `codes`. Samples of older runs do not say where
    reasoning and answer stand (`has_offsets`).
    """

    run: RunResults
    path: Path | None
    has_offsets: bool
    code_N: NDArray[np.int64]
    codes: Mapping[EvaluationKey, int]
    sample_id_N: NDArray[np.object_]
    output_tokens_N: NDArray[np.int64]

    @classmethod
    def of(cls, run: RunResults) -> "RunTexts | None":
        """None where the texts are nowhere to be found."""
        path = None if "prompt" in run.samples else Path(run.source) / SAMPLES_FILE
        if path and not path.is_file():
            return None
        stored = pq.read_schema(path).names if path else run.samples.columns
        columns = [name for name in (*_KEYS, "output_tokens", *_OFFSETS) if name in stored]
        # As dictionaries: a name or an id stands in thousands of rows and is kept once.
        read = pq.read_table(path, columns=columns, read_dictionary=list(_KEYS)) if path else None
        keys = run.samples[columns] if read is None else read.to_pandas()
        code_N, codes = checkpoint_codes(keys)
        return cls(
            run,
            path,
            any(name in keys and bool(keys[name].notna().any()) for name in _OFFSETS),
            code_N,
            {code: number for number, code in enumerate(codes)},
            keys["sample_id"].to_numpy(dtype=object),
            keys["output_tokens"].to_numpy(dtype=np.int64),
        )

    def rows(self, key: EvaluationKey) -> NDArray[np.bool_]:
        """Which rows are of one checkpoint on one benchmark; none where the run does not hold it."""
        return self.code_N == self.codes.get(key, -1)

    def read(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, dict[int, list[Sample]]]]:
        """What is wanted of this run, each as soon as it is complete: by the question's number, as drawn.

        Raises:
            InputError: the run's file changed while it was read.
        """
        number_N, left = self._numbered(wanted)
        by_code = {self.codes[each.key]: each for each in wanted}
        formats = {} if self.has_offsets else {each.tags: self._format(each.tags) for each in wanted}
        found: dict[int, list[tuple[int, Sample]]] = {code: [] for code in by_code}
        prompts: dict[str, str] = {}  # one object for each prompt, which all entries share
        start = 0
        for batch in self._batches():
            chosen = np.flatnonzero(number_N[start : start + batch.num_rows] >= 0)
            rows = batch.take(pa.array(chosen)).to_pylist()
            for at, values in zip((start + chosen).tolist(), rows, strict=True):
                code = int(self.code_N[at])
                one = by_code[code]
                values["prompt"] = prompts.setdefault(values["prompt"], values["prompt"])
                values["defects"] = tuple(values["defects"])
                values["choices"] = None if values["choices"] is None else tuple(values["choices"])
                sample = Sample(**values | dict(zip(_KEYS, one.key, strict=False)))
                if tag_format := formats.get(one.tags):
                    sample = located(sample, tag_format)
                found[code].append((int(number_N[at]), sample))
                left[code] -= 1
                if not left[code]:
                    yield one, _by_number(found.pop(code))
            start += batch.num_rows
        if start != len(number_N):
            raise InputError(f"{self.path}: changed while it was read; write the report again")

    def _numbered(self, wanted: Sequence[Wanted]) -> tuple[NDArray[np.int64], dict[int, int]]:
        """The number of each row's question, -1 where it is not wanted; how many rows of each code are."""
        number_N = np.full(len(self.code_N), -1, dtype=np.int64)
        left = {}
        for each in wanted:
            rows = np.flatnonzero(self.rows(each.key))
            numbers = pd.Series(self.sample_id_N[rows]).map(each.number_of).fillna(-1)
            number_N[rows] = numbers.to_numpy(dtype=np.int64)
            left[self.codes[each.key]] = int((number_N[rows] >= 0).sum())
        return number_N, left

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in the order of `code_N`, some thousand at a time, with the columns that are no key."""
        names = [name for name in SAMPLES.schema.names if name not in ("model", "entry", "seed", "benchmark")]
        if self.path:
            file = pq.ParquetFile(self.path, buffer_size=_BUFFER_BYTES)
            stored = [name for name in names if name in file.schema_arrow.names]
            yield from file.iter_batches(_BATCH_ROWS, columns=stored)
            return
        schema = pa.schema([SAMPLES.schema.field(name) for name in names if name in self.run.samples])
        for start in range(0, len(self.run.samples), _BATCH_ROWS):
            rows = self.run.samples.iloc[start : start + _BATCH_ROWS]
            arrays = [pa.array(rows[field.name], type=field.type, from_pandas=True) for field in schema]
            yield from pa.table(arrays, schema=schema).combine_chunks().to_batches()

    def _format(self, name: str) -> TagFormat | None:
        """A tag format that an entry names; None where nobody knows it any more."""
        try:
            return format_of(Path(self.run.source), name)
        except InputError:
            return None


def located(sample: Sample, tag_format: TagFormat) -> Sample:
    """The sample with the offsets that the scorer gives today, for one that was stored without."""
    opened = opens_reasoning(sample.prompt, tag_format)
    item = Item(sample.output, sample.gold, "text", None, tag_format, sample.truncated, reasoning_open=opened)
    thinking, answer = (span or (None, None) for span in spans(item))
    return dataclasses.replace(sample, **dict(zip(_OFFSETS, (*thinking, *answer), strict=True)))


def _by_number(found: list[tuple[int, Sample]]) -> dict[int, list[Sample]]:
    """Questions in the order of their numbers, the samples of each as they were drawn."""
    by_number: dict[int, list[Sample]] = {}
    for number, sample in sorted(found, key=lambda each: (each[0], each[1].sample_index)):
        by_number.setdefault(number, []).append(sample)
    return by_number
