"""`python -m studies NAME [ARGUMENTS]` runs one study; `python -m benchmarks NAME` does as well."""

from benchmarks import run_named

run_named("studies")
