"""What the evaluation's measurements rest on: both sides asked the same, outputs compared rightly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.evaluation_speed import _characters, cases
from benchmarks.lm_eval.command import (
    Key,
    Question,
    Rival,
    Sample,
    arguments,
    check_same_questions,
    samples,
)
from benchmarks.lm_eval_suite import Measured, our_command
from benchmarks.measure.tables import at_least, within
from benchmarks.ours.rerun import Scribe
from benchmarks.rerun_speed import NUM_BENCHMARKS, benchmarks_of
from benchmarks.start_speed import commands
from harness.commands.list import LISTS
from harness.config import load_config
from harness.engines.api import Request, Sampling
from tasks.benchmarks import benchmark_names
from tasks.errors import InputError
from tasks.scoring import Item, score
from tasks.tags import get_tag_format

QUESTION = Question(Path("base"), 16, ("world_number", "gsm8k"), 20, None, None)
ASKED = {
    Key("world_number", "a"): Sample("Question: 1?", "1"),
    Key("gsm8k", "a"): Sample("Question: 2?", "2"),
}


def after(option: str, command: list[str]) -> str:
    return command[command.index(option) + 1]


def test_lm_eval_is_told_what_our_command_is_told() -> None:
    question = replace(QUESTION, max_new_tokens=32, data_dir=Path("data"))
    theirs = arguments(question, Path("lora"), Path("out"))
    ours = our_command(question, [Path("lora")], Path("out"))
    assert after("--tasks", theirs) == "sftkey_world_number,sftkey_gsm8k"
    assert after("--benchmarks", ours) == "world_number,gsm8k"
    assert after("--limit", theirs) == after("--limit", ours) == "20"
    assert after("--gen_kwargs", theirs) == "max_gen_toks=32"
    assert "eval.max_new_tokens=32" in ours
    assert json.loads(after("--metadata", theirs)) == {"data_dir": after("--data-dir", ours)}
    model = dict(part.split("=") for part in after("--model_args", theirs).split(","))
    assert (model["pretrained"], model["lora_local_path"]) == ("base", "lora")
    assert after("--batch_size", theirs) == "auto", "else it would ask one question at a time"


def test_each_benchmark_keeps_its_own_budget_where_none_is_given() -> None:
    assert "--gen_kwargs" not in arguments(QUESTION, Path("lora"), Path("out"))
    assert "--set" not in our_command(QUESTION, [Path("lora")], Path("out"))


def test_samples_are_read_from_lm_evals_files(tmp_path: Path) -> None:
    line = {
        "doc": {"id": "a"},
        "arguments": {"gen_args_0": {"arg_0": "Question: 1?", "arg_1": {}}},
        "resps": [["1"]],
    }
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "samples_sftkey_world_number_2026-01-01T00-00-00.jsonl").write_text(json.dumps(line) + "\n")
    assert samples(tmp_path) == {Key("world_number", "a"): Sample("Question: 1?", "1")}


def test_outputs_that_differ_are_counted() -> None:
    other = {**ASKED, Key("gsm8k", "a"): Sample("Question: 2?", "3")}
    measured = Measured(
        outputs={"ours": {"one": ASKED, "two": ASKED}, "lm_eval": {"one": ASKED, "two": other}}
    )
    assert measured.num_other_outputs() == 1


@pytest.mark.parametrize("change", ["prompt", "missing"])
def test_sides_that_were_not_asked_the_same_are_not_compared(change: str) -> None:
    other = {Key("world_number", "a"): ASKED[Key("world_number", "a")]}
    if change == "prompt":
        other[Key("gsm8k", "a")] = Sample("Question: 4?", "2")
    with pytest.raises(InputError, match="gsm8k a" if change == "prompt" else "2 and 1 questions"):
        check_same_questions(ASKED, other)


def test_lm_evals_runs_are_added_up_by_repetition() -> None:
    assert Measured(theirs={"one": [1.0, 2.0], "two": [3.0, 5.0]}).all_runs == [4.0, 7.0]
    assert Rival(False) != Rival(True)


def test_without_gsm8k_the_large_models_are_asked_made_up_worlds(tmp_path: Path) -> None:
    found = cases(tmp_path, 5, 3, 8)
    assert {case.benchmarks for case in found} == {("world_number", "world_choice")}
    assert [case.limit for case in found] == [5, 3, 3]


def test_bytes_that_form_no_character_make_no_other_output() -> None:
    assert _characters("12\N{REPLACEMENT CHARACTER}") == _characters("12")
    assert _characters("12") != _characters("13")


def test_benchmarks_of_a_rerun_exist_and_are_ten_where_data_is_at_hand(tmp_path: Path) -> None:
    for name in ("gsm8k", "commonsenseqa", "college_math"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test.jsonl").touch()
    with_data, without = benchmarks_of(tmp_path), benchmarks_of(None)
    assert len(set(with_data)) == NUM_BENCHMARKS
    assert {*with_data, *without} <= set(benchmark_names())
    assert all(name.startswith("world_") for name in without)


def test_a_filled_store_holds_right_wrong_untagged_and_cut_off_outputs() -> None:
    right = "<Thinking>One and one are two, as anybody knows who counts.</Thinking>\n<Answer>2</Answer>"
    wrong = right.replace("<Answer>2", "<Answer>3")
    prompts = [(number,) for number in range(400)]
    scribe = Scribe(load_config(None, {}, []), dict.fromkeys(prompts, (right, wrong)))
    drawn = [found[0] for _, found in scribe.generate([Request(ids, Sampling(64)) for ids in prompts])]
    paper = get_tag_format("thinking-answer")
    verdicts = [
        score(Item(one.text, "2", "number", None, paper, truncated=one.finish_reason == "length"))
        for one in drawn
    ]
    assert 0.5 < sum(verdict.accuracy_strict for verdict in verdicts) / 400 < 0.7
    assert sum(one.accuracy for one in verdicts) > sum(one.accuracy_strict for one in verdicts)
    assert any(verdict.truncated for verdict in verdicts)
    again = [found[0] for _, found in scribe.generate([Request(ids, Sampling(64)) for ids in prompts])]
    assert drawn == again


def test_everything_that_can_be_listed_is_timed() -> None:
    asked = commands()
    assert {f"harness list {what}" for what in LISTS} < asked.keys()
    assert all(Path(command[0]).is_file() for command in asked.values())


def test_verdicts_where_more_is_better_and_against_a_limit() -> None:
    assert at_least([0.96], [1.0], 0.95) == "0.96 (goal ≥ 0.95: reached)"
    assert at_least([0.9], [1.0], 0.95) == "0.90 (goal ≥ 0.95: missed)"
    assert within([9.0, 11.0, 10.0], 10) == "10.00 (9.00–11.00) (goal ≤ 10: reached)"
    assert within([0.4], 0.3) == "0.40 (0.40–0.40) (goal ≤ 0.3: missed)"
