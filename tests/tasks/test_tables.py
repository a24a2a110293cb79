"""Data as it is found: CSV, Parquet and packed JSONL, columns of other names, folders without a YAML."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError
from tasks.records import iter_objects
from tasks.sources import faults, parse_columns

ROWS = [{"prompt": "1 + 1?", "label": 2}, {"prompt": 'He said "3", or\n2 + 2?', "label": 4}]
FIELDS = "question=prompt,answer=label"


def folder(path: Path, **files: str | bytes) -> Path:
    """A data directory `path`/data with a folder `mine`; of a file's name, __ stands for the dot."""
    (path / "data" / "mine").mkdir(parents=True)
    for name, content in files.items():
        content = content.encode() if isinstance(content, str) else content
        (path / "data" / "mine" / name.replace("__", ".")).write_bytes(content)
    return path / "data"


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def written(rows: list[dict[str, Any]], path: Path) -> Path:
    """The rows in the form that the name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines(*rows).encode()))
    elif path.suffix == ".jsonl":
        path.write_text(lines(*rows))
    else:
        import pandas as pd

        pd.DataFrame(rows).to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "tsv", "parquet"])
def test_every_form_gives_the_same_records(tmp_path: Path, ending: str) -> None:
    data = folder(tmp_path)
    written(ROWS, data / "mine" / f"test.{ending}")
    found = load_benchmark("mine", None, data, FIELDS, "number").records("test", data)
    assert [(one.id, one.question, one.answer) for one in found] == [
        ("test-0", "1 + 1?", "2"),
        ("test-1", 'He said "3", or\n2 + 2?', "4"),
    ]


def test_a_csv_keeps_its_texts(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes(b"\xef\xbb\xbfid;note;empty\r\n007;1e5;\r\n\r\ntrue;  ;x\r\n")
    assert list(iter_objects(path)) == [
        (f"{path}:2", {"id": "007", "note": "1e5", "empty": None}),
        (f"{path}:4", {"id": "true", "note": None, "empty": "x"}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("o.csv", b"a,b\n1,2\n1,2,3\n", ":3: 3 cells where the header has 2"),
        ("o.csv", b"a,b\n1\n", ":2: 1 cells where the header has 2"),
        ("o.csv", b"a,a\n1,2\n", ":1: two columns have the same name"),
        ("o.csv", b'a,b\n1,"2\n3', "after line 3 no CSV"),
        ("o.csv", b"a,b\n1,\xff\n", "can't decode byte 0xff"),
        ("o.jsonl.gz", b"no gzip", "cannot be read"),
        ("o.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-12], "cannot be read"),
        ("o.parquet", b"PAR1 not", "cannot be read"),
    ],
)
def test_a_faulty_table_is_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        list(iter_objects(tmp_path / name))
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_split_has_one_file(tmp_path: Path) -> None:
    data = folder(tmp_path, test__csv="question,answer\n1?,1\n", test__jsonl=lines(ROWS[0]))
    with pytest.raises(InputError, match=r"holds test\.jsonl and test\.csv; leave one of them"):
        load_benchmark("mine", None, data, None, "number")


def own(data: Path, fields: str | None = None, kind: str | None = None, name: str = "mine") -> Benchmark:
    return load_benchmark(name, None, data, fields, kind)


@pytest.mark.parametrize(
    ("row", "fields", "kind"),
    [
        ({"question": "Q", "answer": 5}, None, "number"),
        ({"question": "Q", "answer": 2.5}, None, "number"),
        ({"q": "Q", "a": "B", "o": ["x", "y"]}, "question=q,answer=a,choices=o", "choice"),
        ({"question": "Q", "answer": "x", "kind": "latex"}, None, "latex"),
        ({"q": {"text": "Q"}, "answer": 5}, "question=q.text", "number"),
    ],
)
def test_the_first_row_may_say_the_kind(
    tmp_path: Path, row: dict[str, Any], fields: str | None, kind: str
) -> None:
    data = folder(tmp_path, test__jsonl=lines(row))
    assert own(data, fields).kind == kind
    assert own(data, fields).records("test", data)[0].question == "Q"


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ("Pick,red,blue,,blue", "question=q,answer=gold,choices=a+b+c"),
        ("Pick,red,blue,,B", "question=q,answer=gold,choices=a+b+c"),
    ],
)
def test_choices_may_be_columns_and_the_answer_a_text(tmp_path: Path, row: str, fields: str) -> None:
    data = folder(tmp_path, test__csv=f"q,a,b,c,gold\n{row}\n")
    [found] = own(data, fields).records("test", data)
    assert (found.choices, found.answer) == (("red", "blue"), "B")


def test_a_cell_may_hold_a_list(tmp_path: Path) -> None:
    data = folder(tmp_path, test__csv='question,choices,answer\nPick,"[""red"", ""blue""]",A\n')
    assert own(data).records("test", data)[0].choices == ("red", "blue")


def test_the_data_directory_may_be_the_folder(tmp_path: Path) -> None:
    data = folder(tmp_path, test__jsonl=lines(*ROWS)) / "mine"
    assert len(own(data, FIELDS).records("test", data)) == 2


def test_columns_of_a_known_benchmark_may_have_other_names(tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    written(ROWS, tmp_path / "gsm8k" / "test.csv")
    assert own(tmp_path, FIELDS, name="gsm8k").records("test", tmp_path)[1].answer == "4"
    with pytest.raises(InputError, match="--kind latex: answers of gsm8k are of kind number"):
        own(tmp_path, FIELDS, "latex", "gsm8k")


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ("question=prompt,answer", None, "write each field once"),
        ("question=prompt,question=label", None, "write each field once"),
        ("question=prompt,anser=label", None, "unknown field 'anser'; did you mean 'answer'"),
        ("question=promt,answer=label", None, r"test\.jsonl:1: no column 'promt'; did you mean 'prompt'"),
        (FIELDS, "numeric", "unknown kind 'numeric'"),
    ],
)
def test_faulty_requests_are_named(tmp_path: Path, fields: str, kind: str | None, said: str) -> None:
    data = folder(tmp_path, test__jsonl=lines(*ROWS))
    with pytest.raises(InputError, match=said):
        own(data, fields, kind)


def test_what_no_data_says_is_asked_for(tmp_path: Path) -> None:
    data = folder(tmp_path, test__csv="question,answer\n1?,1\n")
    with pytest.raises(InputError, match="say of which kind its answers are: --kind number"):
        own(data)
    with pytest.raises(InputError, match="holds no test, train or validation file"):
        own(folder(tmp_path / "empty"))
    with pytest.raises(InputError, match="names columns of --data-dir; give that too"):
        load_benchmark("gsm8k", fields=FIELDS)
    with pytest.raises(InputError, match="unknown benchmark 'mime', nor a folder of"):
        own(data, name="mime")


@pytest.mark.parametrize(
    ("answer", "said"),
    [(True, "is a boolean"), (float("nan"), "is NaN"), (float("inf"), "is infinite"), (None, "is missing")],
)
def test_what_is_no_answer_is_called_by_its_name(tmp_path: Path, answer: Any, said: str) -> None:
    data = folder(tmp_path)
    path = data / "mine" / "test.parquet"
    column = pa.array([answer], pa.bool_() if answer is True else pa.float64(), from_pandas=False)
    pq.write_table(pa.table({"question": ["Q"], "answer": column}), path)
    with pytest.raises(InputError, match=said) as caught:
        own(data, kind="number").records("test", data)
    assert f"{path}, row 1" in str(caught.value)


def test_every_fault_is_found(tmp_path: Path) -> None:
    good = {"id": "a", "question": "Q", "answer": "1", "kind": "number", "rationale": "r"}
    (tmp_path / "gsm8k").mkdir()
    wrong = [good, "{", good, {**good, "id": "b", "kind": "text"}, {**good, "id": "c", "answer": []}]
    test = tmp_path / "gsm8k" / "test.jsonl"
    test.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in wrong))
    (tmp_path / "gsm8k" / "train.jsonl").write_bytes(b"\xff\n" + lines(good).encode())
    benchmark = load_benchmark("gsm8k")
    found = [(split, str(fault)) for split, fault in faults(benchmark.data, benchmark.kind, tmp_path)]
    assert [split for split, _ in found] == ["train", "test", "test", "test", "test"]
    for (_, said), wanted in zip(
        found, ("train.jsonl:1: byte 1", ":2: invalid", ":3: id 'a'", "record 'b'", ":5: field"), strict=True
    ):
        assert wanted in said


def test_fields_are_told_apart_from_columns() -> None:
    assert {name: one.column for name, one in parse_columns(" question = a b , answer=c.d").items()} == {
        "question": "a b",
        "answer": "c.d",
    }


def test_a_row_of_another_kind_is_a_fault(tmp_path: Path) -> None:
    rows = [{"question": "Q", "answer": "1", "kind": kind} for kind in ("number", "hard", "text")]
    data = folder(tmp_path, test__jsonl=lines(*rows))
    benchmark = own(data)
    [(_, fault)] = faults(benchmark.data, benchmark.kind, data)
    assert "record 'test-2': kind 'text' where 'number' is expected" in str(fault)
