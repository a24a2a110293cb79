"""Training curves: stored beside the samples, merged over runs and seeds, thinned, and drawn on the page."""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic_board import VARIANTS, synthetic_run
from synthetic_curves import NAN, curve_points

from leaderboards.board.build import build_board
from leaderboards.board.curves import MAX_POINTS, QUANTITIES, curve_of
from leaderboards.board.rows import Board, Curve, Line, Row
from leaderboards.report.page.render import page_html
from leaderboards.results.schema import RunResults
from leaderboards.results.store import read_results, write_results
from leaderboards.results.tables import CURVES
from tasks.errors import InputError

POINT: dict[str, object] = {
    "entry": "sft",
    "model": "tiny-world",
    "seed": 0,
    "stage": 1,
    "stage_name": "full",
    "step": 1,
    "tokens": 100,
    "loss": 1.0,
    "loss_thinking": 1.0,
    "loss_answer": 1.0,
    "loss_tags": NAN,
    "learning_rate": 1e-3,
    "accuracy": NAN,
    "format_valid": NAN,
    "gradient_norm": NAN,
    "gradient_norm_thinking": NAN,
    "gradient_norm_answer": NAN,
    "gradient_norm_tags": NAN,
    "wall_seconds": 0.1,
}


def series(
    values: Sequence[float], *, seed: int = 0, stage: int = 1, after: int = 0, every: int = 1
) -> list[dict[str, object]]:
    """Answer losses of one seed in one stage that begins after `after` steps; 100 tokens a step."""
    steps = range(after + every, after + every * len(values) + 1, every)
    return [
        POINT | {"seed": seed, "stage": stage, "step": step, "tokens": 100 * step, "loss_answer": value}
        for step, value in zip(steps, values, strict=True)
    ]


def with_curves(run: RunResults, points: Sequence[dict[str, object]]) -> RunResults:
    return dataclasses.replace(run, curves=CURVES.to_frame(points))


def small_run(*names: str) -> RunResults:
    return synthetic_run(tuple(v for v in VARIANTS if v.name in names), n=20)


def curve(points: Sequence[dict[str, object]], max_points: int = MAX_POINTS) -> Curve:
    found = curve_of(CURVES.to_frame(points), max_points)
    assert found is not None
    return found


def test_a_reward_and_its_parts_are_lines_of_the_stage_that_has_them() -> None:
    before = series([1.0, 0.9])
    after = [
        POINT | {"stage": 2, "step": step, "tokens": 100 * step, "loss_answer": NAN, "reward": reward}
        | {"kl": 0.1, "rewards": json.dumps({"accuracy": reward, "format": 1.0})}
        for step, reward in ((3, 0.25), (4, 0.75))
    ]  # fmt: skip
    lines = {line.quantity: line for line in curve([*before, *after]).lines}
    assert lines["reward"].mean == lines["reward: accuracy"].mean == (0.25, 0.75)
    assert lines["reward: format"].mean == (1.0, 1.0)
    assert lines["reward"].grid.steps == (3, 4)
    assert "entropy" not in lines
    old = CURVES.to_frame([*before, *after]).assign(rewards=None)
    assert not [one for one in curve_of(old).lines if one.quantity.startswith("reward:")]


def answer_loss(of: Curve) -> Line:
    return next(line for line in of.lines if line.quantity == "loss_answer")


def row_of(board: Board, name: str) -> Row:
    return next(row for row in board.rows if row.name == name)


def payload(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="board">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found.group(1))


@pytest.fixture(scope="module")
def trained() -> RunResults:
    run = synthetic_run(n=20)
    return with_curves(run, curve_points(run.entries, gradients=True))


def test_curves_survive_the_round_trip_and_nan_stays_nan(tmp_path: Path, trained: RunResults) -> None:
    write_results(tmp_path, {}, trained.entries, trained.samples, trained.curves)
    curves = read_results(tmp_path).curves
    assert list(curves.columns) == CURVES.schema.names
    pd.testing.assert_frame_equal(curves, trained.curves)
    assert curves["accuracy"].isna().any()
    assert curves["accuracy"].notna().any()


def test_a_run_without_training_stores_and_reads_none(tmp_path: Path, trained: RunResults) -> None:
    for curves in (trained.curves, ()):
        write_results(tmp_path, {}, trained.entries, trained.samples, curves)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "samples.parquet"]
    curves = read_results(tmp_path).curves
    assert curves.empty
    assert list(curves.columns) == CURVES.schema.names


