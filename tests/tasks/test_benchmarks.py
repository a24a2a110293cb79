"""Benchmarks: one YAML each; their records from a data directory, the Hub or a generator."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmarks import Benchmark, benchmark_names, load_benchmark, read_task_yaml
from tasks.errors import InputError
from tasks.lm_eval_task import custom_dataset
from tasks.records import Record
from tasks.scoring import Item, score
from tasks.sources import HubSource
from tasks.tags import get_tag_format

HUB_BENCHMARKS = (
    *("aqua_rat", "arc_challenge", "college_math", "commonsenseqa", "cot_collection", "gsm8k", "multiarith"),
    *("open_r1_math", "openbookqa", "qasc", "strategyqa", "svamp"),
)
CHOICES = {"text": ["a marsh", "a desert"], "label": ["A", "B"]}
NUMBERED = {"text": ["a marsh", "a desert"], "label": ["1", "2"]}
ROWS: dict[str, tuple[dict[str, Any], Record]] = {
    "gsm8k": (
        {"question": "Q?", "answer": "He has 500*2=<<500*2=1000>>1000.\n#### 1,000"},
        Record("gsm8k-test-0", "Q?", None, "He has 500*2=1000.", "1000", "number"),
    ),
    "openbookqa": (
        {
            **{
                "id": "7-1",
                "question_stem": "Q?",
                "choices": CHOICES,
                "answerKey": "B",
                "fact1": "Deserts are dry",
            },
            **{"humanScore": 1.0, "clarity": 2.0, "turkIdAnonymized": "x"},
        },
        Record("7-1", "Q?", ("a marsh", "a desert"), "Deserts are dry", "B", "choice"),
    ),
    "arc_challenge": (
        {"id": "M1", "question": "Q?", "choices": NUMBERED, "answerKey": "2"},
        Record("M1", "Q?", ("a marsh", "a desert"), None, "B", "choice"),
    ),
    "commonsenseqa": (
        {"id": "c1", "question": "Q?", "question_concept": "fog", "choices": CHOICES, "answerKey": "A"},
        Record("c1", "Q?", ("a marsh", "a desert"), None, "A", "choice"),
    ),
    "qasc": (
        {
            **{
                "id": "q1",
                "question": "Q?",
                "choices": CHOICES,
                "answerKey": "A",
                "formatted_question": "Q? (A)",
            },
            **{"fact1": "One.", "fact2": "Two.", "combinedfact": "Three."},
        },
        Record("q1", "Q?", ("a marsh", "a desert"), "One. Two. Three.", "A", "choice"),
    ),
    "strategyqa": (
        {"qid": "s1", "term": "T", "description": "D", "question": "Q?", "answer": False, "facts": "Facts."},
        Record("s1", "Q?", ("yes", "no"), "Facts.", "B", "choice"),
    ),
    "aqua_rat": (
        {"question": "Q?", "options": ["A)21", "B)21.5"], "rationale": "r", "correct": "B"},
        Record("aqua_rat-test-0", "Q?", ("21", "21.5"), "r", "B", "choice"),
    ),
    "svamp": (
        {
            **{"ID": "chal-1", "Body": "There are 2.", "Question": "How many?", "Equation": "( 2 )"},
            **{"Answer": "2.0", "Type": "Addition", "question_concat": "There are 2. How many?"},
        },
        Record("chal-1", "There are 2. How many?", None, None, "2", "number"),
    ),
    "multiarith": (
        {"question": "Q?", "final_ans": "39"},
        Record("multiarith-test-0", "Q?", None, None, "39", "number"),
    ),
    "college_math": (
        {
            **{"data_source": "college_math.algebra", "question_number": "e1", "question": "Q?"},
            **{"answer": "$10-4 n$", "license": "CC BY", "data_topic": "algebra"},
        },
        Record("college_math-test-0", "Q?", None, None, "$10-4 n$", "latex"),
    ),
    "open_r1_math": (
        {
            **{"problem": "Q?", "solution": "So $x=2$.", "answer": "2", "problem_type": "Algebra"},
            **{
                "question_type": "math-word-problem",
                "source": "olympiads",
                "uuid": "u",
                "generations": ["<think>"],
            },
            **{"is_reasoning_complete": [True], "correctness_math_verify": [True], "correctness_count": 1},
        },
        Record("open_r1_math-test-0", "Q?", None, "So $x=2$.", "2", "latex"),
    ),
    "cot_collection": (
        {"source": "Q?", "target": "Paris", "rationale": "Because.", "task": "t", "type": "CoT"},
        Record("cot_collection-test-0", "Q?", None, "Because.", "Paris", "text"),
    ),
}


def on_local_hub(benchmark: Benchmark, folder: Path, **rows_of: list[dict[str, Any]]) -> Benchmark:
    """The benchmark with its place on the Hub replaced by a folder of files in the Hub's schema."""
    folder.mkdir()
    for split, rows in rows_of.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub = benchmark.data.hub
    assert hub is not None
    local = HubSource(str(folder), splits=hub.splits, skip_blank=hub.skip_blank)
    return replace(benchmark, data=replace(benchmark.data, hub=local))


