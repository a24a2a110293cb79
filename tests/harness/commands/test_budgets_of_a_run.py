"""`--budgets`: the same variants at shares of the budget, in one command, and what compute brought."""

import json
from pathlib import Path

import pytest
from command_line import call

import harness.jobs
from leaderboards import read_results


def arguments(out: Path, *more: object) -> list[object]:
    sets = ["train.amount=16", "train.batch_size=4", "train_limit=40", "limit=8", "train.workers=1"]
    return [
        "train-and-eval", "--benchmarks", "world_number_gap1", "--variants", "sft-tag,sft-tag-x2",
        "--seeds", 1, "--engine", "hf", "--out", out,
        *(part for one in sets for part in ("--set", one)), *more,
    ]  # fmt: skip


def test_a_run_and_its_smaller_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    ran = call(tmp_path, *arguments(out, "--budgets", "0.5,0.25,1"))
    assert ran.returncode == 0, ran.stderr
    assert "budgets   0.25, 0.5 of it first" in ran.stdout
    steps = {}
    for folder in (out / "budgets" / "0.25", out / "budgets" / "0.5", out):
        trained = [entry.training for entry in read_results(folder).entries if entry.training]
        steps[folder.name] = {cost.steps for cost in trained}
    assert steps == {"0.25": {4}, "0.5": {8}, "run": {16}}
    assert not (out / "budgets" / "0.25" / "store").exists(), "one store holds them all"
    lines = json.loads((out / "leaderboard" / "leaderboard.json").read_text())["budgets"]
    assert [[point["share"] for point in line["points"]] for line in lines] == [[0.25, 0.5, 1.0]] * 2
    shown = call(tmp_path, "leaderboard", out, "--out", tmp_path / "board")
    assert shown.returncode == 0, shown.stderr
    assert "with a share of the budget" in (tmp_path / "board" / "leaderboard.md").read_text()

    monkeypatch.setattr(harness.jobs, "_train", lambda *_: pytest.fail("trained again"))
    again = call(tmp_path, *arguments(out, "--budgets", "0.5,0.25,1"))
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(("given", "said"), [("0,1", "budgets"), ("1.5", "budgets"), ("half", "budgets")])
def test_what_is_no_share_is_one_line(given: str, said: str, tmp_path: Path) -> None:
    ran = call(tmp_path, *arguments(tmp_path / "run", "--budgets", given))
    assert ran.returncode == 2
    assert ran.stderr.count("\n") <= 3
    assert said in ran.stderr


def test_several_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.preflight.count", lambda: 2)
    ran = call(tmp_path, *arguments(tmp_path / "run", "--budgets", "0.5"))
    assert ran.returncode == 2
    assert "in one process, without torchrun" in " ".join(ran.stderr.split())
