"""A stored run comes back as it was written; what is damaged or contradictory is refused in one line."""

import dataclasses
import hashlib
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run as run_process

import pandas as pd
import pyarrow.parquet as pq
import pytest

from leaderboards.results.schema import (
    READABLE_VERSIONS,
    Entry,
    Evaluation,
    RunResults,
    Sample,
    TrainingCost,
)
from leaderboards.results.store import read_outcomes, read_results, write_results
from leaderboards.results.tables import SAMPLES
from tasks.errors import InputError

SAMPLE = Sample(
    entry="sft",
    model="tiny",
    seed=0,
    benchmark="world_number",
    sample_id="q1",
    sample_index=0,
    prompt="1 + 1?",
    output="It is 2.",
    gold="2",
    choices=("1", "2"),
    extracted=None,
    accuracy=True,
    accuracy_strict=False,
    format_valid=True,
    score=1.0,
    truncated=False,
    defects=("no_tags", "text_outside"),
    finish_reason="stop",
    prompt_tokens=5,
    output_tokens=4,
)
GENERATION = {"temperature": 0.0, "max_tokens": 64, "greedy": True, "stop": ("\n\n", "</s>"), "seed": None}
EVALUATION = Evaluation("world_number", 1, "d1", "hf", "float32", 5, 4, 0.5, GENERATION)
ENTRY = Entry("sft", "tiny", "trained", 0, "none", False, "full", "out/sft", "w1", None, (EVALUATION,))


