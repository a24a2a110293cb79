"""Several processes give what one gives: history, weights, files. All of it on a CPU, over gloo."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from distributed_worker import SETTINGS, train_and_save, uneven_corpus
from safetensors.torch import load_file
from tiny import largest_difference, tiny_model, train_tokenizer
from transformers import TrainingArguments

from sftkey_train.batches import BatchOrder
from sftkey_train.settings import training_arguments
from sftkey_train.stored import read_history, read_manifest, weights_digest
from tasks.errors import InputError

HERE = Path(__file__).parent
LAUNCH_CONFIGS = HERE.parents[1] / "sftkey_train" / "launch"
SECONDS = 150
"""A launch that takes longer hangs."""
BY_KIND = {
    "ddp": (
        "sft", "key", "rho-1", "psft", "asft", "packed", "norms", "probe", "resumed", "resumed-lora"
    ),
    "fsdp": ("sft", "key", "rho-1", "psft", "asft", "tied", "lora", "norms", "probe", "resumed-tied"),
    "zero2": ("sft", "tied", "lora", "psft", "resumed"),
    "zero3": ("sft", "tied", "lora", "psft", "norms", "probe", "resumed"),
}  # fmt: skip
REFUSED = {("fsdp", "norms"), ("zero3", "norms"), ("zero3", "psft"), ("zero3", "probe")}


def run(command: list[object], **environment: str) -> str:
    """Runs a launch to its end, and nothing of it beyond; gives what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    try:
        printed, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()  # the launcher ends its workers
        printed, _ = process.communicate()
        pytest.fail(f"the launch hangs:\n{printed[-3000:]}")
    assert process.returncode == 0, printed[-3000:]
    return printed


def launch(kind: str, out: Path) -> Path:
    """Two processes train the cases of a kind of launch."""
    worker, cases = HERE / "distributed_worker.py", BY_KIND[kind]
    if kind == "ddp":
        run(["torch.distributed.run", "--standalone", "--nproc-per-node", 2, worker, "plain", out, *cases])
        return out
    config = LAUNCH_CONFIGS / f"{kind}.yaml"
    accelerate = ["accelerate.commands.launch", "--config_file", config, "--num_processes", 2]
    command = [*accelerate, "--main_process_port", 0, worker, "sharded", out, *cases]
    run(command, ACCELERATE_TORCH_DEVICE="cpu", DS_ACCELERATOR="cpu")
    return out


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a case trained by this process."""
    out = tmp_path_factory.mktemp("one")

    def folder(case: str) -> Path:
        if not (out / case).is_dir():
            train_and_save(case, out)
        return out / case

    return folder


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of the cases of a kind of launch, which takes place once."""
    done: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind.startswith("zero") and find_spec("deepspeed") is None:
            pytest.skip("DeepSpeed is not installed: pip install deepspeed")
        if kind not in done:
            done[kind] = launch(kind, tmp_path_factory.mktemp(kind))
        return done[kind]

    return folder


def weights_of(directory: Path) -> dict[str, torch.Tensor]:
    (path,) = directory.glob("*.safetensors")
    return load_file(path)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("kind", "case"),
    [(kind, case) for kind, cases in BY_KIND.items() for case in cases if (kind, case) not in REFUSED],
)
def test_two_processes_give_what_one_gives(
    one: Callable[[str], Path], launched: Callable[[str], Path], kind: str, case: str
) -> None:
    single, together = one(case), launched(kind) / case
    assert largest_difference(weights_of(single), weights_of(together)) < 1e-5
    expected, found = read_history(single), read_history(together)
    assert len(expected) == len(found) > 2
    for line, other in zip(expected, found, strict=True):
        assert line.rewards == other.rewards == {}
        changed = {"wall_seconds": 0.0, "rewards": 0.0}  # the one differs, the other is no number
        expected_line, found_line = ({**asdict(each), **changed} for each in (line, other))
        assert found_line == pytest.approx(expected_line, rel=1e-5, abs=1e-5, nan_ok=True)