def test_a_run_stored_before_there_were_curves_still_reads(tmp_path: Path) -> None:
    run = small_run("sft")
    write_results(tmp_path, {}, run.entries, run.samples)
    path = tmp_path / "results.json"
    raw = json.loads(path.read_text())
    del raw["training_sha256"], raw["sha256"]
    for entry in raw["entries"]:
        for name in ("reference_tokens", "reference_flops", "budget"):
            del entry["training"][name]
    path.write_text(json.dumps(raw))
    results = read_results(tmp_path)
    assert results.curves.empty
    assert results.entries[0].training is not None
    assert results.entries[0].training.reference_tokens == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "damaged"),
    ],
)
def test_a_missing_or_damaged_file_is_named(
    tmp_path: Path, trained: RunResults, spoil: Callable[[Path], None], reason: str
) -> None:
    write_results(tmp_path, {}, trained.entries, trained.samples, trained.curves)
    spoil(tmp_path / "training.parquet")
    with pytest.raises(InputError, match=f"training.parquet: {reason}"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([POINT | {"entry": "ghost"}], r"ghost \(seed 0\) of tiny-world is not among"),
        ([POINT | {"seed": 9}], r"sft \(seed 9\) of tiny-world is not among"),
        ([POINT, POINT], r"sft \(seed 0\): stage 1, step 1 is stored twice"),
        ([*series([1, 1]), *series([1], stage=2)], "step falls to 1 at stage 2, step 1"),
        ([POINT, POINT | {"step": 2, "tokens": 50}], "tokens falls to 50 at stage 1, step 2"),
        ([POINT | {"wall_seconds": NAN}], "column 'wall_seconds' holds a missing value"),
    ],
)
def test_curves_that_do_not_belong_to_the_run_are_refused(
    tmp_path: Path, points: list[dict[str, object]], reason: str
) -> None:
    run = small_run("sft")
    with pytest.raises(InputError, match=reason) as error:
        write_results(tmp_path, {}, run.entries, run.samples, points)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_line_is_the_mean_over_the_seeds_between_the_lowest_and_the_highest() -> None:
    found = curve([*series([4, 2]), *series([8, 4], seed=1), *series([6, 3], seed=2)])
    line = answer_loss(found)
    assert found.num_seeds == 3
    assert (line.mean, line.low, line.high) == ((6, 3), (4, 2), (8, 4))
    assert (line.grid.steps, line.grid.tokens) == ((1, 2), (100, 200))


def test_seeds_logged_at_other_steps_are_interpolated_within_what_all_have() -> None:
    line = answer_loss(curve([*series([1, 2, 3, 4, 5, 6]), *series([20, 40], seed=1, every=2)]))
    assert line.grid.steps == (2, 4)
    assert line.mean == (11, 22)


def test_stages_are_told_apart_and_end_where_the_seeds_ended_on_average() -> None:
    key = [p | {"stage_name": "key"} for p in series([2, 1], stage=2, after=3)]
    found = curve([*series([5, 4, 3]), *key])
    assert [(s.number, s.name, s.steps, s.tokens) for s in found.stages] == [
        (1, "full", 3, 300),
        (2, "key", 5, 500),
    ]
    assert answer_loss(found).grid.stages == (1, 1, 1, 2, 2)


def test_a_validation_at_the_end_of_one_stage_and_the_start_of_the_next_is_two_points() -> None:
    later = POINT | {"stage": 2, "step": 2, "tokens": 200, "loss_answer": 3}
    assert answer_loss(curve([*series([5, 4]), later])).grid.steps == (1, 2, 2)


def test_a_quantity_that_one_seed_alone_measured_in_a_stage_is_that_seeds() -> None:
    lone = series([7], stage=2, after=2)
    line = answer_loss(curve([*series([4, 2]), *series([8, 4], seed=1), *lone]))
    assert line.mean == (6, 3, 7)
    assert line.grid.stages == (1, 1, 2)


def test_what_was_not_measured_or_not_finite_is_no_point() -> None:
    found = curve(series([2, math.inf, NAN, 1]))
    assert answer_loss(found).grid.steps == (1, 4)
    assert {line.quantity for line in found.lines} == {"loss", "loss_answer", "loss_thinking"}
    assert curve_of(CURVES.to_frame([])) is None


@pytest.mark.parametrize("num_stages", [1, 2, 3])
@pytest.mark.parametrize("length", [99, 100, 101, 1234])
def test_a_long_line_is_thinned_to_means_that_keep_the_average(num_stages: int, length: int) -> None:
    values = np.random.default_rng(0).random((num_stages, length))
    points = [
        point
        for index, row in enumerate(values)
        for point in series(row.tolist(), stage=index + 1, after=index * length)
    ]
    line = answer_loss(curve(points, max_points=100))
    assert len(line.mean) <= 100
    assert len(line.mean) > 30
    assert set(line.grid.stages) == set(range(1, num_stages + 1))
    assert values.min() <= min(line.mean) < max(line.mean) <= values.max()
    assert line.grid.steps == tuple(sorted(line.grid.steps))
    assert np.mean(line.mean) == pytest.approx(values.mean(), abs=0.02)


