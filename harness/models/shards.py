"""Safetensors files as they lie on disk: which are read, what their headers say, whether they are whole.

The library reads headers and numbers; here is which files belong to a model, what to do about a faulty one,
and whether all numbers are numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError

if TYPE_CHECKING:
    import torch

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""Types, as safetensors calls them, that can hold infinity or what is not a number."""
_BLOCK_NUMBERS = 1 << 20


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds keys and values; InputError where it cannot be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path.parent}: no {path.name}; copy or download the folder again") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected keys and values")
    return data


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file."""

    name: str  # as the file calls it
    dtype: str  # as safetensors calls it, such as `BF16`
    shape: tuple[int, ...]  # of its elements
    path: Path  # the file

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's whole model or, where there is none, its adapter.

    InputError where there are none, or not all that the index names.
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

    InputError where a file is missing, truncated or unreadable, or lacks a tensor that the index says it has.
    """
    found = {}
    for path in weight_files(folder):
        with _opened(path, "np") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                header = file.get_slice(name)
                found[name] = Tensor(name, header.get_dtype(), tuple(header.get_shape()), path)
    if (folder / INDEX).is_file():
        lacking = [name for name in _weight_map(folder) if name not in found]
        if lacking:
            raise InputError(
                f"{folder / INDEX}: names {len(lacking)} tensors that no shard has, such as {lacking[0]}; "
                "copy or download the folder again"
            )
    return found


@contextmanager
def _opened(path: Path, framework: str) -> Iterator[Any]:
    """A file whose header safetensors has read, and held against the file's size."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework) as file:
            yield file
    except SafetensorError as error:
        raise InputError(f"{path}: {_fault(path)}") from error


def _fault(path: Path) -> str:
    """Why safetensors cannot read a file: its own words name no remedy, nor a pointer in its place."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(40)
        file.seek(8)
        length = int.from_bytes(start[:8], "little")
        raw = file.read(min(length, size))
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer in place of the weights; run: git lfs pull"
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        expected = 8 + length + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        expected = size
    if size != expected:
        return (
            f"{size:,} bytes, but its header speaks of {expected:,}: "
            f"{'truncated' if size < expected else 'not a safetensors file'}; copy or download it again"
        )
    return f"{size:,} bytes without a readable safetensors header; copy or download it again"


def check_finite(folder: Path) -> None:
    """Reads every weight of a model or adapter, in the order in which they lie, a block at a time.

    InputError names the tensor of one that is not finite.
    """
    for path in weight_files(folder):
        with _opened(path, "pt") as file:
            for name in file.offset_keys():
                if not all(_is_finite(block) for block in _blocks(file, name)):
                    raise InputError(
                        f"{path}: {name} holds NaN or infinity; take a checkpoint from before it diverged"
                    )


def _blocks(file: Any, name: str) -> Iterator[torch.Tensor]:
    """A tensor's numbers, some rows at a time: memory does not grow with it. None of whole numbers."""
    rows = file.get_slice(name)
    shape = rows.get_shape()
    if rows.get_dtype() not in _FLOATS or 0 in shape:
        return
    if not shape:
        yield file.get_tensor(name)
        return
    step = max(1, _BLOCK_NUMBERS // math.prod(shape[1:]))
    for start in range(0, shape[0], step):
        yield rows[start : start + step]


def _is_finite(block: torch.Tensor) -> bool:
    import torch

    # The extremes say it in one pass: NaN is passed on to them. Numbers of one byte have no such function.
    extremes = (block.float() if block.element_size() == 1 else block).aminmax()
    return bool(torch.isfinite(torch.stack(extremes)).all())


def _first(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