@pytest.mark.heavy
@pytest.mark.parametrize(("kind", "case"), [("ddp", "sft"), ("fsdp", "sft"), ("fsdp", "tied")])
def test_a_checkpoint_of_two_processes_is_an_ordinary_one(
    one: Callable[[str], Path], launched: Callable[[str], Path], kind: str, case: str
) -> None:
    """The same files and tensors, whole, in float32, tied weights once; counts are those of all processes."""
    single, together = one(case), launched(kind) / case
    assert {path.name for path in single.iterdir()} == {path.name for path in together.iterdir()}
    expected, found = weights_of(single), weights_of(together)
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in expected.items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in found.items()
    }
    assert ("lm_head.weight" in found) == (case == "sft")
    manifest = read_manifest(together)
    assert manifest["weights_digest"] == weights_digest(together)
    assert [manifest[name] for name in ("tokens", "flops")] == [
        read_manifest(single)[name] for name in ("tokens", "flops")
    ]
    assert manifest["sharded"] == (kind == "fsdp")


@pytest.mark.heavy
@pytest.mark.parametrize(("kind", "case"), sorted(REFUSED))
def test_what_cannot_be_done_with_sharded_weights_is_refused(
    launched: Callable[[str], Path], kind: str, case: str
) -> None:
    message = (launched(kind) / f"{case}.refused").read_text(encoding="utf-8")
    named = {"norms": "train.gradient_norms", "psft": "psft", "probe": "train.validate_every"}
    assert named[case] in message
    assert "\n" not in message


def test_the_examples_are_uneven_enough_to_tell_a_mean_of_means_from_the_mean() -> None:
    """In some step, one process has more than twice as many tokens as the other."""
    corpus = uneven_corpus()
    batches = list(BatchOrder(corpus.lengths_E, SETTINGS.batch_size, seed=1).batches(0, 3))
    tokens_of_ranks = [corpus.lengths_E[batch].reshape(-1, 2, 2).sum(axis=(0, 2)) for batch in batches]
    assert any(max(tokens) > 2 * min(tokens) for tokens in tokens_of_ranks)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("ACCELERATE_USE_FSDP", "over several GPUs alone"),
        ("ACCELERATE_USE_DEEPSPEED", "pip install deepspeed"),
    ],
)
def test_a_launch_that_would_not_shard_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, message: str
) -> None:
    """Accelerate would train on without sharding, or fail somewhere inside."""
    if variable == "ACCELERATE_USE_DEEPSPEED" and find_spec("deepspeed") is not None:
        pytest.skip("DeepSpeed is installed")
    monkeypatch.setenv(variable, "true")
    train_and_save("sft", tmp_path)
    assert message in (tmp_path / "sft.refused").read_text(encoding="utf-8")


def test_a_batch_that_does_not_divide_among_the_processes_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert SETTINGS.batch_size == 8
    of_stage = {"seed": 1, "learning_rate": 1e-2, "max_steps": 3, "warmup_steps": 1}
    with pytest.raises(InputError, match=r"train\.batch_size \(8\) is no multiple of the 3 processes"):
        training_arguments(SETTINGS, tmp_path, TrainingArguments, run_name="sft", **of_stage)


@pytest.mark.heavy
def test_the_command_trains_with_all_processes_and_reports_with_one(tmp_path: Path) -> None:
    """Two stages and two reference models, then the evaluation, which the first process runs alone."""
    tokenizer = train_tokenizer("byte-level")
    tokenizer.save_pretrained(tmp_path / "base")
    tiny_model(len(tokenizer)).save_pretrained(tmp_path / "base")
    arguments = [
        "--model", tmp_path / "base", "--benchmarks", "world_number",
        "--variants", "sft,sftkey-tag,rho-1,asft", "--seeds", 1, "--limit", 8, "--engine", "hf",
        "--out", tmp_path / "run", "--set", "train.batch_size=4", "--set", "train.epochs=1",
        "--set", "eval.max_new_tokens=4",
    ]  # fmt: skip
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", 2]
    printed = run(
        [*torchrun, "-m", "harness", "train-and-eval", *arguments], HARNESS_CACHE=str(tmp_path / "cache")
    )
    assert printed.count("evaluating 5 checkpoints") == 1
    assert printed.count("leaderboard.html") == 1
    assert printed.count("training 6 of 6 stages") == 1
    manifests = [read_manifest(path.parent) for path in tmp_path.rglob("sftkey_manifest.json")]
    assert [manifest["processes"] for manifest in manifests] == [2] * 6