def test_the_board_holds_a_curve_for_each_trained_row(trained: RunResults) -> None:
    board = build_board([trained])
    assert row_of(board, "base").curve is None
    for row in board.rows:
        if row.role == "trained":
            assert row.curve is not None
            assert row.curve.num_seeds == 3
            tags = {q for q in QUANTITIES if q.endswith("tags")}
            expected = set(QUANTITIES[:-5]) - (set() if row.tagged else tags)  # none learns from responses
            assert {line.quantity for line in row.curve.lines} == expected


def test_curves_of_several_runs_are_merged_and_a_copy_counts_once() -> None:
    run = small_run("sft", "sft-tag")
    shown = with_curves(run, series([4.0, 2.0]))
    copy = with_curves(run, [*series([40.0, 20.0]), *series([6.0, 4.0], seed=1)])
    board = build_board([run, shown, copy, shown])
    of_sft = row_of(board, "sft").curve
    assert of_sft is not None
    assert of_sft.num_seeds == 2
    assert answer_loss(of_sft).mean == (5, 3)
    assert row_of(board, "sft-tag").curve is None


def test_a_seed_that_is_not_on_the_board_is_not_in_the_curve() -> None:
    run = small_run("sft")
    extra = dataclasses.replace(run.entries[0], seed=9, evaluations=(), digest="never evaluated")
    points = [*series([4.0]), *series([400.0], seed=9)]
    board = build_board([with_curves(dataclasses.replace(run, entries=(*run.entries, extra)), points)])
    of_sft = row_of(board, "sft").curve
    assert of_sft is not None
    assert answer_loss(of_sft).mean == (4,)


def test_the_page_shows_nothing_of_training_without_curves(run: RunResults) -> None:
    html = page_html(build_board([run]))
    assert 'id="training"' not in html
    assert payload(html)["curveGroups"] == []


def test_the_page_holds_the_curves_of_the_board(trained: RunResults) -> None:
    board = build_board([trained])
    html = page_html(board)
    assert 'id="training"' in html
    data = payload(html)
    groups = [[quantity["id"] for quantity in group] for group in data["curveGroups"]]
    assert groups[0][:2] == ["loss_answer", "loss_thinking"]
    assert groups[1] == ["accuracy", "format_valid"]
    assert groups[2][:2] == ["gradient_norm_answer", "gradient_norm_thinking"]
    for shown, row in zip(data["rows"], board.rows, strict=True):
        assert (shown["curve"] is None) == (row.curve is None)
        if row.curve:
            line = shown["curve"]["lines"]["loss_answer"]
            grid = shown["curve"]["grids"][line["grid"]]
            assert line["mean"] == pytest.approx(answer_loss(row.curve).mean, rel=1e-3)
            assert len(grid["steps"]) == len(grid["stages"]) == len(line["low"]) == len(line["mean"])


def test_only_what_was_measured_is_offered() -> None:
    run = small_run("sft", "sft-tag")
    data = payload(page_html(build_board([with_curves(run, series([2.0, 1.0]))])))
    assert [[q["id"] for q in group] for group in data["curveGroups"]] == [
        ["loss_answer", "loss_thinking", "loss"]
    ]
    drawn = next(row["curve"] for row in data["rows"] if row["label"] == "sft")
    assert "low" not in drawn["lines"]["loss_answer"]


def test_with_many_entries_the_best_and_the_reference_are_shown_at_first_and_the_page_stays_small() -> None:
    names = ("", "-dft", "-focal", "-iw")
    variants = [
        dataclasses.replace(v, name=v.name + n, skill=v.skill + 0.01 * i, stages=v.stages * 8)
        for i, n in enumerate(names)
        for v in VARIANTS[1:]
    ]
    run = synthetic_run(tuple(variants), n=20)
    board = build_board([with_curves(run, curve_points(run.entries, gradients=True))], reference="key-tag")
    html = page_html(board)
    rows = payload(html)["rows"]
    shown = [row["label"] for row in rows if row["curve"]["shown"]]
    assert len(rows) == 24
    assert shown == [row["label"] for row in rows[:5]] + ["key-tag"]
    longest = max(len(line["mean"]) for row in rows for line in row["curve"]["lines"].values())
    assert 200 < longest <= MAX_POINTS
    assert len(html) < 6.8e6
