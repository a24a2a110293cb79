"""One question with its reference answer, its prompt, and the strict reader of files that hold them.

A file that is read leniently falsifies every figure computed from it, so each line is checked and the first
fault is named with its file and line.
"""

import gzip
import hashlib
import json
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from tasks.errors import InputError, did_you_mean
from tasks.reading import open_bytes, parse_json
from tasks.secrets import one_line
from tasks.tables import Row, csv_rows, parquet_rows

Kind = Literal["number", "choice", "latex", "text", "contains"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_LINE_BYTES = 64 << 20
"""Of a file of objects: no prompt or output is longer, and whatever has no lines is no such file."""


@dataclass(frozen=True, slots=True)
class Record:
    """One question of a benchmark.

    Attributes:
        id: unique within its file or split.
        question: the text of the question, without the choices.
        choices: the texts of the choices, in the order of the letters A, B, …; None unless kind is choice.
        rationale: the reference reasoning; None where the source has none.
        answer: the reference answer; a letter for kind choice.
        kind: how answers to it are compared.
    """

    id: str
    question: str
    choices: tuple[str, ...] | None
    rationale: str | None
    answer: str
    kind: Kind

    def content(self) -> int:
        """A number from 0 on, the same for the same question and choices, in whatever order these are.

        Case and whitespace make no other question.
        """
        texts = (self.question, *sorted(self.choices or ()))
        plain = "\0".join(" ".join(text.casefold().split()) for text in texts)
        return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "replace")).digest()[:7], "big")


def render_prompt(record: Record, *, instruction: str | None = None) -> str:
    r"""Write the prompt of a record, for training and evaluation alike, as text without a chat template.

    It always ends in ``Response:\n``: after a newline a response starts at a token boundary of every common
    tokenizer, so that prompt and response tokenise the same apart and together. The instruction, a line for
    instruct models, says in which format to answer.
    """
    lines = [f"Question: {record.question}"]
    lines += [f"{letter}. {choice}" for letter, choice in zip(LETTERS, record.choices or (), strict=False)]
    if instruction:
        lines.append(instruction)
    return "\n".join([*lines, "Response:", ""])


def read_records(path: Path) -> list[Record]:
    r"""Read and check a JSONL file of records (lines end in ``\n`` only: texts may hold U+2028).

    Args:
        path: a file with one JSON object a line: id, question, answer, kind, and where they exist choices
            and rationale. Other fields are ignored.

    Raises:
        InputError: the file is missing or empty, or a line is no valid record; names file, line and remedy.
    """
    records = list(iter_records(path))
    if not records:
        raise InputError(f"{path}: no records; expected one JSON object a line")
    return records


def iter_records(path: Path) -> Iterator[Record]:
    """Read records as `read_records` does, but one by one; an empty file yields nothing."""
    for record in records_and_faults(read_rows(path, mended=False), parse_record):
        if isinstance(record, InputError):
            raise record
        yield record


def records_and_faults(
    rows: Iterable[Row], parse: Callable[[dict[str, Any], str], Record]
) -> Iterator[Record | InputError]:
    """The record of each row, or what is wrong with it."""
    seen: dict[str, str] = {}
    for where, row in rows:
        try:
            if isinstance(row, InputError):
                raise row
            record = parse(row, where)
            if (earlier := seen.setdefault(record.id, where)) != where:
                said = f"id {record.id!r} already stands at {earlier}; give each record its own id"
                raise InputError(f"{where}: {said}")
        except InputError as error:
            yield error
        else:
            yield record


def parse_record(fields: Mapping[str, Any], where: str) -> Record:
    """Check one decoded JSON object and make a record of it.

    Args:
        fields: the decoded object.
        where: file and line (or data set and row) for the error message.

    Raises:
        InputError: a field is missing, of the wrong type or out of range.
    """
    texts = {name: _text(fields, name, where) for name in ("id", "question", "answer", "kind")}
    kind = next((known for known in KINDS if known == texts["kind"]), None)
    if kind is None:
        raise InputError(f"{where}: unknown kind {texts['kind']!r}; {did_you_mean(texts['kind'], KINDS)}")
    rationale = fields.get("rationale")
    if rationale is not None and not isinstance(rationale, str):
        raise InputError(f"{where}: field 'rationale' is {json_type(rationale)}; write a text or null")
    choices = _choices(fields.get("choices"), where)
    if kind == "choice":
        _check_choice(texts["answer"], choices, where)
    return Record(texts["id"], texts["question"], choices, rationale, texts["answer"], kind)


