"""Rows of CSV, TSV and Parquet files: data as others keep it, in place of JSONL.

Types are kept: a cell of a CSV is a text ("007"), or missing where it is empty; Parquet has types of its own.
"""

import csv
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from tasks.errors import InputError

ENDINGS = (".jsonl", ".jsonl.gz", ".csv", ".tsv", ".parquet")
"""Of the files that hold records or outputs."""
Row = tuple[str, dict[str, Any] | InputError]
"""Where a row stands, and what it holds or what is wrong with it."""


def split_file(folder: Path, name: str) -> Path:
    """The file of a split in a folder, whatever its ending; InputError where there are two."""
    found = [path for ending in ENDINGS if (path := folder / f"{name}{ending}").exists()]
    if len(found) > 1:
        raise InputError(f"{folder}: holds {found[0].name} and {found[1].name}; leave one of them")
    return found[0] if found else folder / f"{name}.jsonl"


def csv_rows(file: BinaryIO, path: Path, most_bytes: int) -> Iterator[Row]:
    """Rows below a header, parted by that of comma, semicolon and tab which the header has most of."""
    csv.field_size_limit(most_bytes)
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    head = text.readline(most_bytes)
    reader = csv.reader(chain([head], text), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        names = next(reader, [])
        if len(set(names)) < len(names):
            raise InputError(f"{path}:1: two columns have the same name; rename one")
        for cells in filter(None, reader):
            where = f"{path}:{reader.line_num}"
            fault = f"{where}: {len(cells)} cells where the header has {len(names)}; put texts in quotes"
            row = dict(zip(names, (cell if cell.strip() else None for cell in cells), strict=False))
            yield where, row if len(cells) == len(names) else InputError(fault)
    except csv.Error as error:
        said = f"after line {reader.line_num} no CSV ({error}); put texts in quotes"
        raise InputError(f"{path}: {said}") from error


def parquet_rows(file: BinaryIO, path: Path) -> Iterator[Row]:
    """Rows of a Parquet file, numbered from 1."""
    from pyarrow.parquet import ParquetFile

    batches = ParquetFile(file).iter_batches(batch_size=256)
    rows = chain.from_iterable(batch.to_pylist() for batch in batches)
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, start=1))