def test_every_published_benchmark_is_there() -> None:
    assert set(HUB_BENCHMARKS) <= set(benchmark_names())


@pytest.mark.parametrize("name", benchmark_names())
def test_every_yaml_is_complete(name: str) -> None:
    benchmark = load_benchmark(name)
    assert benchmark.task == f"sftkey_{name}"
    assert benchmark.description
    assert "\n" not in benchmark.description + benchmark.source
    assert benchmark.source
    assert benchmark.data.splits["test"]
    assert benchmark.max_new_tokens > 0
    assert benchmark.data.hub or benchmark.data.generator


def test_an_unknown_benchmark_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'gsm8k'"):
        load_benchmark("gsm8")
    assert load_benchmark("sftkey_gsm8k") == load_benchmark("gsm8k")


@pytest.mark.parametrize("name", HUB_BENCHMARKS)
def test_a_row_on_the_hub_becomes_a_record(name: str, tmp_path: Path) -> None:
    row, expected = ROWS[name]
    benchmark = load_benchmark(name)
    if benchmark.data.holdout:
        benchmark = replace(benchmark, data=replace(benchmark.data, holdout=1))
    split = benchmark.data.splits.get("test", "")
    files = {"train": [], "test": [row]} if name in ("svamp", "multiarith") else {split: [row]}
    if not files.get("train", [row]):
        files["train"] = [row | {"ID": "chal-0"}]
        expected = replace(expected, id=expected.id.replace("-0", "-1"))
    records = on_local_hub(benchmark, tmp_path / "hub", **files).records("test")
    assert records[-1] == expected


def test_the_sets_evaluated_whole_join_the_splits_of_the_hub(tmp_path: Path) -> None:
    row = ROWS["multiarith"][0]
    local = on_local_hub(load_benchmark("multiarith"), tmp_path / "hub", train=[row, row], test=[row])
    assert len(local.records("test")) == 3


def test_a_held_out_question_is_on_one_side_only(tmp_path: Path) -> None:
    rows = [ROWS["open_r1_math"][0] | {"problem": f"Question {i % 300}?"} for i in range(400)]
    local = on_local_hub(load_benchmark("open_r1_math"), tmp_path / "hub", train=rows)
    train, test = local.records("train"), local.records("test")
    assert len(train) + len(test) == 400
    assert 0 < len(test) < 30
    assert not {record.question for record in train} & {record.question for record in test}
    assert test == local.records("test")


def test_blank_rows_are_left_out_only_where_they_are_known(tmp_path: Path) -> None:
    row = ROWS["cot_collection"][0]
    rows = [row | {"source": f"{i}?", "target": "x" if i else ""} for i in range(5)]
    local = on_local_hub(load_benchmark("cot_collection"), tmp_path / "cot", train=rows)
    assert len(local.records("train")) == 4
    strict = on_local_hub(
        load_benchmark("gsm8k"), tmp_path / "gsm", test=[{"question": "Q", "answer": "no end"}]
    )
    with pytest.raises(InputError, match=r"\(test\), row 0: 'no end' does not match"):
        strict.records("test")


def test_a_changed_schema_on_the_hub_is_named(tmp_path: Path) -> None:
    local = on_local_hub(
        load_benchmark("gsm8k"), tmp_path / "hub", test=[{"questions": "Q", "answer": "#### 1"}]
    )
    with pytest.raises(InputError, match="no column 'question'; did you mean 'questions'"):
        local.records("test")


@pytest.mark.usefixtures("no_hub")
def test_without_network_the_error_names_the_hub_and_the_data_directory() -> None:
    with pytest.raises(InputError, match="openai/gsm8k") as caught:
        load_benchmark("gsm8k").records("test")
    assert "--data-dir DIR with DIR/gsm8k/test.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_data_directory_wins(data_dir: Path) -> None:
    sizes = {
        name: len(load_benchmark(name).records("test", data_dir))
        for name in HUB_BENCHMARKS
        if name not in ("open_r1_math", "cot_collection")
    }
    assert sizes == {
        **{
            "aqua_rat": 254,
            "arc_challenge": 1172,
            "college_math": 1260,
            "commonsenseqa": 1221,
            "gsm8k": 1319,
        },
        **{"multiarith": 600, "openbookqa": 500, "qasc": 926, "strategyqa": 229, "svamp": 1000},
    }


def test_a_split_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no validation split"):
        load_benchmark("college_math").records("validation")
    with pytest.raises(InputError, match="no such data directory"):
        load_benchmark("gsm8k").records("test", tmp_path / "missing")
    (tmp_path / "gsm8k").mkdir()
    with pytest.raises(InputError, match=r"gsm8k/test\.jsonl: cannot be read"):
        load_benchmark("gsm8k").records("test", tmp_path)


def test_records_of_another_kind_are_refused(tmp_path: Path, choice_record: Record) -> None:
    fields = {"id": "x", "question": "Q", "answer": "1", "kind": "latex"}
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps(fields) + "\n")
    with pytest.raises(InputError, match="kind 'latex' where 'number' is expected"):
        load_benchmark("gsm8k").records("test", tmp_path)


