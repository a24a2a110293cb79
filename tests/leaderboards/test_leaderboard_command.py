"""`harness leaderboard` as a user meets it: every form, the gate, runs that do not belong together."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_board import BENCHMARKS, VARIANTS, synthetic_run

from harness.__main__ import app
from leaderboards.results.schema import Entry, RunResults
from leaderboards.results.store import write_results
from tasks.errors import InputError

NAMES = ("base", "sft-tag", "sft-tag-x2")


def stored(folder: Path, run: RunResults) -> Path:
    write_results(folder, run.provenance, run.entries, run.samples, run.curves)
    (folder / "config.yaml").write_text("model: embedded\n")
    return folder


def of_seeds(*seeds: int, skill: float = 0.0, n: int = 60) -> RunResults:
    """Some variants at some seeds; `skill` is added to what they can do."""
    chosen = (
        dataclasses.replace(v, skill=v.skill + skill, seeds=seeds) if v.stages else v
        for v in VARIANTS
        if v.name in NAMES
    )
    return synthetic_run(tuple(chosen), n=n)


def changed(run: RunResults, change: Callable[[Entry], Entry]) -> RunResults:
    return dataclasses.replace(run, entries=tuple(map(change, run.entries)))


def leaderboard(*arguments: object) -> int:
    """The command in this process; its exit code."""
    return app(["leaderboard", *map(str, arguments)], standalone_mode=False) or 0


def test_every_form_is_written_and_the_manifest_knows_them(tmp_path: Path) -> None:
    import hashlib

    run = stored(tmp_path / "run", of_seeds(0, 1))
    assert leaderboard(run) == 0
    folder = run / "leaderboard"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert sorted(path.name for path in folder.iterdir()) == sorted([*manifest["files"], "manifest.json"])
    assert {Path(name).suffix for name in manifest["files"]} == {".html", ".md", ".csv", ".tex", ".json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    [of_run] = manifest["runs"]
    assert (of_run["checkpoints"], of_run["samples"]) == (5, 5 * 60 * len(BENCHMARKS))
    digest = hashlib.sha256((run / "samples.parquet").read_bytes()).hexdigest()
    assert of_run["sha256"]["samples.parquet"] == digest
    assert json.loads((folder / "leaderboard.json").read_text())["reference"] == "sft-tag-x2"


def test_runs_of_several_machines_become_one_board(tmp_path: Path) -> None:
    here = stored(tmp_path / "here", of_seeds(0, 1))
    there = stored(tmp_path / "there", dataclasses.replace(of_seeds(2, 3), provenance={"cpu": "another"}))
    with pytest.raises(InputError, match="--out DIR"):
        leaderboard(here, there)
    leaderboard(here, there, "--out", tmp_path / "joint")
    board = json.loads((tmp_path / "joint" / "leaderboard.json").read_text())
    seeds = {row["name"]: row["seeds"] for row in board["rows"]}
    assert seeds == {"base": [None], "sft-tag": [0, 1, 2, 3], "sft-tag-x2": [0, 1, 2, 3]}
    assert [facts for _, facts in board["provenance"]][1] == {"cpu": "another"}
    origins = board["rows"][0]["cells"][0]["origins"]
    assert [Path(origin["source"]).name for origin in origins] == ["here", "here", "there", "there"]


def test_the_stored_results_alone_are_enough(tmp_path: Path) -> None:
    run = stored(tmp_path / "run", of_seeds(0, n=10))
    (run / "config.yaml").unlink()
    leaderboard(run)
    assert (run / "leaderboard" / "leaderboard.html").is_file()
    with pytest.raises(InputError, match=r"nowhere/results\.json: no such file; is this the directory of a"):
        leaderboard(tmp_path / "nowhere")


def test_what_is_not_comparable_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    def judged_anew(entry: Entry) -> Entry:
        version = "b" * 12 if entry.name == "base" else "a" * 12
        evaluations = tuple(dataclasses.replace(e, scorer=version) for e in entry.evaluations)
        return dataclasses.replace(entry, evaluations=evaluations)

    run = stored(tmp_path / "run", changed(of_seeds(0, 1), judged_anew))
    with pytest.raises(InputError, match="--allow-different scorer"):
        leaderboard(run)
    assert not (run / "leaderboard").exists()
    leaderboard(run, "--allow-different", "scorer")
    assert "‡ base is not comparable" in (run / "leaderboard" / "leaderboard.md").read_text()
    with pytest.raises(InputError, match="unknown 'scores'"):
        leaderboard(run, "--allow-different", "scores")


def test_the_gate_fails_on_a_significant_drop_after_the_report_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = stored(tmp_path / "old", of_seeds(0, 1, 2))
    worse = changed(
        of_seeds(0, 1, 2, skill=-1.0), lambda e: dataclasses.replace(e, digest=f"{e.digest}, trained again")
    )
    new = stored(tmp_path / "new", worse)
    condition = "accuracy(macro) of sft-tag drops"
    assert leaderboard(new, "--baseline", old, "--fail-if", condition) == 1
    assert (new / "leaderboard" / "leaderboard.html").is_file()
    assert "regression: accuracy(macro) of sft-tag drops" in capsys.readouterr().out
    assert leaderboard(new, "--baseline", old, "--fail-if", "accuracy(macro) of base drops") == 0
    assert "ok: accuracy(macro) of base" in capsys.readouterr().out


def test_a_requirement_that_is_not_shown_does_not_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored(tmp_path / "run", of_seeds(0, 1, 2))
    assert leaderboard(run, "--require", "sft-tag-x2 not worse than base by 1") == 0
    assert (
        "\nok: sft-tag-x2 not worse than base by 1: Is sft-tag-x2 at most 1 point worse"
        in capsys.readouterr().out
    )
    both = ["--require", "sft-tag > base by 5", "--require", "sft-tag not worse than sft-tag-x2 by 0.1"]
    assert leaderboard(run, *both) == 1
    out = capsys.readouterr().out
    assert "\nok: sft-tag > base by 5: " in out
    assert "\nnot shown: sft-tag not worse than sft-tag-x2 by 0.1: " in out


def test_the_rest_is_printed_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored(tmp_path / "run", of_seeds(0, 1, 2))
    leaderboard(run)
    short = capsys.readouterr().out
    leaderboard(run, "--full", "--margin", 30)
    full = capsys.readouterr().out
    assert "Training compute of one seed" in full
    assert "Training compute of one seed" not in short
    assert "equivalent" in full
    assert json.loads((run / "leaderboard" / "manifest.json").read_text())["board"]["margin"] == 0.3
    with pytest.raises(InputError, match="--margin 0: choose points above 0"):
        leaderboard(run, "--margin", 0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--require", "sft-tag > nothing"], "claim 'sft-tag > nothing': nothing: "),
        (["--require", "sft-tag drops"], "not a claim; write A > B"),
        (["--fail-if", "accuracy(macro) drops"], "--baseline RUN_DIR"),
        (["--baseline", "RUN"], "--fail-if"),
        (["--baseline", "RUN", "--fail-if", "accuracy falls"], "not a condition; write METRIC"),
        (["--baseline", "nowhere", "--fail-if", "accuracy(macro) drops"], "no such file"),
    ],
)
def test_a_gate_that_cannot_be_read_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: list[str], expected: str
) -> None:
    run = stored(tmp_path / "run", of_seeds(0, n=10))
    with pytest.raises(InputError, match=expected):
        leaderboard(run, *(str(run) if argument == "RUN" else argument for argument in arguments))
    assert not (run / "leaderboard").exists()


def test_a_page_may_be_had_without_samples(tmp_path: Path) -> None:
    run = stored(tmp_path / "run", of_seeds(0))
    leaderboard(run, "--samples", 0)
    page = (run / "leaderboard" / "leaderboard.html").read_text()
    assert 'type="text/plain"' not in page
    leaderboard(run)
    assert 'type="text/plain"' in (run / "leaderboard" / "leaderboard.html").read_text()


def test_a_claim_of_a_finished_run_is_answered_and_comes_late(tmp_path: Path) -> None:
    run = stored(tmp_path / "run", of_seeds(0, 1, 2))
    leaderboard(run, "--claim", "sft-tag < sft-tag-x2", "--claim", "sft-tag = base within 40 points")
    first, second = json.loads((run / "leaderboard" / "leaderboard.json").read_text())["claims"]
    assert (first["claim"], first["standing"], first["declared"]) == ("sft-tag < sft-tag-x2", "after", None)
    assert second["verdict"] == "confirmed"
    assert "may have been seen" in (run / "leaderboard" / "leaderboard.html").read_text()
    with pytest.raises(InputError, match="claim 'sft-tag > bse': bse: did you mean 'base'"):
        leaderboard(run, "--claim", "sft-tag > bse")


def power(*arguments: object) -> int:
    return app(["power", *map(str, arguments)], standalone_mode=False) or 0


def test_a_pilot_says_what_a_difference_needs_and_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored(tmp_path / "run", of_seeds(0, 1, 2))
    power(run, "--claim", "sft-tag > sft-tag-x2", "--difference", 4)
    out = " ".join(capsys.readouterr().out.split())
    assert "sft-tag and sft-tag-x2 on accuracy, from 3 seeds and 240 questions" in out
    assert "4 points with 960 questions: " in out
    assert " FLOPs of training, " in out
    power(run, "--claim", "sft-tag > base over world_number", "--corrected")
    out = " ".join(capsys.readouterr().out.split())
    assert "from 3 seeds and 60 questions" in out
    assert "found four times in five at 1.7 %" in out


def test_before_any_run_assumptions_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    power("--questions", "500,1319", "--seed-sd", 2)
    assert "a standard deviation of 2 points" in (out := capsys.readouterr().out)
    assert "2 points with 1,819 questions: " in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--difference", "0"], "--difference 0: choose points above 0"),
        (["--questions", "100,x"], "--questions 100,x: write numbers from 2 on"),
        (["--differ", "nan"], "--differ nan: choose a number above 0"),
        (["--seed-sd", "-1"], "--seed-sd -1: choose points from 0"),
        (["--claim", "a > b"], "--claim: needs a run"),
        (["RUN", "--claim", "sft-tag > sft-tag-x3"], "sft-tag-x3: did you mean 'sft-tag-x2'"),
        (["RUN", "--claim", "sft-tag > base"], "sft-tag and base have 1 seeds in common"),
    ],
)
def test_what_power_cannot_be_told_of_is_refused(tmp_path: Path, arguments: list[str], expected: str) -> None:
    run = stored(tmp_path / "run", of_seeds(0, n=10))
    with pytest.raises(InputError, match=expected):
        power(*(str(run) if argument == "RUN" else argument for argument in arguments))
