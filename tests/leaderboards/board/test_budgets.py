"""Accuracy against compute: rows at shares of the budget, and what they need for what the reference has."""

import dataclasses
from pathlib import Path

import pytest
from synthetic_board import synthetic_run

from leaderboards.board.budgets import _needed
from leaderboards.board.build import build_board
from leaderboards.board.rows import BudgetPoint
from leaderboards.report.page.payload import payload
from leaderboards.report.page.render import page_html
from leaderboards.report.tables import budget_tables
from leaderboards.results.schema import BUDGETS, RunResults
from leaderboards.results.store import read_outcomes, write_results
from leaderboards.stats import Estimate


def cheaper(run: RunResults, share: float) -> RunResults:
    entries = tuple(
        dataclasses.replace(
            entry,
            training=entry.training
            and dataclasses.replace(
                entry.training,
                flops=entry.training.flops * share,
                sampled_flops=1e6 * share,
                reference_flops=0.0,
            ),
        )
        for entry in run.entries
    )
    return dataclasses.replace(run, entries=entries)


@pytest.fixture(scope="module")
def run() -> RunResults:
    whole = cheaper(synthetic_run(n=30), 1.0)
    return dataclasses.replace(
        whole, smaller={share: cheaper(whole, float(share)) for share in ("0.5", "0.25")}
    )


def test_each_trained_row_has_a_point_for_each_share_and_the_whole(run: RunResults) -> None:
    board = build_board([run])
    trained = {at for at, row in enumerate(board.rows) if row.cost}
    assert {line.row for line in board.budgets} == trained
    for line in board.budgets:
        assert [point.share for point in line.points] == [0.25, 0.5, 1.0]
        row = board.rows[line.row]
        assert row.cost
        assert row.macro
        assert line.points[-1].flops == row.cost.total_flops
        assert line.points[0].flops == pytest.approx(row.cost.total_flops / 4)
        assert line.points[-1].estimate.mean == row.macro.metric("accuracy").estimate.mean


def test_a_run_without_smaller_ones_has_no_lines(run: RunResults) -> None:
    board = build_board([dataclasses.replace(run, smaller={})])
    assert board.budgets == ()
    assert not list(budget_tables(board))
    assert "budget-chart" not in page_html(board).split("<script")[0]


def point(share: float, mean: float) -> BudgetPoint:
    return BudgetPoint(share, 100 * share, Estimate(mean, mean - 0.1, mean + 0.1, 0.0, 3))


@pytest.mark.parametrize(
    ("means", "wanted", "needed"),
    [
        ((0.2, 0.4, 0.6), 0.6, 100.0),
        ((0.2, 0.4, 0.6), 0.3, 25 * 2**0.5),  # half-way between 25 and 50 FLOPs on a logarithmic axis
        ((0.2, 0.4, 0.6), 0.1, 25.0),  # no more than that: less was not tried
        ((0.2, 0.4, 0.5), 0.6, None),
        ((0.2, 0.7, 0.5), 0.6, 43.527),  # where it first is
    ],
)
def test_the_compute_that_is_needed(means: tuple[float, ...], wanted: float, needed: float | None) -> None:
    points = [point(share, mean) for share, mean in zip((0.25, 0.5, 1.0), means, strict=True)]
    assert _needed(points, wanted) == (needed and pytest.approx(needed, rel=1e-3))


def test_smaller_runs_are_read_from_their_folder_and_shown(run: RunResults, tmp_path: Path) -> None:
    for folder, one in (
        (tmp_path, run),
        *((tmp_path / BUDGETS / share, of) for share, of in run.smaller.items()),
    ):
        write_results(folder, {}, one.entries, one.samples)
    (tmp_path / BUDGETS / "0.75").mkdir()  # was begun
    found = read_outcomes(tmp_path)
    assert sorted(found.smaller) == ["0.25", "0.5"]
    board = build_board([found])
    (table,) = budget_tables(board)
    assert table.columns == ("entry", "25 %", "50 %", "100 %", "FLOPs to reach sft-tag-x2")
    assert any(line[-1].endswith("(0.25)") for line in table.lines), (
        "as good with a quarter, in this made-up run"
    )
    assert set(payload(board)["budgets"]) == {line.row for line in board.budgets}
    assert "budget-chart" in page_html(board)
