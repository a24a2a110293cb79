r"""Where the records of a benchmark come from: a data directory, the Hugging Face Hub, or a generator.

The same three for training and evaluation, so that both see the same questions. On the Hub a record is made
of a row of somebody's data set, by the `fields` of the benchmark's YAML: each of id, question, choices,
rationale and answer is a column, or a mapping with these keys:

- ``column``: the column; a dot descends into a nested one (``choices.text``), + makes a list (``a+b+c``).
- ``template``: instead of a column, a text with columns in braces (``"{fact1} {fact2}"``).
- ``constant``: instead of a column, the value itself (``[yes, no]``).
- ``match``: a regular expression; its first group is the value. The row is at fault where it does not match.
- ``drop``: regular expressions (one or a list) whose matches are removed.
- ``map``: values to replace (``{"True": A, "False": B}``).
- ``labels``: for the answer of a choice: the column with the labels of the choices, in their order; the
  answer becomes the letter of the choice whose label it is.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Literal

from tasks.errors import InputError, check_keys, did_you_mean
from tasks.records import (
    KINDS,
    LETTERS,
    Kind,
    Record,
    json_type,
    list_of,
    parse_record,
    read_rows,
    records_and_faults,
)
from tasks.tables import split_file

Split = Literal["train", "validation", "test"]
_BUCKET: dict[Split, int] = {"test": 0, "validation": 1}
LENT = 20
"""Where a source has no validation split, one training question in so many is lent for one."""
_NAMES = ("id", "question", "choices", "rationale", "answer")
_KEYS = ("column", "template", "constant", "match", "drop", "map", "labels")


@dataclass(frozen=True, slots=True)
class Field:
    """How one field of a record comes out of a row; see the module."""

    column: str | None = None
    template: str | None = None
    constant: Any = None
    match: re.Pattern[str] | None = None
    drop: tuple[re.Pattern[str], ...] = ()
    map: Mapping[str, str] | None = None
    labels: str | None = None

    def read(self, row: Mapping[str, Any], where: str) -> Any:
        """Read the field out of a row: a text, a list of texts, or None.

        Raises:
            InputError: the row lacks the column or does not match.
        """
        value = self.raw(row, where)
        if value is None:
            return None
        if json_type(value) in ("NaN", "infinite") or (isinstance(value, bool) and not self.map):
            raise InputError(f"{where}: {self.column} is {json_type(value)}; write a text or a number")
        if isinstance(value, list | tuple):
            return [self._clean(str(item), where) for item in value]
        text = self._clean(str(value), where)
        if not self.labels:
            return text
        labels = [str(label) for label in _column(row, self.labels, where)]
        if text not in labels:
            raise InputError(f"{where}: answer {text!r} is none of the labels {', '.join(labels)}")
        return LETTERS[labels.index(text)]

    def raw(self, row: Mapping[str, Any], where: str) -> Any:
        """Find what `read` makes a text of."""
        if self.constant is not None:
            return self.constant
        if self.template is not None:
            return re.sub(r"\{([\w.]+)\}", lambda name: str(_column(row, name[1], where)), self.template)
        column = self.column or ""
        if "+" in column and column not in row:
            parts = (_column(row, part.strip(), where) for part in column.split("+"))
            return [part for part in parts if part is not None]
        return row[column] if column in row else _column(row, column, where)

    def _clean(self, text: str, where: str) -> str:
        if self.match is not None:
            found = self.match.search(text)
            if found is None or not self.match.groups or found[1] is None:
                raise InputError(f"{where}: {text[-60:]!r} does not match a group of {self.match.pattern!r}")
            text = found[1]
        for pattern in self.drop:
            text = pattern.sub("", text)
        text = text.strip()
        return self.map.get(text, text) if self.map else text


def parse_fields(spec: object, where: str) -> dict[str, Field]:
    """Check the `fields` mapping of a YAML file, which `where` names in errors.

    Raises:
        InputError: an unknown key, a missing field or an invalid regular expression.
    """
    if not isinstance(spec, dict):
        raise InputError(f"{where}: 'fields' must map {', '.join(_NAMES)} to columns")
    check_keys(spec, _NAMES, where, "unknown field '{key}'; {meant}")
    for name in ("question", "answer"):
        if name not in spec:
            raise InputError(f"{where}: 'fields' lacks '{name}'; say which column holds it")
    return {name: _parse_field(value, f"{where}: fields.{name}") for name, value in spec.items()}


def parse_columns(text: str, known: Iterable[str] = _NAMES) -> dict[str, Field]:
    """What `--fields question=prompt,answer=label` says.

    Raises:
        InputError: it is of another form, or a field is unknown or stands twice.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    columns = {name.strip(): column.strip() for name, _, column in pairs}
    if not all(columns.values()) or len(columns) < len(pairs):
        raise InputError(f"--fields {text}: write each field once, such as question=prompt,answer=label")
    check_keys(columns, known, f"--fields {text}", "unknown field '{key}'; {meant}")
    return {name: Field(column=column) for name, column in columns.items()}


