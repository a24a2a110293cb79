"""Test questions with reasoning are held out of training questions, the same ones everywhere."""

import json
from pathlib import Path

import pytest
import yaml
from test_study import SMALL

from studies.declared.declaration import Study, read_study
from studies.declared.reasoned import prepare
from tasks.errors import InputError
from tasks.records import Record, read_records

MADE = {"of": "qasc", "test": 5, "validation": 3, "written_out": True}


def row(number: int, **changes: object) -> dict[str, object]:
    choices = [f"word {number}", f"other {number}", f"third {number}"]
    given = {"id": f"q{number}", "question": f"What is {number}?", "choices": choices, "answer": "B"}
    return {**given, "rationale": f"It is other {number}.", "kind": "choice", **changes}


def study(folder: Path, **made: object) -> Study:
    told = SMALL | {
        "groups": {"one": {"cells": ["held,svamp"]}},
        "data": {"held": MADE | made},
        "contrasts": {},
        "choice": None,
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    return read_study("small", folder / "runs", folder)


def data_dir(folder: Path, rows: list[dict[str, object]]) -> Path:
    (folder / "data" / "qasc").mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one) + "\n" for one in rows]
    (folder / "data" / "qasc" / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder / "data"


def made(of: Study) -> dict[str, list[Record]]:
    folder = of.data_dir / "held"
    return {split: read_records(folder / f"{split}.jsonl") for split in ("train", "validation", "test")}


def test_no_question_stands_on_two_sides_and_all_have_reasoning(tmp_path: Path) -> None:
    rows = [row(number) for number in range(20)]
    rows += [row(90, rationale=None), row(91, question="what  is 3?", choices=row(3)["choices"])]
    own = study(tmp_path)
    prepare(own, data_dir(tmp_path, rows))
    found = made(own)
    assert [len(found[split]) for split in ("train", "validation", "test")] == [12, 3, 5]
    questions = [" ".join(one.question.casefold().split()) for records in found.values() for one in records]
    assert len({*questions}) == 20
    assert all(one.rationale for records in found.values() for one in records)
    whole = own.measuring("one", "held,svamp", 0)
    assert (whole.data_dir, whole.benchmarks) == (own.data_dir, ("held", "svamp"))


def test_a_choice_is_written_out_or_stays_a_letter(tmp_path: Path) -> None:
    own, plain = study(tmp_path), tmp_path / "plain"
    prepare(own, data_dir(tmp_path, [row(number) for number in range(20)]))
    for record in made(own)["test"]:
        number = record.id.removeprefix("q")
        assert (record.answer, record.kind, record.choices) == (f"other {number}", "text", None)
        assert record.question == (
            f"What is {number}?\nOptions: word {number}; other {number}; third {number}"
        )
    plain.mkdir()
    letters = study(plain, written_out=False)
    prepare(letters, tmp_path / "data")
    assert {record.answer for record in made(letters)["test"]} == {"B"}


def test_the_order_of_the_source_changes_nothing(tmp_path: Path) -> None:
    rows, other = [row(number) for number in range(20)], tmp_path / "other"
    other.mkdir()
    first, second = study(tmp_path), study(other)
    prepare(first, data_dir(tmp_path, rows))
    prepare(second, data_dir(other, rows[::-1]))
    assert made(first) == made(second)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    own = study(tmp_path)
    prepare(own, data_dir(tmp_path, [row(number) for number in range(20)]))
    prepare(own, tmp_path / "nowhere")


def test_too_few_questions_are_an_error(tmp_path: Path) -> None:
    own = study(tmp_path)
    with pytest.raises(InputError, match="qasc: only 8 training questions have reasoning, too few"):
        prepare(own, data_dir(tmp_path, [row(number) for number in range(8)]))
    assert not (own.data_dir / "held").exists()


def test_another_base_is_a_study_of_its_own(tmp_path: Path) -> None:
    declared = study(tmp_path)
    other = read_study("small", tmp_path / "runs", tmp_path, "an/other-1.7B")
    other.data_dir.mkdir(parents=True)
    assert (other.name, other.command) == (
        "small-other-1.7B",
        "python -m studies study small --model an/other-1.7B",
    )
    assert other.measuring("one", "held,svamp", 0).model == "an/other-1.7B"
    assert other.digest == declared.digest
    assert other.out != declared.out
