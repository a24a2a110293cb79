"""Where the records of a benchmark come from: a data directory, the Hugging Face Hub, or a generator.

The same three for training and evaluation, so that both see the same questions.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Literal

from tasks.errors import InputError
from tasks.fields import FieldMap
from tasks.records import Kind, Record, iter_records

Split = Literal["train", "validation", "test"]
_BUCKET: dict[Split, int] = {"test": 0, "validation": 1}
LENT = 20
"""Where a source has no validation split, one training question in so many is lent for one."""


@dataclass(frozen=True, slots=True)
class HubSource:
    """A data set on the Hugging Face Hub (or a local folder in its form).

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
        fields: from a row on the Hub to a record.
        generator: ``package.module:function``, called as ``function(split, **options)``.
        options: the generator's options.
        holdout: where all splits share one: one question in so many is held out for test (and another one for
            validation), chosen by a hash of the question, so that no question stands on two sides.
    """

    folder: str
    splits: Mapping[str, str]
    hub: HubSource | None = None
    fields: FieldMap | None = None
    generator: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    holdout: int | None = None


def iter_split(source: DataSource, split: Split, kind: Kind, data_dir: Path | None) -> Iterator[Record]:
    """Load the records of a split one by one: from the data directory, else the Hub, else the generator.

    Where there is no validation split, the records lent from training stand for it.

    Args:
        source: where they are.
        split: which.
        kind: what kind of answer they must have.
        data_dir: a directory with one folder a data set and one JSONL file a split.

    Yields:
        The records in the order of the source, without what is held out for other splits.

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
        if record.kind != kind:
            raise InputError(
                f"{source.folder}, record {record.id!r}: kind '{record.kind}' where '{kind}' is expected; "
                "mend the data or the benchmark's YAML"
            )
        if source.holdout is None or _side(record, source.holdout, source.splits) == split:
            yield record


def lends_validation(source: DataSource) -> bool:
    """Whether the validation split is part of the training split, which must then do without it."""
    return "validation" not in source.splits and "train" in source.splits


def is_lent(record: Record) -> bool:
    """Whether a training record is one of those lent for validation: decided by its question alone."""
    return _bucket(record, LENT, "lent ") == 0


def _load(source: DataSource, split: Split, kind: Kind, data_dir: Path | None) -> Iterable[Record]:
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(f"{data_dir}: no such data directory; check --data-dir")
    if data_dir is not None and (data_dir / source.folder).is_dir():
        return iter_records(data_dir / source.folder / f"{source.splits[split]}.jsonl")
    if source.hub is not None and source.fields is not None:
        return _hub_records(source, source.hub, source.fields, split, kind)
    if source.generator is not None:
        return _generated(source.generator, source.splits[split], source.options)
    raise InputError(f"{source.folder}: no such folder in the data directory, and no other source")


def _side(record: Record, holdout: int, splits: Mapping[str, str]) -> Split:
    bucket = _bucket(record, holdout)
    sides = (split for split, number in _BUCKET.items() if number == bucket and split in splits)
    return next(sides, "train")


def _bucket(record: Record, number: int, purpose: str = "") -> int:
    text = purpose + " ".join(record.question.split())
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") % number


def _hub_records(
    source: DataSource, hub: HubSource, fields: FieldMap, split: Split, kind: Kind
) -> Iterator[Record]:
    hub_split = hub.splits.get(split, source.splits[split])
    seen: set[str] = set()
    for row_number, row in zip(count(), _hub_rows(hub, hub_split, source.folder), strict=False):
        where = f"{hub.path} ({hub_split}), row {row_number}"
        if hub.skip_blank and fields.is_blank(row, where):
            continue
        record = fields.record(row, kind=kind, row_id=f"{source.folder}-{split}-{row_number}", where=where)
        if record.id in seen:
            raise InputError(f"{where}: id {record.id!r} occurs twice; map another column to 'id', or none")
        seen.add(record.id)
        yield record


def _hub_rows(hub: HubSource, hub_split: str, folder: str) -> Iterable[Mapping[str, Any]]:
    import datasets

    try:
        rows: Iterable[Mapping[str, Any]] = datasets.load_dataset(
            hub.path, hub.name, split=hub_split, revision=hub.revision
        )
    except Exception as error:  # the Hub client raises its own, requests', fsspec's and builtin errors
        reason = str(error).strip().split("\n")[0][:200]
        raise InputError(
            f"{hub.path} ({hub.name or 'default'}, split {hub_split}) cannot be loaded from the "
            f"Hugging Face Hub: {type(error).__name__}: {reason}; check the network, or give --data-dir DIR "
            f"with DIR/{folder}/{hub_split.split('+')[-1]}.jsonl"
        ) from error
    return rows


def _generated(generator: str, split: str, options: Mapping[str, Any]) -> Iterable[Record]:
    module, _, function = generator.partition(":")
    try:
        load = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"generator '{generator}' cannot be imported: {error}; check the YAML") from error
    records: Iterable[Record] = load(split, **options)
    return records
