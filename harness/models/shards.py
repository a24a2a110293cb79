"""Safetensors files as they lie on disk: which are read, what their headers say, whether they are whole.

The library reads the numbers. Headers are read here, as engines differ in what they take: a file that has
passed holds each tensor once, without gaps, in types that are known. Here too is which files belong to a
model, and whether all numbers are numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError
from tasks.reading import parse_json, read_json

if TYPE_CHECKING:
    import torch

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
PLAIN = ("F64", "F32", "F16", "BF16")
"""Types of weights that stand for themselves: others need scales."""
_FLOATS = (*PLAIN, "F8_E4M3", "F8_E5M2")
"""Types, as safetensors calls them, that can hold infinity or what is not a number."""
_BLOCK_NUMBERS = 1 << 20
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
"""Of one number, by its type."""
_MOST_HEADER_BYTES = 100_000_000
"""As safetensors itself has it."""
_MOST_NAME_CHARS, _MOST_BYTES = 500, 1 << 48
_FORMATS = (None, "pt", "np", "mlx")
"""Whose matrices lie as PyTorch's do."""
NOT_GATHERED = (
    ", as DeepSpeed's ZeRO-3 leaves what it has not gathered; save it with "
    "stage3_gather_16bit_weights_on_model_save, or make it with zero_to_fp32.py"
)
AGAIN = "copy or download it again"


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
    index = read_json(path, f"no readable index of shards ({{error}}); {AGAIN}")
    names = index.get("weight_map")
    if not _is_texts(names):
        raise InputError(f"{path}: no readable index of shards (weight_map: files by tensor); {AGAIN}")
    outside = next((file for file in names.values() if Path(file).name != file), None)
    if outside is not None or not names:
        raise InputError(f"{path}: names {outside or 'nothing'}; its shards must lie beside it")
    if not isinstance(index.get("metadata"), dict):
        raise InputError(f"{path}: no readable index of shards (metadata: values by name); {AGAIN}")
    return names


def _is_texts(value: object) -> bool:
    """Whether a value is texts by names."""
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model or adapter, by name, after checking that its files are whole.

    InputError where a file is missing, truncated or unreadable, or the index says something else.
    """
    found: dict[str, Tensor] = {}
    for path in weight_files(folder):
        for tensor in _read_header(path):
            if tensor.name in found:
                raise InputError(f"{path}: {tensor.name} is also in {found[tensor.name].path.name}; {AGAIN}")
            found[tensor.name] = tensor
    if not found:
        raise InputError(f"{folder}: its weights hold no tensor; {AGAIN}")
    if empty := [tensor for tensor in found.values() if not tensor.size]:
        raise InputError(
            f"{empty[0].path}: {len(empty)} of {len(found)} tensors are empty, such as {empty[0].name} of "
            f"shape {list(empty[0].shape)}{NOT_GATHERED}"
        )
    weight_map = _weight_map(folder) if (folder / INDEX).is_file() else {}
    lacking = [name for name in weight_map if name not in found]
    if lacking:
        raise InputError(
            f"{folder / INDEX}: names {len(lacking)} tensors that no shard has, such as {lacking[0]}; "
            "copy or download the folder again"
        )
    for name, file in weight_map.items():
        where = found[name].path.name
        if where != file:
            raise InputError(f"{folder / INDEX}: {name} is in {where}, not in {file}; {AGAIN}")
    return found


def _read_header(path: Path) -> list[Tensor]:
    """The tensors of a file in the order in which they lie; InputError where it is not whole, or lies."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(40)
            length = int.from_bytes(start[:8], "little")
            file.seek(8)
            raw = file.read(length) if length <= min(_MOST_HEADER_BYTES, size - 8) else b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: a Git LFS pointer in place of the weights; run: git lfs pull")
    if not raw:
        raise InputError(f"{path}: {size:,} bytes without a readable safetensors header; {AGAIN}")
    fault = f"{size:,} bytes without a readable safetensors header ({{error}}); {AGAIN}"
    header = parse_json(raw, str(path), fault, strict=True)
    try:
        metadata = header.pop("__metadata__", {})
        if not _is_texts(metadata):
            raise ValueError("__metadata__ must be texts by name")
        if metadata.get("format") not in _FORMATS:
            raise ValueError(f"they are of the format {metadata['format']!r}, not PyTorch's")
        spans = sorted((_span(path, *item) for item in header.items()), key=lambda item: item[:2])
        position = 0
        for begin, end, tensor in spans:
            if begin != position:
                how = "a gap" if begin > position else "another tensor's bytes"
                raise ValueError(f"{tensor.name} begins after {how}")
            position = end
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        said = error if isinstance(error, ValueError) else "not as safetensors writes it"
        raise InputError(f"{path}: its header is damaged ({said}); {AGAIN}") from error
    if size != 8 + length + position:
        raise InputError(
            f"{path}: {size:,} bytes, but its header speaks of {8 + length + position:,}: "
            f"{'truncated' if size < 8 + length + position else 'not a safetensors file'}; {AGAIN}"
        )
    return [tensor for *_, tensor in spans]


def _span(path: Path, name: str, said: Mapping[str, Any]) -> tuple[int, int, Tensor]:
    """First byte, end and description of a tensor; ValueError where they contradict each other."""
    dtype, shape, (begin, end) = said["dtype"], said["shape"], said["data_offsets"]
    if len(name) > _MOST_NAME_CHARS:
        raise ValueError(f"a name of {len(name):,} characters")
    numbers = (*shape, begin, end) if isinstance(shape, list) else (None,)
    if not all(type(one) is int and 0 <= one < _MOST_BYTES for one in numbers):
        raise ValueError(f"{name} has no whole numbers for its shape and place")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise ValueError(f"{name} is of an unknown type {dtype!r}")
    tensor = Tensor(name, dtype, tuple(shape), path)
    if begin > end or tensor.size * _BITS[dtype] != 8 * (end - begin):
        raise ValueError(f"{name} has {end - begin:,} bytes for {tensor.size:,} numbers of type {dtype}")
    return begin, end, tensor


def check_finite(folder: Path) -> None:
    """Reads every weight of a model or adapter, in the order in which they lie, a block at a time.

    InputError names the tensor of one that is not finite.
    """
    from safetensors import safe_open

    read_tensors(folder)  # the library is given whole files only
    for path in weight_files(folder):
        with safe_open(path, "pt") as file:
            for name in file.offset_keys():
                if not all(_is_finite(block) for block in _blocks(file, name)):
                    raise InputError(
                        f"{path}: {name} holds NaN or infinity; take a checkpoint from before it diverged"
                    )


def same_numbers(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same."""
    import torch
    from safetensors import safe_open

    with safe_open(one.path, "pt") as first, safe_open(other.path, "pt") as second:
        blocks = zip(_blocks(first, one.name), _blocks(second, other.name), strict=True)
        return one.shape == other.shape and all(torch.equal(a, b) for a, b in blocks)


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
