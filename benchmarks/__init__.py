"""Measurements, each one command; `make bench ARGS=NAME` runs one, `make bench` says which there are."""

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_named(*packages: str) -> None:
    """Runs the command that the first argument names, a module of one of the packages.

    Where none is named it says which there are, and where there is none of the name it ends the process.
    """
    home = {path.stem: package for package in packages for path in (ROOT / package).glob("[a-z]*.py")}
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
