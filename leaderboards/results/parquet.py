"""A table of a stored run as a Parquet file: typed, written atomically, read back only under its digest.

Apart from `results` because only the tables need pandas and pyarrow; they are imported when used.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import getitem
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError


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
        if not isinstance(rows, pd.DataFrame):
            listed = list(rows)
            value: Callable[[Any, str], Any] = (
                getitem if listed and isinstance(listed[0], Mapping) else getattr
            )
            return self._from_arrow(
                self._to_arrow({name: [value(row, name) for row in listed] for name in names})
            )
        missing = [name for name in names if name not in rows.columns]
        if missing:
            raise InputError(f"{self.rows}: the column {missing[0]!r} is missing")
        return self._from_arrow(self._to_arrow({name: rows[name] for name in names}))

    def write(self, frame: pd.DataFrame, path: Path) -> str:
        """Writes the table atomically and returns the SHA-256 of the file."""
        part = path.with_name(f"{path.name}.part")
        columns = {name: frame[name] for name in self.schema.names}
        pq.write_table(self._to_arrow(columns), part, compression="zstd")
        digest = _sha256(part)
        part.replace(path)
        return digest

    def read(self, path: Path, sha256: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Reads the table back, after comparing the file with the digest that `results.json` holds.

        Args:
            path: the file.
            sha256: the digest that it must have.
            columns: those to read; by default all of them. Where they are chosen, lists stay in Arrow's form,
                since a million small Python arrays cost more than all the rest.

        Raises:
            InputError: the file is missing, damaged, of another run, or of another schema.
        """
        try:
            found = _sha256(path)
        except OSError:
            raise InputError(f"{path}: no such file; {self.mend}") from None
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
        frame = table.to_pandas(types_mapper=kept.get)
        return frame.astype(
            {
                field.name: plain[field.type]
                for field in table.schema
                if field.type in plain and not field.nullable
            }
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
