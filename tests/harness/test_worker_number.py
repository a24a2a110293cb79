"""How many stages are trained side by side goes by the work; and plan and workers start with little."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import harness.pool as pool


@pytest.mark.parametrize(
    ("stages", "tokens", "megabytes", "expected"),
    [
        (4, 200_000, 4, 2),  # 16 s each on one core
        (4, 200_000, 4000, 1),  # a large model takes all cores by itself
        (4, 2_000, 4, 1),  # done before another process has started
        (1, 10_000_000, 4, 1),
    ],
)
def test_a_second_worker_must_be_worth_its_start(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, stages: int, tokens: int, megabytes: int, expected: int
) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(megabytes << 20)
    monkeypatch.setattr(pool.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    plan: Any = SimpleNamespace(
        config=SimpleNamespace(train=SimpleNamespace(workers=None)), base=SimpleNamespace(path=tmp_path)
    )
    nodes: Any = [SimpleNamespace(tokens_forward=tokens, num_steps=3) for _ in range(stages)]
    assert pool._num_workers(plan, nodes) == expected


def test_what_every_worker_imports_reads_no_tables() -> None:
    """pandas and pyarrow take longer to import than all the rest of a plan."""
    code = "import sys, harness.run; print(*{'pandas', 'pyarrow'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_plan_imports_no_trainer(tmp_path: Path) -> None:
    """What trains takes three times as long to import as a plan to be made."""
    code = (
        "import sys, harness; from pathlib import Path\n"
        "harness.make_plan(harness.load_config(flags={'out': Path(sys.argv[1]) / 'run'}))\n"
        "heavy = {'transformers.trainer', 'transformers.modeling_utils', 'peft', 'sklearn', 'pandas'}\n"
        "print(*heavy & {*sys.modules})"
    )
    environment = {**os.environ, "HARNESS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
