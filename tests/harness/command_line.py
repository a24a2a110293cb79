"""The command as a process of its own."""

import os
import signal
import sys
from pathlib import Path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "harness", *map(str, arguments)]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "HARNESS_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "COLUMNS": "120"}


def hear_interrupts() -> None:
    """For a child process: one that is started in the background would ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