def _parse_field(spec: object, where: str) -> Field:
    if isinstance(spec, str):
        return Field(column=spec)
    if not isinstance(spec, dict):
        raise InputError(f"{where}: must be a column or a mapping with {', '.join(_KEYS)}")
    check_keys(spec, _KEYS, where)
    if sum(key in spec for key in ("column", "template", "constant")) != 1:
        raise InputError(f"{where}: needs exactly one of column, template, constant")
    drop = spec.get("drop", [])
    patterns = [*([drop] if isinstance(drop, str) else drop if isinstance(drop, list) else [None])]
    texts = [spec[key] for key in ("column", "template", "match", "labels") if key in spec]
    if not all(isinstance(text, str) for text in (*patterns, *texts)) or not isinstance(
        spec.get("map", {}), dict
    ):
        raise InputError(f"{where}: its keys take texts, drop a list of them too, and map a mapping")
    try:
        return Field(
            column=spec.get("column"),
            template=spec.get("template"),
            constant=spec.get("constant"),
            match=re.compile(spec["match"], re.DOTALL) if "match" in spec else None,
            drop=tuple(re.compile(pattern) for pattern in patterns),
            map={str(key): str(value) for key, value in spec["map"].items()} if "map" in spec else None,
            labels=spec.get("labels"),
        )
    except re.error as error:
        raise InputError(f"{where}: {error.pattern!r} is no regular expression ({error})") from error


def _column(row: Mapping[str, Any], path: str, where: str) -> Any:
    value: Any = row
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = list(value) if isinstance(value, Mapping) else []
            raise InputError(f"{where}: no column '{path}'; {did_you_mean(part, known)}")
        value = value[part]
    return value


@dataclass(frozen=True, slots=True)
class HubSource:
    """A data set on the Hugging Face Hub, or a local folder in its form.

    Attributes:
        path: its name, such as ``openai/gsm8k``.
        name: its configuration.
        revision: a branch or commit.
        splits: its names for our splits where they differ from the data directory's.
        skip_blank: it is known to hold rows without question or answer, which are left out.
    """

    path: str
    name: str | None = None
    revision: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    skip_blank: bool = False


@dataclass(frozen=True, slots=True)
class DataSource:
    """Everything needed to load the records of one benchmark.

    Attributes:
        folder: its folder in a data directory.
        splits: our split -> the source's; a split that is not named does not exist.
        hub: its place on the Hub.
        fields: from a row on the Hub to a record: question and answer, and perhaps id, choices and rationale.
        generator: ``package.module:function``, called as ``function(split, **options)``.
        options: the generator's options.
        columns: likewise from a row in the data directory, where that holds no records as they are here; a
            field that is not named is the column of its name.
        holdout: where all splits share one: one question in so many is held out for test (and another one for
            validation), chosen by a hash of the question, so that no question stands on two sides.
    """

    folder: str
    splits: Mapping[str, str]
    hub: HubSource | None = None
    fields: Mapping[str, Field] | None = None
    generator: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    holdout: int | None = None
    columns: Mapping[str, Field] | None = None


def iter_split(source: DataSource, split: Split, kind: Kind, data_dir: Path | None) -> Iterator[Record]:
    """Load the records of a split one by one: from the data directory, else the Hub, else the generator.

    They come in the order of the source, without what is held out for other splits. Where there is no
    validation split, the records lent from training stand for it.

    Args:
        source: where they are.
        split: which.
        kind: what kind of answer they must have.
        data_dir: a directory with one folder a data set and one JSONL file a split.

    Raises:
        InputError: the split does not exist, or cannot be loaded; says what was tried.
    """
    if split == "validation" and lends_validation(source):
        train = iter_split(source, "train", kind, data_dir)
        yield from (record for record in train if is_lent(record))
        return
    if split not in source.splits:
        known = ", ".join(source.splits)
        raise InputError(f"{source.folder}: there is no {split} split (there is {known}); use one of those")
    for record in _load(source, split, kind, data_dir):
        if isinstance(record, InputError):
            raise record
        bucket = source.holdout and _bucket(record, source.holdout)
        sides = (side for side, number in _BUCKET.items() if number == bucket and side in source.splits)
        if source.holdout is None or next(sides, "train") == split:
            yield record


def faults(source: DataSource, kind: Kind, data_dir: Path) -> Iterator[tuple[Split, InputError]]:
    """All that is wrong with the records of a data directory, and the splits where it is."""
    for split, name in source.splits.items():
        known: Any = split
        try:
            if (data_dir / source.folder).is_dir() and split_file(data_dir / source.folder, name).exists():
                loaded = _load(source, known, kind, data_dir)
                yield from ((known, one) for one in loaded if isinstance(one, InputError))
        except InputError as error:  # the file cannot be read on
            yield known, error


