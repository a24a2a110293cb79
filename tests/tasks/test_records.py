"""Records are read strictly: a faulty line is named with its place and its remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import InputError
from tasks.records import Record, read_records, records_digest, render_prompt

GOOD = {"id": "a", "question": "1+1?", "choices": None, "rationale": "Add.", "answer": "2", "kind": "number"}
CHOICE = {
    "id": "b",
    "question": "Pick",
    "choices": ["x", "y"],
    "rationale": None,
    "answer": "B",
    "kind": "choice",
}


def write(path: Path, *lines: Any) -> Path:
    path.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
    return path


def test_records_come_in_file_order(tmp_path: Path) -> None:
    records = read_records(write(tmp_path / "r.jsonl", GOOD, CHOICE))
    assert records == [
        Record("a", "1+1?", None, "Add.", "2", "number"),
        Record("b", "Pick", ("x", "y"), None, "B", "choice"),
    ]


def test_lines_end_in_newline_only(tmp_path: Path) -> None:
    line = json.dumps(GOOD | {"question": "one\u2028line\x0b"}, ensure_ascii=False).encode()
    assert read_records(write(tmp_path / "r.jsonl", line))[0].question == "one\u2028line\x0b"


def test_a_byte_order_mark_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    assert (
        len(read_records(write(tmp_path / "r.jsonl", b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), b""))) == 1
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({k: v for k, v in GOOD.items() if k != "answer"}, "field 'answer' is missing"),
        (GOOD | {"answer": True}, "field 'answer' is a boolean"),
        (GOOD | {"question": " "}, "field 'question' is empty"),
        (GOOD | {"rationale": ["Add."]}, "field 'rationale' is a list"),
        (GOOD | {"kind": "numbr"}, "did you mean 'number'"),
        (CHOICE | {"answer": "C"}, "no letter of the 2 choices"),
        (CHOICE | {"answer": "b"}, "no letter of the 2 choices"),
        (CHOICE | {"choices": None}, "without choices"),
        (CHOICE | {"choices": ["x"]}, "1 choices"),
        (CHOICE | {"choices": "xy"}, "must be a list"),
        (GOOD | {"question": "\ud800"}, "surrogate"),
        ([1], "a list instead of an object"),
        (b"{", "invalid JSON"),
        (b"[" * 100_000, "invalid JSON"),
        (b'{"id": "\xff"}', "byte 9 is not UTF-8"),
        (b'{"id": "b", "id": "c"}', "the key 'id' stands twice"),
        (b'{"id": NaN}', "NaN is no number in JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}", "a number of thousands of digits"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, line: Any, complaint: str) -> None:
    path = write(tmp_path / "r.jsonl", GOOD | {"id": "first"}, line)
    with pytest.raises(InputError, match=complaint) as caught:
        read_records(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)


def test_a_line_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.records.MOST_LINE_BYTES", 1000)
    path = write(tmp_path / "r.jsonl", GOOD, GOOD | {"question": "x" * 1000})
    with pytest.raises(InputError, match=r"r\.jsonl:2: more than 1,000 bytes"):
        read_records(path)
    with pytest.raises(InputError, match="/dev/zero:1: more than 1,000 bytes"):
        read_records(Path("/dev/zero"))


def test_an_id_stands_once(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", GOOD, CHOICE, GOOD)
    with pytest.raises(InputError, match=r"r\.jsonl:3: id 'a' already stands at .*r\.jsonl:1"):
        read_records(path)


def test_an_empty_or_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no records"):
        read_records(write(tmp_path / "empty.jsonl"))
    with pytest.raises(InputError, match="cannot be read"):
        read_records(tmp_path / "missing.jsonl")


def test_the_digest_sees_every_field_and_the_order(number_record: Record, choice_record: Record) -> None:
    digest = records_digest([number_record, choice_record])
    assert len(digest) == 64
    assert digest == records_digest(iter([number_record, choice_record]))
    changed = Record("n1", "How many?", None, None, "5", "number")
    assert (
        len(
            {digest, records_digest([choice_record, number_record]), records_digest([changed, choice_record])}
        )
        == 3
    )


def test_the_prompt_of_a_number(number_record: Record) -> None:
    assert render_prompt(number_record) == "Question: How many?\nResponse:\n"


def test_choices_have_letters(choice_record: Record) -> None:
    assert render_prompt(choice_record) == "Question: Where is fog?\nA. a marsh\nB. a desert\nResponse:\n"


def test_the_instruction_stands_before_the_response(number_record: Record) -> None:
    prompt = render_prompt(number_record, instruction="Be brief.")
    assert prompt == "Question: How many?\nBe brief.\nResponse:\n"
