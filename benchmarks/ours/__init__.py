"""This project's side of the speed measurements, one process each."""
