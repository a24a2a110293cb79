"""Measurements, each one command; `make bench ARGS=NAME` runs one, `make bench` says which there are."""
