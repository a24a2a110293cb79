"""The short form of the fault campaign: one case of each kind, none of which comes out wrong."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.heavy
def test_no_fault_makes_figures_wrong_or_the_command_crash(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "faults", "--short", "--state", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = json.loads((tmp_path / "outcomes.json").read_text("utf-8"))["outcomes"]
    tried = Counter(outcome["part"] for outcome in outcomes)
    assert tried == {"corruptions": 6, "together": 1, "inputs": 10}
    assert not [one for one in outcomes if one["verdict"] not in ("healed", "unaffected", "refused")]
