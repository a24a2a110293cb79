"""The main job on a tiny model: the same figures whole, again, after a kill, beside others' checkpoints."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from command_line import call, command, environment, hear_interrupts

from harness.engines.api import Completion, Request
from harness.engines.registry import ENGINES
from leaderboards import read_results

ENGINE = "vllm" if ENGINES["vllm"].installed else "hf"
SETTINGS = (
    "train_limit=24", "train.batch_size=8", "train.epochs=2",
    "train.learning_rate=1e-3", "train.log_every=1", "eval.max_new_tokens=24",
    "eval.engine_settings.kv_cache_gib=0.25",
)  # fmt: skip


def arguments(model: Path, out: Path, engine: str = "hf") -> list[object]:
    sets = [part for setting in SETTINGS for part in ("--set", setting)]
    return [
        "train-and-eval", "--model", model, "--benchmarks", "world_number,world_choice",
        "--variants", "sft,sftkey-tag,sft-tag-x2", "--seeds", 2, "--limit", 6, "--engine", engine,
        "--out", out, *sets,
    ]  # fmt: skip


def samples(out: Path) -> pd.DataFrame:
    frame = read_results(out).samples
    return frame.sort_values(["entry", "seed", "benchmark", "sample_id"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def whole(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An uninterrupted run: its folder, and what it printed."""
    scratch = tmp_path_factory.mktemp("whole")
    done = call(scratch, *arguments(tiny_base, scratch / "run"))
    assert done.returncode == 0, done.stderr
    return scratch / "run", done.stdout + done.stderr


def test_a_run_stores_config_results_samples_and_report(whole: tuple[Path, str]) -> None:
    out, printed = whole
    results = read_results(out)
    assert {(entry.name, entry.seed) for entry in results.entries} == {
        ("base", None), *((name, seed) for name in ("sft", "sftkey-tag", "sft-tag-x2") for seed in (0, 1))
    }  # fmt: skip
    assert len(results.samples) == 7 * 2 * 6
    for file in ("config.yaml", "leaderboard/leaderboard.html", "leaderboard/leaderboard.md"):
        assert (out / file).is_file()
    assert str(out / "leaderboard" / "leaderboard.html") in printed


def test_the_control_costs_exactly_what_sftkey_costs(whole: tuple[Path, str]) -> None:
    entries = {(entry.name, entry.seed): entry for entry in read_results(whole[0]).entries}
    for seed in (0, 1):
        key, control = entries["sftkey-tag", seed].training, entries["sft-tag-x2", seed].training
        assert key is not None
        assert control is not None
        assert (key.steps, key.tokens_forward) == (control.steps, control.tokens_forward)
        assert key.tokens_loss < control.tokens_loss
        assert key.flops < control.flops, "the head works for the tokens with loss alone"


def test_a_checkpoint_is_an_ordinary_folder_with_manifest_and_history(whole: tuple[Path, str]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    entry = next(entry for entry in read_results(whole[0]).entries if entry.name == "sftkey-tag")
    folder = Path(entry.checkpoint)
    AutoModelForCausalLM.from_pretrained(folder)
    AutoTokenizer.from_pretrained(folder)
    manifest = json.loads((folder / "sftkey_manifest.json").read_text())
    assert manifest["stage"]["stage"]["name"] == "key"
    assert manifest["stage"]["seed"] == entry.seed
    assert manifest["packages"]["torch"]
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert history[-1]["step"] == manifest["cost"]["steps"] // 1
    assert history[-1]["loss_thinking"] > 0


def test_a_rerun_trains_and_generates_nothing(whole: tuple[Path, str], tiny_base: Path, harness) -> None:
    out, _ = whole
    before = samples(out)
    done = harness(*arguments(tiny_base, out))
    assert done.returncode == 0, done.stderr
    assert "training 0 of 8 stages" in done.stderr
    assert "generated" not in done.stderr
    pd.testing.assert_frame_equal(samples(out), before)


@pytest.mark.heavy
@pytest.mark.parametrize("after", ["seed 0: ", "evaluating"])
def test_a_killed_run_comes_to_the_same_figures(
    after: str, whole: tuple[Path, str], tiny_base: Path, tmp_path: Path
) -> None:
    given = arguments(tiny_base, tmp_path / "run")
    log = tmp_path / "log"
    with (
        log.open("w") as file,
        subprocess.Popen(command(*given), stdout=file, stderr=file, env=environment(tmp_path)) as process,
    ):
        while after not in log.read_text() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.7)
        os.kill(process.pid, signal.SIGKILL)
    done = call(tmp_path, *given)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(samples(tmp_path / "run"), samples(whole[0]))


