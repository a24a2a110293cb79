"""The regression gate: its grammar, what it fails on, what it refuses, and that a powerless one says so."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console
from synthetic_board import VARIANTS, Variant, synthetic_run
from synthetic_samples import change_evaluations

from harness.commands.leaderboard import gate_line, print_gate
from leaderboards.board.values import seed_pairs
from leaderboards.gate import GateReport, check_gate, parse_condition
from leaderboards.results.schema import Entry, Evaluation, RunResults
from leaderboards.stats import holm
from tasks.errors import InputError

BY_NAME = {variant.name: variant for variant in VARIANTS}


def variant(name: str, skill: float, **changes: object) -> Variant:
    return dataclasses.replace(BY_NAME[name], skill=skill, **changes)


def later(run: RunResults) -> RunResults:
    """The same entries trained again: other weights under the same names."""
    entries = tuple(dataclasses.replace(entry, digest=f"{entry.digest}-later") for entry in run.entries)
    return dataclasses.replace(run, entries=entries, source="runs/new")


OLD = synthetic_run((variant("sft", 0.6), variant("sft-tag", 0.6)), n=100, source="runs/old")
NEW = later(synthetic_run((variant("sft", 0.6), variant("sft-tag", 0.0)), n=100))


def gate(*conditions: str, new: RunResults = NEW, old: RunResults = OLD) -> GateReport:
    return check_gate([new], [old], conditions, 0.7)


def assert_refused(conditions: tuple[str, ...], *parts: str, **runs: RunResults) -> None:
    with pytest.raises(InputError) as error:
        gate(*conditions, **runs)
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy(gsm8k) drops", ("accuracy", "gsm8k", None, 0.0)),
        (" Score ( macro ) of sft-tag drops by more than 1.5 points ", ("score", "macro", "sft-tag", 0.015)),
        ("format_valid(*) of my entry drops", ("format_valid", "*", "my entry", 0.0)),
        ("accuracy_strict(a) drops by more than 2 points", ("accuracy_strict", "a", None, 0.02)),
    ],
)
def test_a_condition_is_a_sentence(text: str, expected: tuple[object, ...]) -> None:
    found = parse_condition(text)
    assert (found.metric, found.benchmark, found.entry, found.margin) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "write METRIC(BENCHMARK)"),
        ("accuracy(gsm8k) rises", "write METRIC(BENCHMARK)"),
        ("acuracy(gsm8k) drops", "did you mean 'accuracy'?"),
        ("accuracy(gsm8k) drops by more than many points", "expected a number"),
        ("accuracy(gsm8k) drops by more than -1 points", "expected a number"),
    ],
)
def test_what_is_no_condition_is_one_line(text: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        parse_condition(text)
    assert expected in str(error.value)
    assert "--fail-if" in str(error.value)


def test_only_what_dropped_fails_and_the_figures_are_the_plain_means() -> None:
    report = gate("accuracy(world_number) drops")
    by_name = {test.entry: test for test in report.tests}
    assert report.failed
    assert by_name["sft-tag"].failed
    assert not by_name["sft"].failed
    means = [
        run.samples[(run.samples["entry"] == "sft-tag") & (run.samples["benchmark"] == "world_number")][
            "accuracy"
        ].mean()
        for run in (OLD, NEW)
    ]
    found = by_name["sft-tag"]
    assert (found.before, found.now) == pytest.approx(means)
    assert found.difference.mean == pytest.approx(means[1] - means[0])
    assert gate_line(found).startswith("regression: accuracy(world_number) of sft-tag drops: ")
    assert gate_line(by_name["sft"]).startswith("ok: accuracy(world_number) of sft: ")
    assert not gate("accuracy(world_number) of sft drops").failed


def test_a_rise_is_no_drop() -> None:
    report = gate("accuracy(*) drops", new=later(OLD), old=NEW)
    assert any(test.difference.mean > 0 and test.p_holm < 0.05 for test in report.tests)
    assert not report.failed


def test_p_values_are_corrected_over_all_tests_and_none_is_made_twice() -> None:
    report = gate("accuracy(*) drops", "accuracy(world_number) drops", "accuracy(macro) drops")
    assert len(report.tests) == 2 * (4 + 1)
    expected = holm([test.difference.p for test in report.tests])
    assert [test.p_holm for test in report.tests] == pytest.approx(expected)


def test_a_margin_shifts_the_test() -> None:
    [plain] = gate("accuracy(macro) of sft-tag drops").tests
    drop = -plain.difference.mean
    [wide] = gate(f"accuracy(macro) of sft-tag drops by more than {100 * drop:.6f} points").tests
    assert plain.failed
    assert wide.p_holm > 0.5
    assert not wide.failed
    inside, outside = -plain.difference.high - 0.001, -plain.difference.high + 0.001
    assert gate(f"accuracy(macro) of sft-tag drops by more than {100 * inside} points").failed
    assert not gate(f"accuracy(macro) of sft-tag drops by more than {100 * outside} points").failed
    assert wide.findable == pytest.approx(plain.findable + drop)


def test_seeds_are_paired_as_on_the_board() -> None:
    new = later(synthetic_run((variant("sft-tag", 0.5, seeds=(1, 2, 3)),), n=100))
    [test] = gate("accuracy(macro) of sft-tag drops", new=new).tests
    assert test.difference.num_seeds == len(seed_pairs((1, 2, 3), (0, 1, 2))) == 2


def test_a_gate_that_could_not_have_failed_says_so() -> None:
    small = [synthetic_run((variant("sft-tag", 0.6, seeds=(0,)),), n=6) for _ in range(2)]
    report = gate("accuracy(world_number_gap1) drops", old=small[0], new=later(small[1]))
    assert not report.failed
    notes = " ".join(report.notes)
    assert "passed but could hardly have failed: with 6 questions and 1 pair of seeds" in notes
    assert "1 pair of seeds, so the test is of these two checkpoints" in notes
    assert "could hardly" not in " ".join(gate("accuracy(macro) of sft drops").notes)
    same = gate("accuracy(macro) of sft drops", new=OLD)
    assert "the same weights on both sides" in " ".join(same.notes)
    assert not same.failed


def test_what_one_side_lacks_is_said() -> None:
    new = later(synthetic_run((variant("sft", 0.6), variant("sftkey", 0.6)), n=100))
    notes = " ".join(gate("accuracy(macro) drops", new=new).notes)
    assert "Not in the baseline, so not tested: sftkey." in notes
    assert "In the baseline alone, so not tested: sft-tag." in notes


def test_what_cannot_be_tested_is_refused() -> None:
    assert_refused((), "--baseline needs a condition")
    with pytest.raises(InputError, match="--fail-if needs the run that is compared with"):
        check_gate([NEW], [], ["accuracy(macro) drops"], 0.7)
    assert_refused(("accuracy(world_numbr) drops",), "did you mean 'world_number'?")
    assert_refused(("accuracy(world_numbr) of sft drops",), "did you mean 'world_number'?")
    assert_refused(("accuracy(macro) of sft-tga drops",), "did you mean 'sft-tag'?")
    other = synthetic_run((variant("sftkey", 0.6),), n=20, source="runs/other")
    assert_refused(("accuracy(macro) drops",), "no entry of this run is in it", "sftkey", old=other)


def without(run: RunResults, benchmark: str) -> RunResults:
    entries = tuple(
        dataclasses.replace(e, evaluations=tuple(x for x in e.evaluations if x.benchmark != benchmark))
        for e in run.entries
    )
    kept = run.samples[run.samples["benchmark"] != benchmark].reset_index(drop=True)
    return dataclasses.replace(run, entries=entries, samples=kept)


def test_a_benchmark_of_one_side_alone_is_refused_or_said() -> None:
    old = without(OLD, "world_choice")
    assert_refused(("accuracy(world_choice) drops",), "the baseline has no world_choice for sft", old=old)
    assert_refused(("accuracy(macro) drops",), "other benchmarks in the baseline", old=old)
    report = gate("accuracy(*) drops", old=old)
    assert len(report.tests) == 2 * 3
    assert "sft: world_choice on one side alone, so not tested." in report.notes


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data_digest": "other"}, "asked other questions"),
        ({"prompts": "other"}, "asked in another prompt"),
        ({"scorer": "other"}, "harness rescore"),
        ({"generation": {"temperature": 0.0, "max_tokens": 64}}, "max_tokens 64"),
    ],
)
def test_what_was_not_asked_alike_is_refused(change: dict[str, object], expected: str) -> None:
    known = {"prompts": "one", "scorer": "one"}

    def with_known(entry: Entry, evaluation: Evaluation) -> Evaluation:
        return dataclasses.replace(evaluation, **known)

    def changed(entry: Entry, evaluation: Evaluation) -> Evaluation:
        return dataclasses.replace(evaluation, **{**known, **change})

    old, new = change_evaluations(OLD, with_known), change_evaluations(NEW, changed)
    assert_refused(("accuracy(world_number) drops",), expected, "not comparable", old=old, new=new)


def test_other_tags_compare_by_accuracy_alone() -> None:
    entries = tuple(dataclasses.replace(entry, tags="other") for entry in NEW.entries)
    new = dataclasses.replace(NEW, entries=entries)
    gate("accuracy(macro) drops", new=new)
    assert_refused(("format_valid(macro) drops",), "depends on the tag format", "gate accuracy", new=new)


def test_another_engine_is_said() -> None:
    new = change_evaluations(NEW, lambda entry, each: dataclasses.replace(each, engine="vllm 1"))
    assert "sft: generated by another engine" in " ".join(gate("accuracy(macro) drops", new=new).notes)


@pytest.mark.parametrize("width", [80, 160])
def test_it_prints_a_table_and_a_line_for_each_test(width: int) -> None:
    report = gate("accuracy(*) drops")
    console = Console(width=width, file=io.StringIO(), color_system=None)
    print_gate(report, console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    verdicts = [line for line in lines if line.startswith(("ok:", "regression:"))]
    assert len(verdicts) == len(report.tests)
    assert all(len(line) <= width for line in lines if line not in verdicts)


def test_a_gate_of_two_equal_trainings_seldom_fails() -> None:
    run = synthetic_run((variant("sft-tag", 0.6),), n=40)
    right = run.samples["accuracy"].to_numpy()
    failed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        old, new = (
            dataclasses.replace(
                run, samples=run.samples.assign(accuracy=right ^ (rng.random(len(right)) < 0.1))
            )
            for _ in range(2)
        )
        failed += gate("accuracy(macro) drops", old=old, new=later(new)).failed
    assert failed <= 2
