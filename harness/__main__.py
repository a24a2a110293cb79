"""`python -m harness` is the `harness` command."""

from harness.commands import main

main()
