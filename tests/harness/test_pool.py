"""Stages side by side: the same weights as one after another, and faults that end all of it cleanly."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from command_line import call, command, environment, hear_interrupts

pytestmark = pytest.mark.heavy
GIVEN = ["--benchmarks", "world_number", "--limit", 24, "--seeds", 1, "--set", "train.batch_size=8"]


def train(tiny_base: Path, out: Path, *more: object) -> list[object]:
    variants = "sft-tag,sftkey-tag,sft-tag-x2,rho-1"
    return ["train", "--model", tiny_base, "--variants", variants, "--out", out, *GIVEN, *more]


def digests(out: Path) -> dict[str, str]:
    """Stage key -> digest of its weights."""
    manifests = (out / "store" / "stages").glob("*/sftkey_manifest.json")
    return {path.parent.name: json.loads(path.read_text())["weights_digest"] for path in manifests}


def test_workers_change_no_weight(tiny_base: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        arguments = train(tiny_base, tmp_path / str(workers), "--set", f"train.workers={workers}")
        done = call(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(" tok/s in ") == 5, "each stage is reported when it is done"
    assert len(digests(tmp_path / "1")) == 5
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_what_a_worker_finds_wrong_is_one_clear_line(tiny_base: Path, tmp_path: Path) -> None:
    """A learning rate at which the loss overflows: the run fails, says where, and leaves no process."""
    arguments = train(
        tiny_base,
        tmp_path / "run",
        "--set",
        "train.workers=2",
        "--set",
        "train.learning_rate=1",
        "--set",
        "train.weight_decay=100",
    )
    done = subprocess.run(
        command(*arguments), env=environment(tmp_path), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1
    assert "the loss is nan at step" in done.stderr
    assert "Traceback" not in done.stderr
    assert "leaked" not in done.stderr


def test_an_interrupted_run_ends_its_workers(tiny_base: Path, tmp_path: Path) -> None:
    arguments = train(tiny_base, tmp_path / "run", "--set", "train.workers=2", "--set", "train.epochs=2000")
    process = subprocess.Popen(
        command(*arguments), env=environment(tmp_path), stdout=-1, stderr=-1, text=True,
        start_new_session=True, preexec_fn=hear_interrupts,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("run/store/partial/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1] == "interrupted; the same command goes on from what is done"
    assert not workers_of(process.pid)


def test_the_next_step_begins_while_the_last_stage_trains(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread, once, and it is through before training ends."""
    from harness.config import load_config
    from harness.jobs import train_node
    from harness.plan import make_plan
    from harness.pool import train_all
    from harness.progress import Reporter

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    flags = {"model": str(tiny_base), "benchmarks": "world_number", "limit": 8, "out": tmp_path / "run"}
    plan = make_plan(load_config(None, flags, ["variants=sftkey-tag,sft", "seeds=1", "train.workers=2"]))
    begun: list[tuple[bool, int]] = []

    def meanwhile() -> None:
        trained = sum(map(plan.is_trained, plan.graph.nodes))
        time.sleep(0.5)
        begun.append((threading.current_thread() is threading.main_thread(), trained))

    train_all(plan, list(plan.graph.nodes.values()), train_node, Reporter(), meanwhile)
    assert all(map(plan.is_trained, plan.graph.nodes))
    [(in_main_thread, trained)] = begun
    assert not in_main_thread
    assert trained in (1, 2), "of three stages"


def workers_of(session: int) -> list[str]:
    """Workers that live, in the session of a command."""
    listed = ["ps", "-s", str(session), "-o", "stat=,args="]
    found = subprocess.run(listed, capture_output=True, text=True).stdout.splitlines()
    return [line for line in found if "spawn_main" in line and not line.startswith("Z")]
