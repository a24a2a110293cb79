"""TRL in a virtual environment of its own, `benchmarks/.trl-env`, with several of its versions side by side.

TRL's newest release is not its fastest everywhere (see `docs/speed.md`), so the ones that were the last to
compute the loss in their own way are there too, and each case is raced against the one that is best for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure.children import Side
from benchmarks.measure.environments import ensure, install, torch_from

DIRECTORY = Path(__file__).parents[1] / ".trl-env"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NEWEST = "1.16.0"
VERSIONS = (NEWEST, "1.14.2")


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
        """What the tables call it."""
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
    contents = f"{REQUIREMENTS.read_text()} {VERSIONS}"
    ensure(DIRECTORY, contents, f"TRL {', '.join(VERSIONS)}", _fill)


def _fill() -> None:
    install(DIRECTORY, *torch_from(), "-r", str(REQUIREMENTS))
    for version in VERSIONS:
        install(DIRECTORY, "--no-deps", "--target", str(DIRECTORY / f"trl-{version}"), f"trl=={version}")
