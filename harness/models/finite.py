"""Are all weights numbers? Streamed in small blocks, so that memory does not grow with the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.models.shards import Tensor, read_tensors
from tasks.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 22
_NOT_A_NUMBER = {
    "F64": ("<u8", 0x7FF0000000000000),
    "F32": ("<u4", 0x7F800000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("u1", 0x7C),
    "F8_E4M3": ("u1", 0x7F),
}
"""By type: bits that are all set in infinity and in not-a-number, and in no finite value."""


def check_finite(folder: Path) -> None:
    """Reads every weight of a model or adapter, in the order in which they lie.

    Raises:
        InputError: One is not finite; names its tensor.
    """
    by_file: dict[Path, list[Tensor]] = {}
    for tensor in read_tensors(folder).values():
        if tensor.dtype in _NOT_A_NUMBER:
            by_file.setdefault(tensor.path, []).append(tensor)
    for path, tensors in by_file.items():
        with path.open("rb", buffering=0) as file:
            for tensor in sorted(tensors, key=lambda tensor: tensor.start):
                if not _is_finite(tensor, file):
                    raise InputError(
                        f"{path}: {tensor.name} holds NaN or infinity; take a "
                        "checkpoint from before it diverged"
                    )


def _is_finite(tensor: Tensor, file: Any) -> bool:
    kind, bits = _NOT_A_NUMBER[tensor.dtype]
    for block in _blocks(tensor, file):
        values = block.view(kind)
        if (values & values.dtype.type(bits)).max() == bits:
            return False
    return True


def _blocks(tensor: Tensor, file: Any) -> Iterator[NDArray[np.uint8]]:
    """The bytes of a tensor, a few megabytes at a time in one place."""
    import numpy as np

    buffer = np.empty(min(_BLOCK_BYTES, tensor.end - tensor.start), np.uint8)
    file.seek(tensor.start)
    for start in range(tensor.start, tensor.end, _BLOCK_BYTES):
        block = buffer[: tensor.end - start]
        filled = 0
        while filled < len(block):
            num_read = file.readinto(memoryview(block.data)[filled:])
            if not num_read:
                raise InputError(f"{tensor.path}: ends within {tensor.name}; is it still being written?")
            filled += num_read
        yield block
