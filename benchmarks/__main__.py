"""`python -m benchmarks NAME [ARGUMENTS]` runs one measurement."""

import importlib
import os
import sys
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
"""The measurements there are."""


def main() -> None:
    """Runs the measurement that is named; says which there are where none is."""
    if len(sys.argv) < 2:
        print(f"measurements: {', '.join(NAMES)}")
        return
    if sys.argv[1] not in NAMES:
        print(f"error: no measurement {sys.argv[1]!r}: there are {', '.join(NAMES)}", file=sys.stderr)
        sys.exit(2)
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # it writes where the figures go
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])


main()
