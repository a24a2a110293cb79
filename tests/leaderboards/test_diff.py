"""What two entries answer differently: the counts, the questions, their texts, and which entry is meant."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from synthetic_board import BENCHMARKS, VARIANTS, synthetic_run
from synthetic_samples import change_evaluations, sampled_run

from leaderboards.board.build import build_board
from leaderboards.diff import ONLY, Differing, Only, compare, read_samples
from leaderboards.results.schema import RunResults
from leaderboards.results.store import write_results
from leaderboards.sides import Side, cut_side, find_sides
from leaderboards.stats import MACRO
from tasks.errors import InputError

NAMES = ("base", "sft", "sft-tag")


def with_texts(run: RunResults) -> RunResults:
    """Outputs that say whose they are, in the tags of the entry."""
    rows = run.samples
    outputs = [
        f"<Thinking>{entry} {seed} thinks about {sample}</Thinking>\n<Answer>{answer}</Answer>"
        for entry, seed, sample, answer in zip(
            rows["entry"], rows["seed"].astype("object"), rows["sample_id"], rows["extracted"], strict=True
        )
    ]
    entries = tuple(dataclasses.replace(entry, tags="thinking-answer") for entry in run.entries)
    return dataclasses.replace(run, samples=rows.assign(output=outputs), entries=entries)


RUN = with_texts(synthetic_run(tuple(v for v in VARIANTS if v.name in NAMES), n=30))


def side(name: str, run: RunResults = RUN) -> Side:
    return cut_side([run], "tiny-world", name)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "one"
    write_results(folder, RUN.provenance, RUN.entries, RUN.samples)
    return folder


@pytest.fixture(scope="module")
def found() -> Differing:
    return compare(side("sft"), side("sft-tag"))


def test_counts_are_those_of_a_plain_table(found: Differing) -> None:
    keyed = RUN.samples.set_index(["entry", "seed", "benchmark", "sample_id"])["accuracy"]
    both = keyed["sft"].astype(bool).to_frame("a").join(keyed["sft-tag"].astype(bool).rename("b"))
    assert [each.benchmark for each in found.benchmarks] == [*BENCHMARKS, MACRO]
    for one in found.benchmarks:
        rows = both if one.benchmark == MACRO else both.xs(one.benchmark, level="benchmark")
        assert one.both == (rows["a"] & rows["b"]).sum()
        assert one.only_a == (rows["a"] & ~rows["b"]).sum()
        assert one.only_b == (rows["b"] & ~rows["a"]).sum()
        assert one.both + one.only_a + one.only_b + one.neither == len(rows)
        assert one.difference.mean == pytest.approx(rows["a"].mean() - rows["b"].mean())
        assert len(one.difference.mcnemar_p) == len(one.seed_pairs) == 3


def test_the_test_is_the_boards(found: Differing) -> None:
    board = build_board([RUN], reference="sft-tag")
    row = next(row for row in board.rows if row.name == "sft")
    for one in found.benchmarks:
        cell = row.cell(one.benchmark)
        assert cell is not None
        comparison = cell.metric("accuracy").comparison
        assert comparison is not None
        assert comparison.difference == one.difference


def test_forms_count_each_output_once() -> None:
    [one] = compare(side("sft"), side("base"), benchmark="world_number").benchmarks
    assert one.seed_pairs == ((0, None), (1, None), (2, None))
    assert (one.form_a.outputs, one.form_b.outputs) == (90, 30)
    rows = RUN.samples[(RUN.samples["entry"] == "base") & (RUN.samples["benchmark"] == "world_number")]
    assert one.form_b.format_valid == rows["format_valid"].sum()
    assert one.form_b.truncated == rows["truncated"].sum()


@pytest.mark.parametrize("only", ONLY)
def test_questions_of_one_kind_come_with_the_outputs_that_show_it(only: Only) -> None:
    a, b = side("sft"), side("sft-tag")
    spots = compare(a, b, only=only).spots
    verdicts = {
        (s.a.accuracy, s.b.accuracy) for s in read_samples(a, b, spots) if s.spot.benchmark in BENCHMARKS
    }
    expected = {
        "a": {(True, False)}, "b": {(False, True)}, "both-wrong": {(False, False)},
        "differing": {(True, False), (False, True)},
    }  # fmt: skip
    assert verdicts == expected[only]
    assert len({(spot.benchmark, spot.sample_id) for spot in spots}) == len(spots)
    shares = [spot.times / spot.pairs for spot in spots]
    assert shares == sorted(shares, reverse=True)
    assert all(1 <= spot.times <= spot.pairs == 3 for spot in spots)


def test_the_first_questions_are_of_all_benchmarks(found: Differing) -> None:
    first = [spot.benchmark for spot in found.spots if spot.times == found.spots[0].times][: len(BENCHMARKS)]
    assert len(set(first)) == len(first) or len({spot.benchmark for spot in found.spots}) < len(BENCHMARKS)


def test_texts_are_those_of_the_entry_and_the_seed(stored: Path) -> None:
    a, b = find_sides("sft", "base", [stored])
    assert "output" not in a.runs[0].samples, "the texts are read from the file"
    spots = compare(a, b, benchmark="world_choice", seed=1).spots[:3]
    samples = read_samples(a, b, spots)
    assert [sample.spot for sample in samples] == list(spots)
    for sample in samples:
        assert sample.spot.seeds == (1, None)
        assert sample.a.thinking == f"sft 1 thinks about {sample.spot.sample_id}"
        assert sample.b.output.startswith("<Thinking>base <NA> thinks")
        assert sample.a.answer == str(sample.a.extracted)
        assert sample.a.accuracy != sample.b.accuracy
        assert sample.a.gold == "4"


def test_several_outputs_are_compared_one_by_one() -> None:
    run = sampled_run(num_samples=4, n=20)
    a, b = (cut_side([run], "tiny-world", name) for name in ("sft", "sft-tag"))
    found = compare(a, b, benchmark="world_number")
    [one] = found.benchmarks
    assert one.both + one.only_a + one.only_b + one.neither == 3 * 20 * 4
    assert one.form_a.outputs == 3 * 20 * 4
    assert any(spot.sample_index for spot in found.spots)
    for sample in read_samples(a, b, found.spots):
        assert sample.a.accuracy != sample.b.accuracy


def test_other_settings_are_said_and_other_questions_refused() -> None:
    def hotter(entry: object, evaluation: object) -> object:
        return dataclasses.replace(evaluation, generation={"temperature": 1.0})  # type: ignore[type-var]

    other = change_evaluations(RUN, hotter)  # type: ignore[arg-type]
    [first, *_] = compare(side("sft"), side("sft-tag", other)).cautions
    assert "other generation settings" in first
    assert "temperature 1.0" in first
    assert not compare(side("sft"), side("sft-tag")).cautions
    data = change_evaluations(RUN, lambda entry, each: dataclasses.replace(each, data_digest="else"))
    with pytest.raises(InputError, match="asked other questions"):
        compare(side("sft"), side("sft-tag", data))


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'world_number'"):
        compare(side("sft"), side("sft-tag"), benchmark="world_numbr")
    with pytest.raises(InputError, match="--seed 7: not on both sides; seeds on world_number: sft 0, 1, 2"):
        compare(side("sft"), side("sft-tag"), seed=7)


def test_an_entry_is_named_in_three_ways(stored: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    kept = tuple(entry for entry in RUN.entries if entry.name in ("base", "sft-tag"))
    rows = RUN.samples[np.isin(RUN.samples["entry"], ["base", "sft-tag"])]
    write_results(alone, {}, kept, rows)
    for text in ("sft-tag", f"{stored}:sft-tag", f"{stored}:sft-tag · tiny-world"):
        a, b = find_sides(text, "sft", [stored])
        assert (a.name, b.name) == ("sft-tag", "sft")
    a, b = find_sides(str(alone), f"{stored}:sft-tag", [])
    assert (a.name, a.runs[0].source, b.runs[0].source) == ("sft-tag", str(alone), str(stored))
    assert not compare(a, b).spots


def assert_unfound(expected: str, first: str, second: str, *runs: Path) -> None:
    with pytest.raises(InputError) as error:
        find_sides(first, second, runs)
    assert "\n" not in str(error.value)
    assert expected in str(error.value)


def test_a_name_that_means_nothing_or_too_much_is_refused(stored: Path, tmp_path: Path) -> None:
    assert_unfound("no entry 'sft-tga'; did you mean 'sft-tag'?", "sft-tga", "sft", stored)
    assert_unfound(f"which entry? write {stored}:ENTRY; it holds sft, sft-tag", str(stored), "sft", stored)
    assert_unfound("no run to look in; say --run RUN_DIR", "sft", "sft-tag")
    assert_unfound("the same entry; name two", "sft", f"{stored}:sft", stored)
    assert_unfound("no such file; is this the directory of a finished run?", f"{tmp_path}:sft", "sft", stored)
    several = tmp_path / "several"
    entries = (*RUN.entries, *(dataclasses.replace(entry, model="other") for entry in RUN.entries))
    rows = RUN.samples.assign(model="other")
    import pandas as pd

    write_results(several, {}, entries, pd.concat([RUN.samples, rows], ignore_index=True))
    assert_unfound("write 'sft · tiny-world' or 'sft · other'", "sft", "base", several)
