"""Checkpoints, benchmarks and an engine: what is asked, what is answered, what it is worth."""