def assert_one_line(error: pytest.ExceptionInfo[InputError], *parts: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_results(tmp_path, {"git": "abc"}, [ENTRY], [SAMPLE])
    return tmp_path


def test_entries_provenance_and_samples_survive_the_round_trip(stored: Path) -> None:
    results = read_results(stored)
    assert results.entries == (ENTRY,)
    assert results.provenance == {"git": "abc"}
    assert results.source == str(stored)
    sample = results.samples.iloc[0].to_dict()
    assert list(sample) == [field.name for field in dataclasses.fields(Sample)]
    assert sample["defects"].tolist() == ["no_tags", "text_outside"]
    assert pd.isna(sample["extracted"])


def test_a_large_run_survives_as_a_data_frame(tmp_path: Path, run: RunResults) -> None:
    write_results(tmp_path, run.provenance, run.entries, run.samples)
    results = read_results(tmp_path)
    assert results.entries == run.entries
    assert results.samples.drop(columns="defects").equals(run.samples.drop(columns="defects"))
    assert str(results.samples["seed"].dtype) == "Int64"
    assert results.samples.loc[results.samples["entry"] == "base", "seed"].isna().all()


def test_nothing_but_the_two_files_is_left_behind(stored: Path) -> None:
    assert sorted(path.name for path in stored.iterdir()) == ["results.json", "samples.parquet"]


@pytest.mark.parametrize("name", ["results.json", "samples.parquet"])
def test_a_missing_file_is_named(stored: Path, name: str) -> None:
    (stored / name).unlink()
    with pytest.raises(InputError) as error:
        read_results(stored)
    assert_one_line(error, str(stored / name), "no such file")


@pytest.mark.parametrize("name", ["results.json", "samples.parquet"])
def test_a_truncated_file_is_named(stored: Path, name: str) -> None:
    whole = (stored / name).read_bytes()
    (stored / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as error:
        read_results(stored)
    assert_one_line(error, str(stored / name), "damaged")


def test_samples_of_another_run_are_refused(stored: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_results(other, {}, [ENTRY], [dataclasses.replace(SAMPLE, output="It is 3.")])
    (other / "samples.parquet").replace(stored / "samples.parquet")
    with pytest.raises(InputError) as error:
        read_results(stored)
    assert_one_line(error, "samples.parquet", "another run")


def test_another_schema_version_is_refused(stored: Path) -> None:
    path = stored / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(InputError) as error:
        read_results(stored)
    assert_one_line(error, str(path), "schema version 99")


@pytest.mark.parametrize("version", READABLE_VERSIONS[:-1])
def test_a_run_of_an_earlier_version_is_read_without_what_it_lacks(stored: Path, version: int) -> None:
    later = [field.name for field in dataclasses.fields(Sample) if field.metadata["since"] > version]
    table = pq.read_table(stored / "samples.parquet").drop_columns(later)
    pq.write_table(table, stored / "samples.parquet")
    raw = json.loads((stored / "results.json").read_text())
    digest = hashlib.sha256((stored / "samples.parquet").read_bytes()).hexdigest()
    if version < 3:
        del raw["entries"][0]["evaluations"][0]["prompts"]
    older = {**raw, "schema_version": version, "samples_sha256": digest}
    (stored / "results.json").write_text(json.dumps(older))
    for results in (read_results(stored), read_outcomes(stored)):
        there = [name for name in later if name in results.samples]
        assert results.samples[there].isna().all(axis=None)
        assert results.entries == (ENTRY,)
    assert "bits_own" in later
    assert list(read_results(stored).samples) == [field.name for field in dataclasses.fields(Sample)]


def test_a_peak_of_memory_that_an_earlier_run_names_is_passed_over(stored: Path) -> None:
    raw = json.loads((stored / "results.json").read_text())
    cost = dataclasses.asdict(TrainingCost(3, 100, 40, 1e6, 0.5, ("full",)))
    raw["entries"][0]["training"] = {**cost, "peak_memory_bytes": None}
    (stored / "results.json").write_text(json.dumps({**raw, "schema_version": 3}))
    (entry,) = read_results(stored).entries
    assert entry.training == TrainingCost(3, 100, 40, 1e6, 0.5, ("full",))
    assert isinstance(entry.training.steps, int)


def test_the_fields_of_a_sample_are_the_columns_and_say_how_they_are_stored() -> None:
    kinds = {"string": 9, "int64": 11, "bool": 8, "double": 3, "list<item: string>": 2}
    found = [str(field.type).replace("element", "item") for field in SAMPLES.schema]
    assert {kind: found.count(kind) for kind in dict.fromkeys(found)} == kinds
    nullable = [field.name for field in SAMPLES.schema if field.nullable]
    assert nullable == [
        *("seed", "choices", "extracted", "judge", "thinking_chars", "gold_chars"),
        *("thinking_start", "thinking_end", "answer_start", "answer_end", "content", "undecided"),
        *("key", "bits_gold", "bits_own", "reasoning"),
    ]


def test_a_wrong_field_is_named_by_its_place(stored: Path) -> None:
    path = stored / "results.json"
    raw = json.loads(path.read_text())
    raw["entries"][0]["role"] = "champion"
    path.write_text(json.dumps(raw))
    with pytest.raises(InputError) as error:
        read_results(stored)
    assert_one_line(error, str(path), "damaged", "not what was written")
    del raw["sha256"]  # as a program of one's own may write it
    path.write_text(json.dumps(raw))
    with pytest.raises(InputError) as error:
        read_results(stored)
    assert_one_line(error, str(path), "entries.0.role")


@pytest.mark.parametrize("name", ["results.json", "samples.parquet"])
def test_no_flipped_bit_of_a_stored_run_is_believed(stored: Path, name: str) -> None:
    whole = read_results(stored)
    raw = (stored / name).read_bytes()
    rng, refusals = random.Random(5), list[str]()
    for _ in range(30):
        damaged = bytearray(raw)
        damaged[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        (stored / name).write_bytes(damaged)
        try:
            found = read_results(stored)
        except InputError as error:
            refusals.append(str(error))
        else:  # white space, or the name of the digest, which then is not looked at
            assert found.entries == whole.entries
            assert found.provenance == whole.provenance
            assert found.samples.equals(whole.samples)
    assert len(refusals) > 20
    assert all(str(stored) in said and "\n" not in said for said in refusals)


def test_fewer_samples_than_evaluated_are_refused(tmp_path: Path) -> None:
    entry = dataclasses.replace(ENTRY, evaluations=(dataclasses.replace(EVALUATION, n=2),))
    with pytest.raises(InputError) as error:
        write_results(tmp_path, {}, [entry], [SAMPLE])
    assert_one_line(error, "sft (seed 0) on world_number", "says 2 samples", "holds 1")


def test_samples_of_an_unknown_entry_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        write_results(tmp_path, {}, [ENTRY], [SAMPLE, dataclasses.replace(SAMPLE, entry="ghost")])
    assert_one_line(error, "ghost (seed 0)", "says 0 samples")


def test_a_sample_stored_twice_is_refused(tmp_path: Path) -> None:
    entry = dataclasses.replace(ENTRY, evaluations=(dataclasses.replace(EVALUATION, n=2),))
    with pytest.raises(InputError) as error:
        write_results(tmp_path, {}, [entry], [SAMPLE, SAMPLE])
    assert_one_line(error, "sample q1 of world_number for sft (seed 0)", "twice")


@pytest.mark.parametrize(
    ("column", "value"), [("gold", None), ("prompt_tokens", "many"), ("output", "\ud800")]
)
def test_a_column_that_cannot_be_stored_is_named(tmp_path: Path, column: str, value: object) -> None:
    with pytest.raises(InputError) as error:
        write_results(tmp_path, {}, [ENTRY], [dataclasses.replace(SAMPLE, **{column: value})])
    assert_one_line(error, f"column {column!r}")


def test_a_frame_without_a_column_is_refused(tmp_path: Path, make_run: Callable[..., RunResults]) -> None:
    run = make_run(n=3)
    with pytest.raises(InputError) as error:
        write_results(tmp_path, {}, run.entries, run.samples.drop(columns="truncated"))
    assert_one_line(error, "'truncated' is missing")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, leaderboards, leaderboards.results.store\n"
        "heavy = {'pandas', 'pyarrow', 'scipy', 'numpy', 'plotly', 'pydantic', 'torch', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    assert run_process([sys.executable, "-c", code], check=False).returncode == 0


def test_the_whole_floor_works_without_torch() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from leaderboards import build_board, read_results, render, write_report, write_results\n"
        "from leaderboards.report.page.render import page_html\n"
    )
    assert run_process([sys.executable, "-c", code], check=False).returncode == 0
