"""What the command prints is text: markup, escapes and ends of lines in names are shown, not obeyed."""

import io
import json
import os
import subprocess
from pathlib import Path

import pytest
from command_line import command, environment
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from harness.evaluation.lm import write_lm_eval_files
from harness.external import check_out
from harness.models.checkpoint import Checkpoint, Weights
from harness.progress import Reporter, console
from tasks.errors import InputError

EVIL = "[/red][red]a\x1b[2J\x9b31m\u202eb\x00{}%s:smile:"
SHOWN = r"[/red][red]a\x1b[2J\x9b31m\u202eb\x00{}%s:smile:"


def test_a_console_of_the_command_draws_no_markup_and_sends_no_control(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = console()
    table, tree = Table(EVIL, title=EVIL), Tree(EVIL)
    table.add_row(EVIL)
    tree.add(EVIL)
    for drawn in (EVIL, table, tree):
        screen.print(drawn, soft_wrap=True)
    text = capsys.readouterr().out
    assert not set(text) & set("\x1b\x9b\u202e\x00")
    assert text.replace("\n", "").count("[/red][red]a") == 6
    assert SHOWN in text
    assert "😄" not in text


@pytest.mark.parametrize("terminal", [False, True])
def test_labels_of_stages_and_checkpoints_are_text(terminal: bool) -> None:
    file = io.StringIO()
    reporter = Reporter(Console(file=file, force_terminal=terminal, width=200, color_system=None))
    reporter.line(EVIL)
    with reporter.stage(EVIL, 3):
        pass
    with reporter.evaluation(EVIL, 2, 0) as progress:
        progress.advance(5)
    text = file.getvalue()
    assert text.count(SHOWN) >= 3
    assert not set(text) & set("\x9b\u202e\x00")
    assert "\x1b[2J" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("train-and-eval", "--variants", "a\x1b[2J\n\u202e{}[/red]", "--dry-run"),
        ("list", "a\x1b[2J\n\u202e{}[/red]"),
        ("list", "variants", "--a\x1b[2J\n\u202e{}[/red]"),
        (b"score", b"a\xff", b"--kind", b"number"),
    ],
    ids=ascii,
)
def test_an_error_is_one_line_of_text(arguments: tuple[str | bytes, ...], tmp_path: Path) -> None:
    whole = [os.fsencode(one) for one in [*command(), *arguments]]
    done = subprocess.run(whole, env=environment(tmp_path), capture_output=True, check=False)
    assert done.returncode == 2
    line = done.stderr.decode("utf-8")
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert line[:-1].isprintable()


def test_two_names_never_share_lm_evals_folder(tmp_path: Path) -> None:
    stored = tmp_path / "stored"
    stored.mkdir()
    keys = ("results", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples")
    report = {key: {} for key in (*keys, "task_hashes")} | {"total_evaluation_time_seconds": "1"}
    (stored / "results_2026.json").write_text(json.dumps(report))
    names = ("a/b", "a__b", "c")
    files = write_lm_eval_files(tmp_path / "run", {name: [stored] for name in names})
    assert len({path.parent for path in files}) == 3
    assert [json.loads(path.read_text())["model_name"] for path in files] == [*names]
    assert {path.parent.parent for path in files} == {tmp_path / "run" / "lm-eval"}


def test_results_of_a_name_with_the_same_folder_are_not_written_over(tmp_path: Path) -> None:
    entry = {"name": "a b", "digest": "d", "evaluations": [{"benchmark": "gsm8k"}]}
    (tmp_path / "results.json").write_text(json.dumps({"entries": [entry]}))

    def wanted(name: str) -> list[Checkpoint]:
        return [Checkpoint(name, "external", "m", None, "none", None, "there", Weights(tmp_path, None, "d"))]

    check_out(tmp_path, wanted("a b"), ["gsm8k"])
    check_out(tmp_path, wanted("other"), ["gsm8k"])
    with pytest.raises(InputError, match="holds results of 'a b', whose folder is called alike"):
        check_out(tmp_path, wanted("a-b"), ["gsm8k"])
