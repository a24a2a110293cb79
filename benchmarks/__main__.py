"""`python -m benchmarks NAME [ARGUMENTS]` runs one measurement."""

import importlib
import sys
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def main() -> None:
    """Runs the measurement that is named."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(f"name one of: {', '.join(NAMES)}", file=sys.stderr)
        sys.exit(2)
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])


main()