@pytest.mark.heavy
def test_ctrl_c_is_130_without_a_traceback(tiny_base: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        command(*arguments(tiny_base, tmp_path / "run")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
        preexec_fn=hear_interrupts,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from what is done" in errors
    assert "Traceback" not in errors


def test_a_second_run_in_the_same_folder_is_refused(tiny_base: Path, tmp_path: Path, harness) -> None:
    import fcntl

    out = tmp_path / "run"
    out.mkdir()
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = harness(*arguments(tiny_base, out))
    assert done.returncode == 2
    assert "another run works in this folder" in done.stderr


def test_the_prompt_that_is_trained_is_the_prompt_that_is_evaluated(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the same data, every prompt that reaches an engine is the start of a training example."""
    from rich.console import Console

    from harness.config import load_config
    from harness.engines.hf import HfEngine
    from harness.evaluation.evaluate import Evaluator
    from harness.evaluation.generations import GenerationStore
    from harness.models.checkpoint import Checkpoint, whole_model
    from harness.plan import make_plan
    from harness.progress import Reporter
    from tasks.world import generate

    monkeypatch.setattr(generate, "_records", generate._records.__wrapped__)
    monkeypatch.setattr(generate, "SPLIT_OF_BUCKET", {})
    monkeypatch.setitem(generate.SPLIT_SIZE, "test", 8)
    train = {name: generate.load("train", kind=name, size=8) for name in ("number", "choice")}
    monkeypatch.setattr(generate, "load", lambda split, kind, **options: train[kind])
    flags = {
        "model": str(tiny_base),
        "benchmarks": "world_number,world_choice",
        "eval.engine": "hf",
        "out": tmp_path,
    }
    config = load_config(None, flags, ["variants=sft-tag", "train.batch_size=4", "eval.key=false"])
    plan = make_plan(config)
    seen: list[list[int]] = []

    def generate_nothing(engine: HfEngine, requests: list[Request]) -> Iterator[object]:
        for index, request in enumerate(requests):
            seen.append(list(request.prompt))
            yield index, (Completion("x", "stop", len(request.prompt), 1),)

    monkeypatch.setattr(HfEngine, "generate", generate_nothing)
    checkpoint = Checkpoint(
        "x", "trained", "m", 0, "thinking-answer", None, str(tiny_base), whole_model(tiny_base)
    )
    with GenerationStore(tmp_path / "store.sqlite") as store:
        Evaluator(config, plan.benchmarks, store, Reporter(Console(quiet=True))).evaluate([checkpoint])
    corpus = plan.corpora["thinking-answer"]
    prompts = []
    for example in (corpus[i] for i in range(len(corpus))):
        ids = example["input_ids"][example["segments"] == 0].tolist()
        assert ids.count(0) == 1  # exactly one BOS
        prompts.append(ids)
    assert sorted(seen) == sorted(prompts)


@pytest.mark.heavy
def test_lora_trains_and_evaluates_through_the_default_engine(
    tiny_base: Path, tmp_path: Path, harness
) -> None:
    given = arguments(tiny_base, tmp_path / "run", ENGINE)
    done = harness(*given, "--method", "lora", "--seeds", "1")
    assert done.returncode == 0, done.stderr
    entry = next(entry for entry in read_results(tmp_path / "run").entries if entry.name == "sftkey-tag")
    assert entry.method == "lora"
    assert (Path(entry.checkpoint) / "adapter_model.safetensors").is_file()


@pytest.mark.heavy
def test_checkpoints_from_elsewhere_stand_beside_trained_variants(
    whole: tuple[Path, str], foreign_gpt2: Path, foreign_adapter: Path, tmp_path: Path, harness
) -> None:
    common = [
        "--benchmarks", "world_number,world_choice", "--limit", "6", "--engine", ENGINE,
        "--set", "eval.max_new_tokens=24", "--set", "eval.engine_settings.kv_cache_gib=0.25",
    ]  # fmt: skip
    model = harness("eval", "--model", foreign_gpt2, *common, "--out", tmp_path / "m", "--name", "theirs")
    assert model.returncode == 0, model.stderr
    adapter = harness(
        "eval", "--model", foreign_gpt2, "--adapter", foreign_adapter, "--tags", "think-answer", *common,
        "--out", tmp_path / "a",
    )  # fmt: skip
    assert adapter.returncode == 0, adapter.stderr
    assert samples(tmp_path / "m")["prompt"].str.startswith("<|user|>Question:").all()
    runs = [whole[0], tmp_path / "m", tmp_path / "a", "--out", tmp_path / "board"]
    refused = harness("leaderboard", *runs)
    assert refused.returncode == 2
    assert "asked in another prompt" in refused.stderr, "theirs in chat, ours plainly"
    board = harness("leaderboard", *runs, "--allow-different", "prompt")
    assert board.returncode == 0, board.stderr
    page = (tmp_path / "board" / "leaderboard.html").read_text()
    for name in ("theirs", "gpt2-lora", "sftkey-tag", "base"):
        assert name in page
