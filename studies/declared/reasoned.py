"""Test questions with reasoning, held out of training questions where a benchmark's own have none.

Without reasoning there is no measure of the answer after the right reasoning. A hash of their text says which
questions are held out, so that they are the same wherever this runs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from studies.declared.declaration import Reasoned, Study
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError
from tasks.files import write_whole
from tasks.records import LETTERS, Record


def prepare(study: Study, data_dir: Path | None) -> None:
    """Writes the data that the study declares, in the form of a data directory; nothing where it is there.

    Args:
        study: What was declared.
        data_dir: Where the benchmarks that they are held out of come from; the Hub where None.

    Raises:
        InputError: A benchmark cannot be had, or has too few questions with reasoning.
    """
    for name, told in study.declaration.data.items():
        folder = study.data_dir / name
        if not (folder / "train.jsonl").exists():
            _write(folder, told, load_benchmark(told.of, None, data_dir).records("train", data_dir))


def _write(folder: Path, told: Reasoned, train: list[Record]) -> None:
    different = {record.content(): record for record in train if record.rationale}
    ordered = sorted(different.values(), key=_place)
    test, rest = ordered[: told.test], ordered[told.test :]
    validation, rest = rest[: told.validation], rest[told.validation :]
    if not rest:
        raise InputError(f"{told.of}: only {len(ordered)} training questions have reasoning, too few here")
    folder.mkdir(parents=True, exist_ok=True)
    for split, records in (("test", test), ("validation", validation), ("train", rest)):
        shown = [_written_out(record) if told.written_out else record for record in records]
        lines = [json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in shown]
        write_whole(folder / f"{split}.jsonl", "".join(lines))


def _place(record: Record) -> str:
    return hashlib.sha256(f"held out {record.content()}".encode()).hexdigest()


def _written_out(record: Record) -> Record:
    """A choice as its own words in place of a letter."""
    if record.choices is None:
        return record
    question = f"{record.question}\nOptions: {'; '.join(record.choices)}"
    answer = record.choices[LETTERS.index(record.answer)]
    return replace(record, question=question, choices=None, answer=answer, kind="text")
