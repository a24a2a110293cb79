"""The command in this process, or in one of its own where that is in question: signals, kills, imports."""

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch


def call(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command here: exit code and texts are those that a process of its own would leave."""
    from harness.__main__ import run

    told = ["harness", *map(str, arguments)]
    out, errors = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(tmp_path)),
        patch.object(sys, "argv", told),
        redirect_stdout(out),
        redirect_stderr(errors),
    ):
        code = run()
    return subprocess.CompletedProcess(told, code, out.getvalue(), errors.getvalue())


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "harness", *map(str, arguments)]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "HARNESS_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "COLUMNS": "120"}


def hear_interrupts() -> None:
    """For a child process: one that is started in the background would ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
