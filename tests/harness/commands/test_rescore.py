"""`harness rescore`: a stored run judged again, each sample for itself, without an engine."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from stored_run import OUTPUTS, ROWS, sample, store

from harness.commands.rescore import KEPT, MOST_CHANGES_SHOWN, print_report, rescore, rescore_command
from leaderboards.board.build import build_board
from leaderboards.results.schema import RESULTS_FILE, SAMPLES_FILE, Declared, JudgeCheck
from leaderboards.results.store import read_results, write_results
from tasks.errors import InputError
from tasks.scoring import scorer_digest


def test_a_run_of_todays_scorer_stays_as_it_is(tmp_path: Path) -> None:
    store(tmp_path, ROWS)
    before = read_results(tmp_path)
    report = rescore(tmp_path, workers=1)
    after = read_results(tmp_path)
    assert (report.changes, report.n, report.same_scorer) == ((), {"sums": 4}, False)
    assert before.samples.drop(columns="defects").equals(after.samples.drop(columns="defects"))
    assert before.samples["defects"].map(list).equals(after.samples["defects"].map(list))
    assert before.provenance == after.provenance
    assert [one.scorer for one in after.entries[0].evaluations] == [scorer_digest()]
    assert rescore(tmp_path, workers=1).same_scorer
    assert not (tmp_path / KEPT).exists()


def test_each_changed_verdict_is_told(tmp_path: Path) -> None:
    rows = [
        replace(ROWS[0], accuracy=False, accuracy_strict=False, extracted=None, score=0.5),
        *ROWS[1:3],
        replace(ROWS[3], format_valid=False, score=0.5, defects=("wrong_order",)),
    ]
    store(tmp_path, rows)
    report = rescore(tmp_path, workers=1)
    (change,) = report.changes
    assert (change.sample_id, change.sample_index, change.before, change.after) == ("q0", 0, False, True)
    assert (report.accuracy_strict, report.format_valid) == ({"sums": 1}, {"sums": 1})
    restored = read_results(tmp_path).samples
    assert restored["score"].tolist() == [row.score for row in ROWS]
    assert restored["extracted"].isna().tolist() == [False, True, False, False]
    console = Console(record=True, width=100)
    print_report(report, console)
    text = console.export_text()
    assert "sums q0 (r1): wrong → right, extracted '5', before None" in text


def test_no_more_than_the_first_changes_are_listed(tmp_path: Path) -> None:
    wrong = [sample(index, OUTPUTS[0], accuracy=False) for index in range(2 * MOST_CHANGES_SHOWN)]
    report = rescore(store(tmp_path, wrong), workers=1)
    console = Console(record=True, width=100)
    print_report(report, console)
    text = console.export_text()
    assert text.count("wrong → right") == MOST_CHANGES_SHOWN
    assert f"and {MOST_CHANGES_SHOWN} more" in text


def test_elsewhere_the_run_itself_is_left_alone(tmp_path: Path) -> None:
    run = store(tmp_path / "run", [replace(row, accuracy=False) for row in ROWS])
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    rescore(run, tmp_path / "out", workers=1)
    assert before == {path.name: path.read_bytes() for path in run.iterdir()}
    assert (tmp_path / "out" / "config.yaml").read_text() == "alpha: 0.5\n"
    assert read_results(tmp_path / "out").samples["accuracy"].tolist() == [row.accuracy for row in ROWS]


def test_the_claims_on_record_stay(tmp_path: Path) -> None:
    run, record = read_results(store(tmp_path, ROWS)), Declared("r1 > r2", "d", "2026-03-04", True, 4, 9)
    write_results(tmp_path, run.provenance, run.entries, run.samples, declared=[record])
    rescore(tmp_path, workers=1)
    results = read_results(tmp_path)
    assert results.declared == (record,)
    assert build_board([results]).claims == (), "a part of a run cannot answer"


def test_the_judges_verdicts_stay_and_are_compared_with_the_new_ones(tmp_path: Path) -> None:
    rows = [replace(row, accuracy=False, judge=row.accuracy) for row in ROWS[:3]] + [ROWS[3]]
    judge = JudgeCheck("llama", "1", 4, 1)
    rescore(store(tmp_path, rows, judge), workers=1)
    results = read_results(tmp_path)
    assert results.entries[0].evaluations[0].judge == judge
    (found,) = [cell.judged for row in build_board([results]).rows for cell in row.cells]
    assert found is not None
    assert (found.n, found.agreement, found.kappa) == (3, 1.0, 1.0)


def test_an_interrupted_rescoring_is_undone_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new samples are there already, but not the JSON that names them."""
    run = store(tmp_path, [replace(row, accuracy=False) for row in ROWS])
    whole = (run / RESULTS_FILE).read_bytes()

    def killed(*_: object, **__: object) -> None:
        (run / SAMPLES_FILE).write_bytes(b"new")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("harness.commands.rescore.write_results", killed)
        with pytest.raises(KeyboardInterrupt):
            rescore(run, workers=1)
    assert (run / KEPT / RESULTS_FILE).read_bytes() == whole
    with pytest.raises(InputError, match="damaged"):
        read_results(run)
    assert len(rescore(run, workers=1).changes) == 2
    assert read_results(run).samples["accuracy"].tolist() == [row.accuracy for row in ROWS]


def test_what_cannot_be_scored_again_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        rescore(tmp_path / "missing")
    run = store(tmp_path, ROWS)
    results = read_results(run)
    gone = [replace(entry, tags="gone.yaml") for entry in results.entries]
    write_results(run, results.provenance, gone, results.samples)
    with pytest.raises(InputError, match=r"gone\.yaml: tag format cannot be read"):
        rescore(run)
    (run / "config.yaml").write_text("alpha: many\n")
    with pytest.raises(InputError, match="alpha cannot be read"):
        rescore(run)


def test_the_command_needs_no_torch(tmp_path: Path) -> None:
    store(tmp_path, [replace(ROWS[0], accuracy=False), *ROWS[1:]])
    code = (
        "import sys; from harness.__main__ import app\n"
        f"app(['rescore', {str(tmp_path)!r}, '--workers', '1'], standalone_mode=False)\n"
        "print(json.dumps(sorted({'torch', 'lm_eval', 'transformers'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", f"import json; {code}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "wrong → right" in done.stdout
    assert f"next: harness leaderboard {tmp_path}" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_files_in_lm_evals_form_hold_the_old_verdicts_so_they_go_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(tmp_path / "run", ROWS)
    rescore_command(tmp_path / "run")
    assert "lm-eval" not in capsys.readouterr().out
    (tmp_path / "run" / "lm-eval" / "r1").mkdir(parents=True)
    rescore_command(tmp_path / "run", tmp_path / "out")
    assert (tmp_path / "run" / "lm-eval").is_dir(), "they still fit the run"
    assert "lm-eval" not in capsys.readouterr().out
    rescore_command(tmp_path / "run")
    assert not (tmp_path / "run" / "lm-eval").exists()
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"removed: {tmp_path / 'run' / 'lm-eval'}, lm-eval's own files, which held the old verdicts" in said
    )
