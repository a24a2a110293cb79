r"""From a row of somebody's data set to a record, by the `fields` mapping of a benchmark's YAML.

Each of id, question, choices, rationale and answer is a column, or a mapping with these keys:

- ``column``: the column; a dot descends into a nested one (``choices.text``).
- ``template``: instead of a column, a text with columns in braces (``"{fact1} {fact2}"``).
- ``constant``: instead of a column, the value itself (``[yes, no]``).
- ``match``: a regular expression; its first group is the value. The row is at fault where it does not match.
- ``drop``: regular expressions (one or a list) whose matches are removed.
- ``map``: values to replace (``{"True": A, "False": B}``).
- ``labels``: for the answer of a choice: the column with the labels of the choices, in their order; the
  answer becomes the letter of the choice whose label it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.errors import InputError, check_keys, did_you_mean
from tasks.records import LETTERS, Kind, Record, parse_record

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
        value = self._raw(row, where)
        if value is None:
            return None
        if isinstance(value, list | tuple):
            return [self._clean(str(item), where) for item in value]
        text = self._clean(str(value), where)
        return _letter_of(text, _column(row, self.labels, where), where) if self.labels else text

    def _raw(self, row: Mapping[str, Any], where: str) -> Any:
        if self.constant is not None:
            return self.constant
        if self.template is not None:
            names = re.findall(r"\{([\w.]+)\}", self.template)
            values = {name: _column(row, name, where) for name in names}
            return re.sub(r"\{([\w.]+)\}", lambda found: str(values[found[1]]), self.template)
        return _column(row, self.column or "", where)

    def _clean(self, text: str, where: str) -> str:
        if self.match is not None:
            found = self.match.search(text)
            if found is None:
                raise InputError(f"{where}: {text[-60:]!r} does not match {self.match.pattern!r}")
            text = found[1]
        for pattern in self.drop:
            text = pattern.sub("", text)
        text = text.strip()
        return self.map.get(text, text) if self.map else text


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The fields of a record; id may be missing (rows are then numbered), choices and rationale too."""

    question: Field
    answer: Field
    id: Field | None = None
    choices: Field | None = None
    rationale: Field | None = None

    def is_blank(self, row: Mapping[str, Any], where: str) -> bool:
        """Whether the row lacks a question or an answer."""
        return not (self.question.read(row, where) and self.answer.read(row, where))

    def record(self, row: Mapping[str, Any], *, kind: Kind, row_id: str, where: str) -> Record:
        """Make a record of a row.

        Args:
            row: the row, as `datasets` gives it.
            kind: the kind of the benchmark.
            row_id: the id where the mapping has none.
            where: data set and row, for errors.

        Returns:
            The record, checked.

        Raises:
            InputError: the row does not give a valid record.
        """
        values = {
            name: field.read(row, where) for name in _NAMES if (field := getattr(self, name)) is not None
        }
        values.setdefault("id", row_id)
        if not values.get("rationale"):
            values["rationale"] = None
        return parse_record({**values, "kind": kind}, where)


def parse_fields(spec: object, where: str) -> FieldMap:
    """Check the `fields` mapping of a YAML.

    Args:
        spec: the mapping as read.
        where: the YAML file, for errors.

    Returns:
        The compiled mapping.

    Raises:
        InputError: an unknown key, a missing field or an invalid regular expression.
    """
    if not isinstance(spec, dict):
        raise InputError(f"{where}: 'fields' must map {', '.join(_NAMES)} to columns")
    check_keys(spec, _NAMES, where, "unknown field '{key}'; {meant}")
    for name in ("question", "answer"):
        if name not in spec:
            raise InputError(f"{where}: 'fields' lacks '{name}'; say which column holds it")
    return FieldMap(**{name: _parse_field(value, f"{where}: fields.{name}") for name, value in spec.items()})


def _parse_field(spec: object, where: str) -> Field:
    if isinstance(spec, str):
        return Field(column=spec)
    if not isinstance(spec, dict):
        raise InputError(f"{where}: must be a column or a mapping with {', '.join(_KEYS)}")
    check_keys(spec, _KEYS, where)
    if sum(key in spec for key in ("column", "template", "constant")) != 1:
        raise InputError(f"{where}: needs exactly one of column, template, constant")
    drop = spec.get("drop", [])
    try:
        return Field(
            column=spec.get("column"),
            template=spec.get("template"),
            constant=spec.get("constant"),
            match=re.compile(spec["match"], re.DOTALL) if "match" in spec else None,
            drop=tuple(re.compile(pattern) for pattern in ([drop] if isinstance(drop, str) else drop)),
            map={str(key): str(value) for key, value in spec["map"].items()} if "map" in spec else None,
            labels=spec.get("labels"),
        )
    except re.error as error:
        raise InputError(f"{where}: {error.pattern!r} is no regular expression ({error})") from error


def _column(row: Mapping[str, Any], path: str | None, where: str) -> Any:
    value: Any = row
    for part in (path or "").split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = list(value) if isinstance(value, Mapping) else []
            raise InputError(f"{where}: no column '{path}'; {did_you_mean(part, known)}")
        value = value[part]
    return value


def _letter_of(label: str, labels: Any, where: str) -> str:
    known = [str(item) for item in labels]
    if label not in known:
        raise InputError(f"{where}: answer {label!r} is none of the labels {', '.join(known)}")
    return LETTERS[known.index(label)]