def lends_validation(source: DataSource) -> bool:
    """Whether the validation split is part of the training split, which must then do without it."""
    return "validation" not in source.splits and "train" in source.splits


def is_lent(record: Record) -> bool:
    """Whether a training record is one of those lent for validation: decided by its question alone."""
    return _bucket(record, LENT, "lent ") == 0


def _load(
    source: DataSource, split: Split, kind: Kind, data_dir: Path | None
) -> Iterable[Record | InputError]:
    for record in _loaded(source, split, kind, data_dir):
        if kind == "contains" and isinstance(record, Record) and record.kind == "text":
            record = replace(record, kind=kind)
        if isinstance(record, Record) and record.kind != kind:
            yield InputError(
                f"{source.folder}, record {record.id!r}: kind '{record.kind}' where '{kind}' is expected; "
                "mend the data or the benchmark's YAML"
            )
        else:
            yield record


def _loaded(
    source: DataSource, split: Split, kind: Kind, data_dir: Path | None
) -> Iterable[Record | InputError]:
    numbers = count()

    def of_table(row: Mapping[str, Any], where: str) -> Record:
        fields = {name: Field(column=name) for name in _NAMES if name in row} | {**(source.columns or {})}
        own = row["kind"] if row.get("kind") in KINDS else kind
        return _record(row, where, fields, f"{split}-{next(numbers)}", own)

    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"{data_dir}: no such data directory; check --data-dir")
    if data_dir is not None and (data_dir / source.folder).is_dir():
        rows = read_rows(split_file(data_dir / source.folder, source.splits[split]), mended=False)
        return records_and_faults(rows, parse_record if source.columns is None else of_table)
    if source.hub is not None and source.fields is not None:
        return _hub_records(source, source.hub, source.fields, split, kind)
    if source.generator is not None:
        return _generated(source.generator, source.splits[split], source.options)
    raise InputError(f"{source.folder}: no such folder in the data directory, and no other source")


def _bucket(record: Record, number: int, purpose: str = "") -> int:
    text = purpose + " ".join(record.question.split())
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") % number


def _hub_records(
    source: DataSource, hub: HubSource, fields: Mapping[str, Field], split: Split, kind: Kind
) -> Iterator[Record]:
    hub_split = hub.splits.get(split, source.splits[split])
    seen: set[str] = set()
    for row_number, row in enumerate(_hub_rows(hub, hub_split, source.folder)):
        where = f"{hub.path} ({hub_split}), row {row_number}"
        if hub.skip_blank and not all(fields[name].read(row, where) for name in ("question", "answer")):
            continue
        record = _record(row, where, fields, f"{source.folder}-{split}-{row_number}", kind)
        if record.id in seen:
            raise InputError(f"{where}: id {record.id!r} occurs twice; map another column to 'id', or none")
        seen.add(record.id)
        yield record


def _record(row: Mapping[str, Any], where: str, fields: Mapping[str, Field], name: str, kind: Kind) -> Record:
    """The record of a row of somebody's table; `name` is its id where it has none."""
    values = {field: fields[field].read(row, where) for field in _NAMES if field in fields}
    values |= {"rationale": values.get("rationale") or None, "id": values.get("id") or name, "kind": kind}
    choices, answer = list_of(values.get("choices"), where), values.get("answer")
    if isinstance(choices, list) and choices.count(answer) == 1 and answer not in [*LETTERS[: len(choices)]]:
        values["answer"] = LETTERS[choices.index(answer)]
    return parse_record({name: value for name, value in values.items() if value is not None}, where)


def _hub_rows(hub: HubSource, hub_split: str, folder: str) -> Iterator[Mapping[str, Any]]:
    import datasets

    try:
        yield from datasets.load_dataset(hub.path, hub.name, split=hub_split, revision=hub.revision)
    except Exception as error:  # the Hub client raises its own, requests', fsspec's and builtin errors
        reason = str(error).strip().split("\n")[0][:200]
        raise InputError(
            f"{hub.path} ({hub.name or 'default'}, split {hub_split}) cannot be loaded from the "
            f"Hugging Face Hub: {type(error).__name__}: {reason}; check the network, or give --data-dir DIR "
            f"with DIR/{folder}/{hub_split.split('+')[-1]}.jsonl"
        ) from error


def _generated(generator: str, split: str, options: Mapping[str, Any]) -> Iterable[Record]:
    module, _, function = generator.partition(":")
    try:
        load = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"generator '{generator}' cannot be imported: {error}; check the YAML") from error
    records: Iterable[Record] = load(split, **options)
    return records
