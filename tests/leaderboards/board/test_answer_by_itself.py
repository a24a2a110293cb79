"""The answer by itself on a board: its figures are those of the samples, and no star hangs on them."""

import csv
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from synthetic_board import VARIANTS, synthetic_run

from leaderboards.board.build import build_board
from leaderboards.report.markdown import csv_text
from leaderboards.report.tables import key_tables
from leaderboards.results.schema import RunResults


@pytest.fixture(scope="module")
def small() -> RunResults:
    return synthetic_run(tuple(v for v in VARIANTS if v.name in ("base", "sft", "sft-tag")), n=40)


def measured(run: RunResults) -> RunResults:
    """Figures of any kind for every output but some bits after own reasoning."""
    rng = np.random.default_rng(5)
    count = len(run.samples)
    own = rng.exponential(3, count)
    own[::7] = np.nan
    samples = run.samples.assign(
        key=pd.array(rng.random(count) < np.where(run.samples["entry"] == "sft", 0.9, 0.6), dtype="boolean"),
        bits_gold=rng.exponential(1, count),
        bits_own=own,
        reasoning=pd.array(rng.random(count) < 0.5, dtype="boolean"),
    )
    return dataclasses.replace(run, samples=samples)


def own_difference(run: RunResults, entry: str, reference: str, benchmark: str) -> float:
    """By the definition: over the questions that both sides reason about in all of their seeds."""
    samples = run.samples[
        (run.samples["benchmark"] == benchmark) & run.samples["entry"].isin([entry, reference])
    ]
    bits = samples.set_index(["sample_id", "entry", "seed"])["bits_own"].unstack(["entry", "seed"])
    sides = bits.dropna()
    return float((sides[entry].mean(axis=1) - sides[reference].mean(axis=1)).mean())


def test_the_figures_are_those_of_the_samples(small: RunResults) -> None:
    run = measured(small)
    board = build_board([run])
    for row in board.rows:
        for cell in row.cells:
            samples = run.samples
            own = samples[(samples["entry"] == row.name) & (samples["benchmark"] == cell.benchmark)]
            found = cell.key
            assert found is not None
            assert found.accuracy.mean == pytest.approx(own["key"].mean())
            assert found.accuracy.low < found.accuracy.mean < found.accuracy.high
            assert found.bits_gold == pytest.approx(own["bits_gold"].mean())
            assert found.bits_own == pytest.approx(own["bits_own"].mean())
            assert found.own == pytest.approx(own["bits_own"].notna().mean())
            assert found.reasoning == pytest.approx(own["reasoning"].mean())
            assert found.right_after == pytest.approx(own["accuracy"][own["reasoning"].astype(bool)].mean())
            if found.difference:
                reference = row.cells and next(one for one in board.rows if one.is_reference)
                other = reference.cell(cell.benchmark)
                assert other is not None
                assert other.key is not None
                mean = found.accuracy.mean - other.key.accuracy.mean
                assert found.difference.mean == pytest.approx(mean)
                assert found.bits_difference
                assert found.bits_gold is not None
                assert other.key.bits_gold is not None
                bits = found.bits_gold - other.key.bits_gold
                assert found.bits_difference.mean == pytest.approx(bits)
                assert found.bits_difference.low < bits < found.bits_difference.high
                assert found.own_difference
                if row.role != "base":
                    own_bits = own_difference(run, row.name, board.reference, cell.benchmark)
                    assert found.own_difference.mean == pytest.approx(own_bits)
        assert row.macro is not None
        assert row.macro.key is not None
        single = [cell.key.accuracy.mean for cell in row.cells if cell.key]
        assert row.macro.key.accuracy.mean == pytest.approx(np.mean(single))
        assert (row.macro.key.difference is None) == row.is_reference