def records_digest(records: Iterable[Record]) -> str:
    """The SHA-256, as hex, of one canonical JSON array a record: proves that two runs used the same data."""
    digest = hashlib.sha256()
    for record in records:
        row = [record.id, record.question, record.choices, record.rationale, record.answer, record.kind]
        digest.update(json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n")
    return digest.hexdigest()


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    if name not in fields:
        raise InputError(f"{where}: field '{name}' is missing; add it (a text)")
    value = fields[name]
    if name in ("id", "answer") and json_type(value) == "a number":
        return f"{Decimal(repr(value)):f}"
    if not isinstance(value, str):
        raise InputError(f"{where}: field '{name}' is {json_type(value)}; write a text")
    if not value.strip():
        raise InputError(f"{where}: field '{name}' is empty; fill it or drop the line")
    if not value.isascii() and re.search("[\ud800-\udfff]", value):
        raise InputError(f"{where}: field '{name}' holds half a surrogate pair; mend the escape")
    return value


def _choices(value: object, where: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    value = list_of(value, where)
    if not isinstance(value, list) or not all(isinstance(choice, str) and choice.strip() for choice in value):
        raise InputError(f"{where}: field 'choices' must be a list of non-empty texts or null")
    if not 2 <= len(value) <= len(LETTERS):
        raise InputError(f"{where}: {len(value)} choices; between 2 and {len(LETTERS)} are possible")
    return tuple(value)


def _check_choice(answer: str, choices: tuple[str, ...] | None, where: str) -> None:
    if choices is None:
        raise InputError(f"{where}: kind 'choice' without choices; add the field 'choices'")
    if len(answer) != 1 or answer not in LETTERS[: len(choices)]:
        raise InputError(
            f"{where}: answer {answer!r} is no letter of the {len(choices)} choices; "
            f"write one of {LETTERS[0]} to {LETTERS[len(choices) - 1]}"
        )


def iter_objects(path: Path, *, mended: bool = True) -> Iterator[tuple[str, dict[str, Any]]]:
    r"""Read a file object by object, each with the place where it stands: JSONL, or what its name ends in.

    That is CSV, TSV, Parquet (`tasks.tables`) or, packed, ``.jsonl.gz``. Lines of JSONL end in ``\n`` only,
    since texts may hold U+2028; a byte-order mark at the start and blank lines are skipped. Halves of
    characters are replaced where `mended`.

    Raises:
        InputError: the file cannot be read, or a line is too long, not UTF-8, no strict JSON or no object.
    """
    for where, row in read_rows(path, mended=mended):
        if isinstance(row, InputError):
            raise row
        yield where, row


def read_rows(path: Path, *, mended: bool = True) -> Iterator[Row]:
    """The same, with what is wrong with a row in its place where the next can be read all the same."""
    try:
        with open_bytes(path) as file:
            if path.suffix in (".csv", ".tsv"):
                yield from csv_rows(file, path, MOST_LINE_BYTES)
            elif path.suffix == ".parquet":
                yield from parquet_rows(file, path)
            else:
                yield from _lines(gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file, path, mended)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or one_line(error)
        raise InputError(f"{path}: cannot be read ({said}); check the path") from error


def _lines(file: BinaryIO | gzip.GzipFile, path: Path, mended: bool) -> Iterator[Row]:
    lines = iter(lambda: file.readline(MOST_LINE_BYTES + 1), b"")
    for line_number, raw in enumerate(lines, start=1):
        where = f"{path}:{line_number}"
        if len(raw) > MOST_LINE_BYTES:
            raise InputError(f"{where}: more than {MOST_LINE_BYTES:,} bytes; is it a file of lines?")
        line = raw.removeprefix(b"\xef\xbb\xbf") if line_number == 1 else raw
        if line.strip():
            yield where, _object(line, where, mended)


def list_of(value: Any, where: str) -> Any:
    """A list that stands as JSON in a text, as in a cell of a CSV; anything else as it is."""
    is_written = isinstance(value, str) and value.lstrip().startswith("[")
    return parse_json(value, f"{where}: field 'choices'", strict=True) if is_written else value


def json_type(value: object) -> str:
    """Name the JSON type of a decoded value, with its article."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite"
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")


def _object(raw: bytes, where: str, mended: bool) -> dict[str, Any] | InputError:
    fault = "invalid JSON ({error}); write one JSON object a line"
    try:
        value = parse_json(raw.rstrip(b"\r\n").decode("utf-8"), where, fault, strict=True, mended=mended)
    except UnicodeDecodeError as error:
        return InputError(f"{where}: byte {error.start + 1} is not UTF-8; save the file as UTF-8")
    except InputError as error:
        return error
    said = f"{where}: {json_type(value)} instead of an object; write one JSON object a line"
    return value if isinstance(value, dict) else InputError(said)
