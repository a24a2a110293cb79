"""`python -m benchmarks.faults` is `python -m benchmarks faults`."""

import sys

from benchmarks.faults import main

main(sys.argv[1:])
