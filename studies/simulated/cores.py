"""Cells of a simulation side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def on_all_cores(function: Callable[[In], Out], items: Iterable[In], chunksize: int = 1) -> list[Out]:
    """What a function makes of each, in their order: a process on each core."""
    # Products of small matrices: threads of their own in each process would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return list(pool.map(function, items, chunksize=chunksize))
