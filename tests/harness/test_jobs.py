"""Rivals trained through the command: shared references, matched budgets, telemetry in the results."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import call, command, environment

from leaderboards import read_results

RIVALS = "sft-tag,asft,iw-sft,rho-1,token-cleaning,psft,sft-tag+rho-1"
SMALL = ["--benchmarks", "world_number", "--limit", 24, "--engine", "hf", "--set", "train.batch_size=8"]
BRIEF = ["--set", "eval.max_new_tokens=8", "--set", "train.log_every=2"]


@pytest.fixture(scope="module")
def rivals(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every objective with a reference model, watched closely."""
    run = tmp_path_factory.mktemp("rivals")
    watched = ["--set", "train.validate_every=4", "--set", "train.gradient_norms=true"]
    few = ["--set", "train.validation_records=6"]
    done = call(
        run, "train-and-eval", "--model", tiny_base, "--variants", RIVALS, "--seeds", 1, "--out", run,
        *SMALL, *BRIEF, *watched, *few,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "training 8 of 8 stages" in done.stderr, "plain SFT is the reference of three and trained once"
    assert "Compute-matched" in (run / "leaderboard" / "leaderboard.md").read_text()
    return run


@pytest.mark.heavy
def test_variants_take_the_same_steps_and_tokens_and_are_charged_their_references(rivals: Path) -> None:
    costs = {entry.name: entry.training for entry in read_results(rivals).entries if entry.training}
    assert len(costs) == 7
    assert len({(cost.steps, cost.tokens_forward) for cost in costs.values()}) == 1
    plain = costs["sft-tag"]
    corpus = plain.tokens_forward // 3  # three passes
    assert plain.reference_tokens == costs["psft"].reference_tokens == 0
    assert costs["asft"].reference_tokens == costs["iw-sft"].reference_tokens == corpus
    assert costs["rho-1"].reference_tokens == plain.tokens_forward + corpus
    assert costs["token-cleaning"].reference_tokens == plain.tokens_forward + 2 * corpus
    assert costs["sft-tag+rho-1"].stages == ("sft", "rho-1")
    assert plain.budget == "the steps of 3 epochs in all"


@pytest.mark.heavy
def test_what_reference_models_say_is_kept_once(rivals: Path) -> None:
    arrays = sorted(path.parent.name for path in (rivals / "store" / "references").glob("*/log_probs.npy"))
    hidden = list((rivals / "store" / "references").glob("*/hidden.npy"))
    assert (len(arrays), len(hidden)) == (3, 1), "base, base with its distribution, plain SFT"
    assert not list((rivals / "store").glob("partial/*/checkpoint-*"))


@pytest.mark.heavy
def test_the_history_is_on_the_leaderboard(rivals: Path) -> None:
    curves = read_results(rivals).curves
    assert set(curves["entry"]) == set(RIVALS.split(","))
    one = curves[curves["entry"] == "sft-tag+rho-1"]
    assert list(one["step"]) == sorted(one["step"])
    assert set(one["stage"]) == {1, 2}
    losses = ["loss_thinking", "loss_answer", "loss_tags", "gradient_norm", "gradient_norm_answer"]
    assert one[losses].notna().all().all()
    looked = one[one["accuracy"].notna()]
    assert {4} < set(looked["step"]), "every four steps and after each stage"
    assert looked["format_valid"].between(0, 1).all()
    page = (rivals / "leaderboard" / "leaderboard.html").read_text(encoding="utf-8")
    assert "Training" in page


@pytest.mark.heavy
def test_a_killed_stage_goes_on_where_it_was(tiny_base: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of a stage that saves after every step; the rerun ends in the same weights."""
    given = ["--model", tiny_base, "--variants", "sft-tag", "--seeds", 1, *SMALL[:-2]]
    slow = ["--set", "train.batch_size=4", "--set", "train.epochs=6", "--set", "train.log_every=1"]

    def arguments(out: str, *more: object) -> list[object]:
        return ["train", *given[:-2], *slow, "--out", tmp_path / out, *more]

    call(tmp_path, *arguments("whole"))
    cut = arguments("cut", "--set", "train.save_minutes=0")
    process = subprocess.Popen(command(*cut), env=environment(tmp_path))
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        saves = (tmp_path / "cut").glob("store/partial/*/checkpoint-*/sftkey_progress.json")
        if any(int(path.parent.name.split("-")[1]) >= 5 for path in saves):
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.005)
    assert process.wait(timeout=120) == -signal.SIGKILL
    [partial] = (tmp_path / "cut" / "store" / "partial").iterdir()
    assert list(partial.glob("checkpoint-*")), "it was killed within the stage"
    assert "training 1 of 1" in call(tmp_path, *cut).stderr
    manifests = [
        json.loads(p.read_text()) for p in sorted(tmp_path.glob("*/store/stages/*/sftkey_manifest.json"))
    ]
    assert manifests[0]["weights_digest"] == manifests[1]["weights_digest"]
    histories = [p.read_text() for p in sorted(tmp_path.glob("*/store/stages/*/metrics.jsonl"))]
    losses = [[json.loads(line)["loss"] for line in text.splitlines()] for text in histories]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 36


def test_tags_can_be_tokens_of_the_vocabulary(harness, tiny_base: Path, tmp_path: Path) -> None:
    done = harness(
        "train-and-eval", "--model", tiny_base, "--variants", "sft-tag", "--seeds", 1,
        "--out", tmp_path / "run", *SMALL, *BRIEF,
        "--set", "train.tag_tokens=true", "--set", "train.epochs=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [checkpoint] = (tmp_path / "run" / "store" / "stages").iterdir()
    tokens = json.loads((checkpoint / "tokenizer.json").read_text())["added_tokens"]
    added = {token["content"]: token["special"] for token in tokens}
    assert added["</Thinking>"] is False, "a special token would vanish from decoded text"
    count = int(re.search(r"thinking_tag ([\d,]+)", done.stdout)[1].replace(",", ""))
    assert count <= 4 * 24, "each tag is a token, and so may a line break be"


def test_tag_tokens_with_an_adapter_are_refused_with_the_reason(harness, tiny_base: Path) -> None:
    done = harness(
        "train", "--model", tiny_base, "--benchmarks", "world_number", "--method", "lora",
        "--set", "train.tag_tokens=true",
    )  # fmt: skip
    assert done.returncode == 2
    assert "train.tag_tokens needs full fine-tuning" in done.stderr
    assert "vLLM does not load" in done.stderr


def test_trackers_get_the_history_through_transformers(harness, tiny_base: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="no tracker is installed")
    done = harness(
        "train", "--model", tiny_base, "--variants", "sft-tag", "--seeds", 1, "--out", tmp_path / "run",
        *SMALL[:-4], "--set", "train.epochs=1", "--set", "train.report_to=tensorboard",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [events] = (tmp_path / "run" / "tracking").glob("*/events.*")
    content = events.read_bytes()
    for name in (b"train/loss", b"train/loss_thinking", b"train/loss_answer", b"train/loss_tags"):
        assert name in content


@pytest.mark.parametrize(
    ("tracker", "message"), [("tensorbored", "tensorbored is not supported"), ("comet_ml", "comet")]
)
def test_a_tracker_that_is_not_there_is_one_clear_line(
    harness, tiny_base: Path, tmp_path: Path, tracker: str, message: str
) -> None:
    done = harness(
        "train", "--model", tiny_base, "--variants", "sft-tag", "--seeds", 1, "--out", tmp_path / "run",
        *SMALL[:-4], "--set", f"train.report_to={tracker}",
    )  # fmt: skip
    assert done.returncode == 2
    assert f"train.report_to {tracker}: " in done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2, "no traceback"
