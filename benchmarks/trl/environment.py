"""TRL in a virtual environment of its own, `benchmarks/.trl-env`, with several of its versions side by side.

TRL's newest release is not its fastest everywhere (see `docs/speed.md`), so the ones that were the last to
compute the loss in their own way are there too, and each case is raced against the one that is best for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure.children import Side
from tasks.errors import InputError

DIRECTORY = Path(__file__).parents[1] / ".trl-env"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NEWEST = "1.16.0"
VERSIONS = (NEWEST, "1.14.2")
_NOT_ON_A_CPU = ("nvidia_", "triton-")


@dataclass(frozen=True)
class Rival:
    """A version of TRL with settings that may suit a case.

    Attributes:
        version: Of TRL.
        note: What sets it apart, in the tables.
        settings: For `SFTConfig`, beside those that all rivals share.
        threads: Of its process; torch's own choice where None.
    """

    version: str
    note: str
    settings: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None

    @property
    def name(self) -> str:
        """In the tables."""
        return f"TRL {self.version} {self.note}".strip()

    def side(self, module: str) -> Side:
        """The process that runs it."""
        paths = f"{DIRECTORY / f'trl-{self.version}'}{os.pathsep}{Path(__file__).parents[2]}"
        environment = {"PYTHONPATH": paths}
        if self.threads is not None:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        return Side(self.name, DIRECTORY / "bin" / "python", module, environment)


def ensure_environment() -> None:
    """Makes the environment where it is missing or the requirements have changed.

    Raises:
        InputError: Something could not be installed, or CUDA packages came to a machine without a GPU.
    """
    wanted = hashlib.sha256(f"{REQUIREMENTS.read_text()} {VERSIONS} {_cuda()}".encode()).hexdigest()
    stamp = DIRECTORY / ".installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print(f"making {DIRECTORY} with TRL {', '.join(VERSIONS)}", file=sys.stderr)
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    _run(sys.executable, "-m", "venv", "--without-pip", str(DIRECTORY))
    _install(*_torch_from(), "-r", str(REQUIREMENTS))
    for version in VERSIONS:
        _install("--no-deps", "--target", str(DIRECTORY / f"trl-{version}"), f"trl=={version}")
    _refuse_cuda_packages()
    stamp.write_text(wanted)


def _cuda() -> bool:
    return (
        shutil.which("nvidia-smi") is not None
        and not subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode
    )


def _torch_from() -> list[str]:
    """Where uv finds torch, as in the Makefile: local wheels first, else the CPU build if there is no GPU."""
    if _cuda():
        return []
    links = os.environ.get("PIP_FIND_LINKS", "")
    return ["--find-links", links] if links else ["--torch-backend", "cpu"]


def _install(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    _run(str(uv), "pip", "install", "--quiet", "--python", str(DIRECTORY / "bin" / "python"), *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{' '.join(command[:4])} … failed: {done.stderr.strip()[-1000:]}")


def _refuse_cuda_packages() -> None:
    packages = DIRECTORY.glob("lib/python3*/site-packages/*.dist-info")
    found = [path.name for path in packages if path.name.startswith(_NOT_ON_A_CPU)]
    if found and not _cuda():
        raise InputError(
            f"{DIRECTORY}: {found[0]} came along on a machine without a GPU; is torch the CPU build?"
        )
