"""What worker processes of this command have in common."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any


def end_with_parent() -> None:
    """A killed parent must not leave workers behind that write where its successor writes."""
    if sys.platform == "linux":
        pr_set_pdeathsig: Any = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def see_one_gpu(rank: int) -> None:
    """Leaves this process one of the GPUs, its rank's; to be called before torch looks for them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(rank)]
    os.environ["CUDA_VISIBLE_DEVICES"] = devices[rank % len(devices)]
