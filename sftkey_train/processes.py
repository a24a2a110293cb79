"""The processes of one launch (torchrun, accelerate launch): all train together, the first does the rest.

Waiting for the first process goes over a group of its own, whose patience is days: building a base model or
reading the data with a reference model may take longer than any collective of training should.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from tasks.errors import InputError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")
STEP_TIMEOUT = timedelta(minutes=30)
"""Patience of the collectives of training: transformers' default."""
WAITING_TIMEOUT = timedelta(days=7)
_LAUNCH_PREFIXES = ("ACCELERATE_", "FSDP_", "TORCHELASTIC_", "GROUP_", "ROLE_")
_LAUNCH_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_waiting: ProcessGroup | None = None


def count() -> int:
    """Number of processes of the launch."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that prints and writes."""
    return int(os.environ.get("RANK", "0")) == 0


def check_launch() -> None:
    """Makes sure that what the launch asks for is there.

    Raises:
        InputError: DeepSpeed is not.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true" and find_spec("deepspeed") is None:
        raise InputError("this launch asks for DeepSpeed, which is not installed: pip install deepspeed")


def wait() -> None:
    """Waits until all processes are here; leaves quietly where another one failed, which has said why."""
    if count() == 1:
        return
    import torch.distributed as dist

    try:
        dist.barrier(group=_group())
    except RuntimeError:
        sys.exit(1)


@contextmanager
def first_goes_ahead() -> Iterator[None]:
    """The first process does what is in the context, then the others, who find it done."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()


def agreed(value: T) -> T:
    """The first process's value, in all processes."""
    if count() == 1:
        return value
    import torch.distributed as dist

    values = [value]
    try:
        dist.broadcast_object_list(values, src=0, group=_group())
    except RuntimeError:
        sys.exit(1)
    return values[0]


@contextmanager
def alone() -> Iterator[None]:
    """Trains in this process as if there were no others."""
    if count() == 1:
        yield
        return
    hidden = _hide_launch()
    try:
        yield
    finally:
        os.environ.update(hidden)
        _forget_state()


def leave() -> bool:
    """Ends the launch for this process, once all have come here.

    Returns:
        Whether it is the first one, which goes on alone; the others are done.
    """
    if count() == 1:
        return True
    import torch.distributed as dist

    global _waiting
    first = is_first()
    wait()
    dist.destroy_process_group()
    _waiting = None
    _hide_launch()
    return first


def _group() -> ProcessGroup:
    """The group in which processes wait for each other; joins them first where that has not been done."""
    global _waiting
    if _waiting is None:
        import torch.distributed as dist

        _join()
        _waiting = dist.new_group(backend="gloo", timeout=WAITING_TIMEOUT)
    return _waiting


def _join() -> None:
    import torch
    from accelerate import PartialState

    check_launch()
    PartialState(cpu=not torch.cuda.is_available(), timeout=STEP_TIMEOUT)


def _hide_launch() -> dict[str, str]:
    """Takes the launch out of the environment; returns what was there."""
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name in _LAUNCH_NAMES or name.startswith(_LAUNCH_PREFIXES)
    }
    for name in hidden:
        del os.environ[name]
    _forget_state()
    return hidden


def _forget_state() -> None:
    """Makes accelerate look at the environment again."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