YAML = """
include: {include}
task: sftkey_capitals
dataset_kwargs:
  about: Capitals.
  source: made here, CC0
  kind: text
  folder: capitals
  splits: {{train: train, test: test}}
"""


def test_one_yaml_and_its_data_make_a_benchmark(tmp_path: Path, repository: Path) -> None:
    yaml_file = tmp_path / "mine" / "capitals.yaml"
    yaml_file.parent.mkdir()
    yaml_file.write_text(YAML.format(include=repository / "tasks" / "benchmarks" / "_tagged.yaml"))
    fields = {"id": "fr", "question": "Capital of France?", "answer": "Paris", "kind": "text"}
    (tmp_path / "data" / "capitals").mkdir(parents=True)
    (tmp_path / "data" / "capitals" / "test.jsonl").write_text(json.dumps(fields) + "\n")
    assert "capitals" in benchmark_names(tmp_path / "mine")
    assert "capitals" not in benchmark_names()
    benchmark = load_benchmark("capitals", tmp_path / "mine")
    assert (benchmark.max_new_tokens, benchmark.stop) == (512, ("\nQuestion:",))
    assert [record.answer for record in benchmark.records("test", tmp_path / "data")] == ["Paris"]


def test_the_words_of_a_text_may_stand_in_a_sentence(tmp_path: Path, repository: Path) -> None:
    text = YAML.format(include=repository / "tasks" / "benchmarks" / "_tagged.yaml")
    (tmp_path / "capitals.yaml").write_text(f"{text}  match: contains\n")
    fields = {"id": "fr", "question": "Capital of France?", "answer": "Paris", "kind": "text"}
    (tmp_path / "capitals").mkdir()
    (tmp_path / "capitals" / "test.jsonl").write_text(json.dumps(fields) + "\n")
    [record] = load_benchmark("capitals", tmp_path).records("test", tmp_path)
    spec = read_task_yaml(tmp_path / "capitals.yaml")["dataset_kwargs"]
    [doc] = custom_dataset(**spec, tags="none", data_dir=str(tmp_path))["test"]
    assert doc["kind"] == record.kind == "contains"
    verdicts = {
        answer: score(Item.of(record, f"The answer is {answer}", get_tag_format("none"))).accuracy
        for answer in ("PARIS.", "that it is Paris, of course", "Parisian")
    }
    assert [*verdicts.values()] == [True, True, False]


def test_a_generator_makes_a_benchmark(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_up.py").write_text(
        "from tasks.records import Record\n"
        "def load(split, *, upto):\n"
        "    return (Record(f'{split}-{i}', f'{i}?', None, None, str(i), 'text') for i in range(upto))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = YAML.format(include=repository / "tasks" / "benchmarks" / "_tagged.yaml")
    (tmp_path / "capitals.yaml").write_text(text + "  generator: made_up:load\n  options: {upto: 3}\n")
    benchmark = load_benchmark("capitals", tmp_path)
    assert [record.id for record in benchmark.records("test")] == ["test-0", "test-1", "test-2"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("  foldr: x", "unknown key 'foldr'; did you mean 'folder'"),
        ("  hub: {pth: x}", "hub: unknown key 'pth'; did you mean 'path'"),
        ("  fields: {question: q}", "'fields' lacks 'answer'"),
        ("  fields: {question: q, answer: {column: a, match: '('}}", "is no regular expression"),
        ("  fields: {question: q, answer: {colum: a}}", "unknown key 'colum'"),
        ("  fields: {question: q, answer: {column: a, drop: 3}}", "its keys take texts"),
        ("  fields: {question: q, answer: {column: a, map: [1]}}", "its keys take texts"),
        ("  hub: {path: 3}", "hub.path: input should be a valid string"),
        ("  holdout: often", "holdout: input should be a valid integer"),
        ("  options: [1]", "options: input should be"),
        ("generation_kwargs: {max_gen_toks: 0}", "max_gen_toks must be above 0"),
        ("generation_kwargs: {max_gen_toks: many}", "max_gen_toks: input should be a valid integer"),
        ("generation_kwargs: 3", "must be mappings"),
        ("  kind: txt", "unknown kind 'txt'; did you mean 'text'"),
        ("  match: contain", "unknown match 'contain'; did you mean 'contains'"),
        ("  kind: number\n  match: contains", "match: contains is for kind text, not for number"),
        ("\tx", "cannot be read as YAML"),
    ],
)
def test_a_faulty_yaml_is_named(tmp_path: Path, repository: Path, line: str, complaint: str) -> None:
    text = YAML.format(include=repository / "tasks" / "benchmarks" / "_tagged.yaml")
    (tmp_path / "capitals.yaml").write_text(f"{text}{line}\n")
    with pytest.raises(InputError, match=complaint) as caught:
        load_benchmark("capitals", tmp_path)
    assert "capitals.yaml" in str(caught.value)
