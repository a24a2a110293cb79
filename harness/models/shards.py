"""Safetensors files as they lie on disk: which are read, what their headers say, whether they are whole.

Headers alone are read here, so that a folder of any size is checked in milliseconds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_LARGEST_HEADER = 100_000_000
"""As the safetensors library itself allows."""
DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        name: As the file calls it.
        dtype: As safetensors calls it, such as `BF16`.
        shape: Of its elements.
        path: The file.
        start: Its first byte in the file.
        end: The byte after its last.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    start: int
    end: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's whole model or, where there is none, its adapter.

    Raises:
        InputError: There are none, or not all that the index names.
    """
    if (folder / INDEX).is_file():
        return _indexed(folder)
    for name in (SINGLE, ADAPTER):
        if (folder / name).is_file():
            return [folder / name]
    raise InputError(f"{folder}: {_why_none(folder)}")


def _indexed(folder: Path) -> list[Path]:
    names = sorted(set(_weight_map(folder).values()))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder / INDEX}: names {len(names)} shards, {len(names) - len(missing)} are there; missing: "
            f"{_first(missing)}; copy or download the folder again"
        )
    if (folder / SINGLE).is_file() and SINGLE not in names:
        raise InputError(
            f"{folder}: holds both {SINGLE} and shards with an index, and engines differ in which they read; "
            "remove one of them"
        )
    return [folder / name for name in names]


def _why_none(folder: Path) -> str:
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    sharded = [name for name in others if re.search(r"-\d+-of-\d+\.safetensors$", name)]
    if sharded:
        return f"shards such as {sharded[0]} but no {INDEX}; copy or download the folder again"
    if others:
        return f"no {SINGLE}, only {_first(others)}; rename what holds the whole model"
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        return (
            f"no .safetensors weights, only pickled ones ({_first(pickled)}), which can run code and are not "
            "read; convert them: load where you trust them, then save_pretrained()"
        )
    return "no .safetensors weights; other kinds are not read, so save it with save_pretrained()"


def _weight_map(folder: Path) -> dict[str, str]:
    path = folder / INDEX
    try:
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        names = {str(tensor): str(file) for tensor, file in weight_map.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no readable index of shards; copy or download it again") from error
    outside = next((file for file in names.values() if Path(file).name != file), None)
    if outside or not names:
        raise InputError(f"{path}: names {outside or 'nothing'}; its shards must lie beside it")
    return names


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model or adapter, by name, after checking that its files are whole.

    Raises:
        InputError: A file is missing, truncated or unreadable, or lacks a tensor that the index says it has.
    """
    found = {name: tensor for path in weight_files(folder) for name, tensor in read_header(path).items()}
    if (folder / INDEX).is_file():
        lacking = [name for name in _weight_map(folder) if name not in found]
        if lacking:
            raise InputError(
                f"{folder / INDEX}: names {len(lacking)} tensors that no shard has, such as {lacking[0]}; "
                "copy or download the folder again"
            )
    return found


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of one file, from its header.

    Raises:
        InputError: The header cannot be read, or the file is shorter or longer than it says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(_LARGEST_HEADER, size - 8):
            raise InputError(f"{path}: {_unreadable(path, size)}")
        raw = file.read(length)
    try:
        header: dict[str, Any] = json.loads(raw)
        header.pop("__metadata__", None)
        tensors = {name: _tensor(name, value, path, 8 + length) for name, value in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: {_unreadable(path, size)}") from error
    expected = max((tensor.end for tensor in tensors.values()), default=8 + length)
    if size != expected:
        raise InputError(
            f"{path}: {size:,} bytes, but its header speaks of {expected:,}: "
            f"{'truncated' if size < expected else 'not a safetensors file'}; copy or download it again"
        )
    return tensors


def _unreadable(path: Path, size: int) -> str:
    with path.open("rb") as file:
        start = file.read(40)
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer in place of the weights; run: git lfs pull"
    return f"{size:,} bytes without a readable safetensors header; copy or download it again"


def _tensor(name: str, value: Mapping[str, Any], path: Path, base: int) -> Tensor:
    start, end = value["data_offsets"]
    tensor = Tensor(name, value["dtype"], tuple(value["shape"]), path, base + start, base + end)
    bits = DTYPE_BITS.get(tensor.dtype)
    if not 0 <= start <= end or (bits and (tensor.size * bits + 7) // 8 != end - start):
        raise ValueError(name)
    return tensor


def _first(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


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
