"""`python -m benchmarks NAME [ARGUMENTS]` runs one measurement, or one of the studies beside them."""

from benchmarks import run_named

run_named("benchmarks", "studies")
