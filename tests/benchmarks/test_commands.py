"""Measurements and studies are run by their names."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", package, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_each_package_says_what_there_is() -> None:
    assert (
        run("studies").stdout == "studies: after_sft, bases, coverage, families, judge, sequential, study\n"
    )
    names = run("benchmarks").stdout.removeprefix("benchmarks: ").strip().split(", ")
    assert names == sorted(names)
    assert {"training_speed", "coverage", "study"} <= set(names), "the studies can be run from here too"


@pytest.mark.parametrize("package", ["benchmarks", "studies"])
@pytest.mark.parametrize("study", ["coverage", "study"])
def test_a_study_is_run_by_its_name(package: str, study: str) -> None:
    done = run(package, study, "--help")
    assert (done.returncode, done.stdout.split()[:5]) == (0, ["usage:", "python", "-m", "studies", study])


def test_an_unknown_name_is_an_error() -> None:
    done = run("studies", "training_speed")
    assert done.returncode == 2
    assert done.stderr.startswith("error: nothing is called 'training_speed' here: there are after_sft, ")