def test_nothing_else_on_the_board_changes(small: RunResults) -> None:
    plain, other = build_board([small]), build_board([measured(small)])
    assert not list(key_tables(plain))
    for row, with_key in zip(plain.rows, other.rows, strict=True):
        assert [cell.metrics for cell in row.cells] == [cell.metrics for cell in with_key.cells]
        assert (row.rank, row.tier) == (with_key.rank, with_key.tier)
    assert plain.pairs == other.pairs


def test_a_question_that_one_row_was_not_asked_counts_for_none(small: RunResults) -> None:
    run = measured(small)
    samples, benchmark = run.samples, run.samples["benchmark"].iloc[0]
    of_sft = (samples["entry"] == "sft") & (samples["benchmark"] == benchmark)
    left_out = samples.loc[samples[of_sft].index[3], "sample_id"]
    holed = samples.copy()
    holed.loc[of_sft & (samples["sample_id"] == left_out), ["key", "bits_gold"]] = pd.NA
    board = build_board([dataclasses.replace(run, samples=holed)])
    kept = holed[(holed["benchmark"] == benchmark) & (holed["sample_id"] != left_out)]
    for row in board.rows:
        cell = row.cell(benchmark)
        assert cell is not None
        assert cell.key is not None
        own = kept[kept["entry"] == row.name]
        assert cell.key.accuracy.num_questions == 39
        assert cell.key.accuracy.mean == pytest.approx(own["key"].mean())
        assert cell.key.bits_gold == pytest.approx(own["bits_gold"].mean())
        assert (cell.key.bits_difference is None) == row.is_reference
        others = [other.key for other in row.cells if other.benchmark != benchmark]
        assert {key.accuracy.num_questions for key in others if key} == {40}


def test_where_no_question_was_measured_there_is_no_key_accuracy(small: RunResults) -> None:
    run = measured(small)
    holed, benchmark = run.samples.copy(), run.samples["benchmark"].iloc[0]
    holed.loc[(holed["entry"] == "sft") & (holed["benchmark"] == benchmark), "key"] = pd.NA
    board = build_board([dataclasses.replace(run, samples=holed)])
    row = next(row for row in board.rows if row.name == "sft")
    assert [cell.benchmark for cell in row.cells if cell.key] == [
        other for other in board.benchmarks if other != benchmark
    ]
    assert row.macro is not None
    assert row.macro.key is None


def test_tables_and_csv_show_it(small: RunResults) -> None:
    board = build_board([measured(small)])
    overall, each = key_tables(board)
    assert len(overall.lines) == len(board.rows)
    assert len(each.lines) == sum(len(row.cells) for row in board.rows)
    lines = csv.DictReader(io.StringIO(csv_text(board)))
    found = {(line["entry"], line["benchmark"]): line for line in lines if line["metric"] == "key_accuracy"}
    for row in board.rows:
        assert row.macro is not None
        assert row.macro.key is not None
        mean = float(found[row.name, "macro"]["mean"])
        assert mean == pytest.approx(row.macro.key.accuracy.mean, rel=1e-5)


def test_a_row_that_was_asked_other_questions_is_not_compared(small: RunResults) -> None:
    run = measured(small)
    entries = tuple(
        dataclasses.replace(
            entry,
            evaluations=tuple(
                dataclasses.replace(each, data_digest="other") if entry.name == "base" else each
                for each in entry.evaluations
            ),
        )
        for entry in run.entries
    )
    ids, benchmark = run.samples["sample_id"], run.samples["benchmark"]
    same = (run.samples["entry"] != "base") | (benchmark != benchmark.iloc[0])
    samples = run.samples.assign(sample_id=ids.where(same, "x" + ids))
    changed = dataclasses.replace(run, entries=entries, samples=samples)
    row = next(row for row in build_board([changed], allow_different=["data"]).rows if row.name == "base")
    assert [cell.key is not None for cell in row.cells] == [True] * len(row.cells)
    assert all(cell.key is None or cell.key.difference is None for cell in row.cells)
    assert row.macro is None
