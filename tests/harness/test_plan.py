"""The training records of a run: a stream over benchmarks that gives shared data once."""

import json
from pathlib import Path

import pytest

from harness.config import Config, load_config
from harness.plan import TrainingRecords
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError


def write(folder: Path, split: str, ids: list[str], *, rationale: str | None = "2 + 3 = 5.") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": name, "question": f"{name}?", "rationale": rationale, "answer": "5", "kind": "number"}
        for name in ids
    ]
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def config_of(data: Path, **settings: object) -> Config:
    return load_config(None, {"data_dir": data, **settings}, [])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """GSM8K with three records, SVAMP with four of which two are GSM8K's."""
    write(tmp_path / "gsm8k", "train", ["a", "b", "c"])
    write(tmp_path / "svamp", "train", ["d", "b", "e", "c"])
    return tmp_path


def benchmarks(*names: str) -> list[Benchmark]:
    """GSM8K under several names and folders."""
    from dataclasses import replace

    gsm8k = load_benchmark("gsm8k")
    return [replace(gsm8k, name=name, data=replace(gsm8k.data, folder=name)) for name in names]


def test_shared_records_come_once_in_the_order_of_the_benchmarks(data: Path) -> None:
    stream = TrainingRecords(config_of(data), benchmarks("gsm8k", "svamp"))
    assert [record.id for record in stream] == ["a", "b", "c", "d", "e"]
    assert stream.counts == {"gsm8k": 3, "svamp": 2}
    assert [record.id for record in stream] == ["a", "b", "c", "d", "e"]
    assert stream.counts == {"gsm8k": 3, "svamp": 2}


def test_a_benchmark_that_adds_nothing_is_not_counted(data: Path) -> None:
    write(data / "harder", "train", ["a", "c"])
    stream = TrainingRecords(config_of(data), benchmarks("gsm8k", "harder", "svamp"))
    assert [record.id for record in stream] == ["a", "b", "c", "d", "e"]
    assert stream.counts == {"gsm8k": 3, "svamp": 2}


def test_the_same_id_with_another_question_is_another_record(data: Path) -> None:
    row = {"id": "a", "question": "other?", "rationale": "5.", "answer": "5", "kind": "number"}
    (data / "svamp" / "train.jsonl").write_text(json.dumps(row) + "\n")
    stream = TrainingRecords(config_of(data), benchmarks("gsm8k", "svamp"))
    assert [record.question for record in stream] == ["a?", "b?", "c?", "other?"]


def test_the_limit_is_of_each_benchmark_before_shared_records_are_dropped(data: Path) -> None:
    stream = TrainingRecords(config_of(data, train_limit=2), benchmarks("gsm8k", "svamp"))
    assert [record.id for record in stream] == ["a", "b", "d"]
    assert stream.counts == {"gsm8k": 2, "svamp": 1}


def test_records_are_read_as_they_are_asked_for(data: Path) -> None:
    with (data / "gsm8k" / "train.jsonl").open("a") as file:
        file.write("broken\n")
    records = iter(TrainingRecords(config_of(data), benchmarks("gsm8k")))
    assert [next(records).id for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(InputError, match="invalid JSON"):
        next(records)


def test_no_rationales_are_an_error_when_the_stream_is_read(data: Path) -> None:
    write(data / "gsm8k", "train", ["a"], rationale=None)
    with pytest.raises(InputError, match="no training data with rationales in gsm8k; add a benchmark"):
        list(TrainingRecords(config_of(data), benchmarks("gsm8k")))


def test_a_question_lent_for_validation_is_not_trained_on_while_it_is_looked_at(tmp_path: Path) -> None:
    """GSM8K has no validation split: one training question in 20 is lent, and left out where it matters."""
    write(tmp_path / "gsm8k", "train", [f"record-{i}" for i in range(400)])
    [gsm8k] = benchmarks("gsm8k")
    lent = {record.id for record in gsm8k.iter_records("validation", tmp_path)}
    assert 8 < len(lent) < 40

    def trained_on(*settings: str) -> set[str]:
        stream = TrainingRecords(load_config(None, {"data_dir": tmp_path}, settings), [gsm8k])
        return {record.id for record in stream}

    assert lent <= trained_on()
    for looking in ("eval.split=validation", "train.validate_every=10"):
        assert len(trained_on(looking)) == 400 - len(lent)
        assert not trained_on(looking) & lent
