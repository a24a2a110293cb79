"""Measurements, each one command; `make bench ARGS=NAME` runs one, `make bench` says which there are."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _names(package: Path) -> Iterator[str]:
    """A module is a measurement, and so is a package that can be run."""
    yield from (path.stem for path in package.glob("[a-z]*.py"))
    yield from (path.parent.name for path in package.glob("[a-z]*/__main__.py"))


def run_named(*packages: str) -> None:
    """Runs the command that the first argument names, a module of one of the packages.

    Where none is named it says which there are, and where there is none of the name it ends the process.
    """
    home = {name: package for package in packages for name in _names(ROOT / package)}
    names = ", ".join(sorted(home))
    if len(sys.argv) < 2:
        print(f"{packages[0]}: {names}")
        return
    name, *arguments = sys.argv[1:]
    if name not in home:
        print(f"error: nothing is called {name!r} here: there are {names}", file=sys.stderr)
        sys.exit(2)
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # it writes where the figures go
    importlib.import_module(f"{home[name]}.{name}").main(arguments)
