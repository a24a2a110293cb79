"""The command as a user meets it: exit codes, one-line errors, lists, the plan."""

import json
from pathlib import Path

import pytest

from leaderboards.results.store import read_results


def test_help_names_every_command(harness) -> None:
    done = harness("--help")
    assert done.returncode == 0
    for command in ("train-and-eval", "train", "sweep", "eval", "score", "leaderboard", "list"):
        assert command in done.stdout


def test_help_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, harness.__main__ as command\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(command.app, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'transformers', 'datasets', 'vllm', 'lm_eval', 'pandas', 'numpy', 'scipy'}\n"
        "print(heavy & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_help_says_of_a_command_what_the_command_says_of_itself() -> None:
    """Help imports none of them, so it has their first lines from a table."""
    import inspect
    import pkgutil

    from harness.__main__ import COMMANDS

    for made_by, said in COMMANDS.values():
        own = inspect.getdoc(pkgutil.resolve_name(f"harness.commands.{made_by}")) or ""
        assert " ".join(own.split("\n\n")[0].split()) == said


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("benchmarks", ["gsm8k", "openbookqa", "world_choice_gap1", "cot_collection", "2110.14168"]),
        ("variants", ["sftkey-tag", "sft-tag-x2", "arXiv 2512.21017"]),
        ("objectives", ["rho-1", "iw-sft", "−log pₜ", "arXiv 2404.07965", "gamma"]),
        ("tags", ["thinking-answer", "think-answer", "none"]),
        ("engines", ["vllm", "hf"]),
    ],
)
def test_list_shows_what_there_is(harness, what: str, expected: list[str]) -> None:
    done = harness("list", what)
    assert done.returncode == 0
    for text in expected:
        assert text in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["list", "benchmark"], "did you mean 'benchmarks'"),
        (["train-and-eval", "--benchmarks", "gsm8q"], "did you mean 'gsm8k'"),
        (["train-and-eval", "--variants", "sft-tg"], "did you mean 'sft-tag'"),
        (["train-and-eval", "--engine", "vlm"], "did you mean 'vllm'"),
        (["train-and-eval", "--set", "train.lerning_rate=1"], "did you mean 'learning_rate'"),
        (["train-and-eval", "--method", "qlorra"], "train.method"),
        (["train-and-eval", "--budget", "tokens=many"], "--budget tokens=many: expected a number"),
        (["train-and-eval", "--budget", "days"], "train.budget"),
        (["train", "--variants", "sft+sft-tag"], "joins a tagged and an untagged one"),
        (["sweep", "--grid", "lerning_rate=1"], "did you mean 'learning_rate'"),
        (["train-and-eval", "--config", "missing.yaml"], "missing.yaml: cannot be read"),
        (["train-and-eval", "--seeds", "three"], "--seeds"),
        (["train-and-eval", "--model", "/no/such/model", "--benchmarks", "world_number"], "no such folder"),
        (["train-and-eval", "--model", "x", "--benchmarks", ""], "no benchmarks"),
        (["eval", "--model", "/no/such/model", "--benchmarks", "world_number"], "no such folder"),
        (["eval", "--benchmarks", "world_number"], "name the checkpoint"),
        (["score", "missing.jsonl", "--kind", "number"], "missing.jsonl"),
        (["score", "x", "--kind", "numbr"], "did you mean 'number'"),
        (["leaderboard", "missing"], "missing/results.json"),
        (["leaderboard", "a", "b"], "--out"),
        (["train-and-eval", "--set", "reference=sft-tga"], "did you mean 'sft-tag'"),
        (["train-and-eval", "--set", "rank_by=acuracy"], "did you mean 'accuracy'"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(harness, arguments: list[str], expected: str) -> None:
    done = harness(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_dry_run_shows_the_graph_and_trains_nothing(harness, tmp_path: Path) -> None:
    done = harness("train-and-eval", "--dry-run", "--out", tmp_path / "run", "--seeds", "1", "--limit", "40")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "9 distinct, 9 to train" in text
    assert "sft for sftkey-tag, sft-tag-x2 (shared): 100 steps" in text  # half of 200
    assert "8 checkpoints (with the untrained base)" in text
    assert not (tmp_path / "run").exists()


def test_score_prints_json_and_writes_verdicts(harness, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs.jsonl"
    rows = [
        {"id": "a", "output": "<Thinking>6 + 1</Thinking>\n<Answer>7</Answer>", "gold": "7"},
        {"id": "b", "output": "<Thinking>6 + 1", "gold": 7},
    ]
    outputs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = harness(
        "score",
        outputs,
        "--kind",
        "number",
        "--tags",
        "thinking-answer",
        "--json",
        "--samples",
        tmp_path / "v.jsonl",
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["n"], report["accuracy"], report["format_valid"]) == (2, 0.5, 0.5)
    assert report["defects"]["unclosed_thinking"] == 1
    verdicts = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [verdict["accuracy"] for verdict in verdicts] == [True, False]


def test_a_folder_of_ones_own_needs_no_yaml(harness, tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mine"
    folder.mkdir(parents=True)
    (folder / "test.csv").write_text("prompt,label\n1 + 1?,2\n2 + 2?,4\n")
    (folder / "train.csv").write_text("prompt,label\n3 + 3?,6\n")
    own = ("--data-dir", folder.parent, "--fields", "question=prompt,answer=label", "--kind", "number")
    model = ("--model", tiny_base, "--benchmarks", "mine", "--engine", "hf", "--name", "m")
    short = ("--out", tmp_path / "run", "--set", "eval.max_new_tokens=4")
    done = harness("eval", *model, *own, *short)
    assert done.returncode == 0, done.stderr
    (sample, _) = read_results(tmp_path / "run").samples.to_dict("records")
    assert (sample["prompt"], sample["gold"]) == ("Question: 1 + 1?\nResponse:\n", "2")
    assert harness("leaderboard", tmp_path / "run", "--out", tmp_path / "board").returncode == 0
    looked = harness("inspect", tiny_base, "--benchmark", "mine", *own)
    assert "csv:" not in looked.stdout
    with (folder / "test.csv").open("a") as file:
        file.writelines(f"{n} + 1?,\n" for n in range(12))
    with (folder / "train.csv").open("a") as file:
        file.write("4 + 4?,\n")
    looked = harness("inspect", tiny_base, "--benchmark", "mine", *own)
    assert looked.returncode == 2
    said = "".join(looked.stdout.split())  # wherever lines were broken
    assert "test.csv:4:field'answer'ismissing" in said
    assert "mine:2morefaultsinitstestsplit" in said
    assert "!" + str(folder / "train.csv:3:field'answer'ismissing") in said
