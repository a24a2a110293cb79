"""Virtual environments of rivals: made once, and again when what they hold changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tasks.errors import InputError

_NOT_ON_A_CPU = ("nvidia_", "triton-")


def ensure(directory: Path, contents: str, what: str, fill: Callable[[], None]) -> None:
    """Makes an environment where it is missing or its contents have changed.

    Args:
        directory: Of the environment.
        contents: All that decides what is in it.
        what: It holds, for the person who waits.
        fill: Installs that, into an empty environment.

    Raises:
        InputError: Something could not be installed, or CUDA packages came to a machine without a GPU.
    """
    wanted = hashlib.sha256(f"{contents} {has_cuda()}".encode()).hexdigest()
    stamp = directory / ".installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print(f"making {directory} with {what}", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    _run(sys.executable, "-m", "venv", "--without-pip", str(directory))
    fill()
    _refuse_cuda_packages(directory)
    stamp.write_text(wanted)


def has_cuda() -> bool:
    """Whether the machine has a GPU."""
    return (
        shutil.which("nvidia-smi") is not None
        and not subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode
    )


def install(directory: Path, *arguments: str) -> None:
    """`uv pip install` into an environment."""
    uv = Path(sys.executable).with_name("uv")
    _run(str(uv), "pip", "install", "--quiet", "--python", str(directory / "bin" / "python"), *arguments)


def torch_from() -> list[str]:
    """Where uv finds torch, as in the Makefile: local wheels first, else the CPU build if there is no GPU."""
    if has_cuda():
        return []
    links = os.environ.get("PIP_FIND_LINKS", "")
    return ["--find-links", links] if links else ["--torch-backend", "cpu"]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{' '.join(command[:4])} … failed: {done.stderr.strip()[-1000:]}")


def _refuse_cuda_packages(directory: Path) -> None:
    packages = directory.glob("lib/python3*/site-packages/*.dist-info")
    found = [path.name for path in packages if path.name.startswith(_NOT_ON_A_CPU)]
    if found and not has_cuda():
        raise InputError(
            f"{directory}: {found[0]} came along on a machine without a GPU; is torch the CPU build?"
        )
