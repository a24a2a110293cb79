"""A stopwatch for training steps that works on any trainer, and what else a racing process says of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook


class _EnoughError(Exception):
    """The steps that were asked for are done."""


def time_steps(train: Callable[[], object], num_steps: int) -> list[float]:
    """Seconds of each optimiser step: from the end of one to the end of the next, data and all.

    Training is broken off after the last of them, so that neither side is charged for saving or evaluation.

    Args:
        train: Trains for at least `num_steps + 1` steps; called once.
        num_steps: Steps to time, after a first one that is not.

    Returns:
        Their seconds, in order.

    Raises:
        RuntimeError: Training ended by itself before that.
    """
    ends: list[float] = []

    def after_step(optimizer: Optimizer, *_: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        if len(ends) > num_steps:
            raise _EnoughError

    handle = register_optimizer_step_post_hook(after_step)
    try:
        train()
    except _EnoughError:
        return [end - start for start, end in pairwise(ends)]
    finally:
        handle.remove()
    raise RuntimeError(f"training ended after {len(ends)} steps, before the {num_steps + 1} to be timed")


def peak_bytes() -> int:
    """Most memory this process has held: allocated on the GPU where there is one, else resident.

    Resident is the kernel's VmHWM rather than `ru_maxrss`, which a child inherits from its parent.
    """
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM: the peak of resident memory is read on Linux only")


def matmul_peak(shapes: Sequence[tuple[int, int, int]], dtype: torch.dtype, repeats: int = 5) -> float:
    """Most FLOP/s of `torch.matmul` over the shapes (M, K, N), in this process, with its threads."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    best = 0.0
    for rows, inner, columns in shapes:
        left = torch.randn(rows, inner, device=device, dtype=dtype)
        right = torch.randn(inner, columns, device=device, dtype=dtype)
        for _ in range(repeats):
            best = max(best, 2 * rows * inner * columns / _seconds(lambda a=left, b=right: a @ b))
    return best


def _seconds(function: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
