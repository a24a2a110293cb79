"""Training examples as arrays, in memory or mapped from a folder, so that the disk alone bounds their number.

A folder holds one `.npy` file for each array, which NumPy opens as it stands, and `corpus.json` with what
would else take a pass over all of them: counts and the digest. It is written part by part beside its place
and renamed into it, so that a folder that exists is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sftkey_train.segments import SEGMENTS
from tasks.errors import InputError
from tasks.reading import read_json
from tasks.seals import whole_folder

FACTS = "corpus.json"
_DTYPES: dict[str, DTypeLike] = {"ids": np.int32, "segments": np.uint8, "starts": np.int64}
_SLICE = 1 << 24
"""Tokens counted at a time: `np.bincount` makes eight bytes of each."""


class _Stored(NamedTuple):
    """Where a corpus is stored, and what is known of it without reading its arrays."""

    folder: Path
    digest: str
    tokens_by_segment: dict[str, int]


@dataclass(frozen=True)
class Corpus:
    """Encoded training examples, end to end.

    Attributes:
        ids_N: Token ids of all examples, int32.
        segments_N: Segment of each token, an index into `SEGMENTS`, uint8.
        starts_E: Where each example starts, with the end of the last one added, int64.
        num_straddling: Tokens that lay across two segments and were given to the later one.
        dropped: Why records were left out -> how many.
    """

    ids_N: NDArray[np.int32]
    segments_N: NDArray[np.uint8]
    starts_E: NDArray[np.int64]
    num_straddling: int
    dropped: dict[str, int]
    # Not an argument: `dataclasses.replace` must not carry it to other arrays.
    _stored: _Stored | None = field(default=None, init=False, repr=False, compare=False)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Another process maps the files again; their content is not sent to it."""
        return (open_corpus, (self._stored.folder,)) if self._stored else super().__reduce_ex__(protocol)

    def __len__(self) -> int:
        return len(self.starts_E) - 1

    def __getitem__(self, index: int) -> dict[str, NDArray[np.int64]]:
        part = slice(self.starts_E[index], self.starts_E[index + 1])
        return {
            "input_ids": self.ids_N[part].astype(np.int64),
            "segments": self.segments_N[part].astype(np.int64),
        }

    @property
    def lengths_E(self) -> NDArray[np.int64]:
        """Tokens of each example."""
        return np.diff(self.starts_E)

    def tokens_by_segment(self) -> dict[str, int]:
        """Number of tokens of each segment."""
        if self._stored:
            return dict(self._stored.tokens_by_segment)
        counts = np.zeros(len(SEGMENTS), np.int64)
        for start in range(0, len(self.segments_N), _SLICE):
            counts += np.bincount(self.segments_N[start : start + _SLICE], minlength=len(SEGMENTS))
        return dict(zip(SEGMENTS, counts.tolist(), strict=True))

    def digest(self) -> str:
        """Digest of what training sees: ids, segments and boundaries."""
        if self._stored:
            return self._stored.digest
        # Each array by itself; views of mapped files are hashed without a copy.
        arrays = map(np.ascontiguousarray, (self.ids_N, self.segments_N, self.lengths_E))
        return hashlib.sha256(b"".join(hashlib.sha256(array.data).digest() for array in arrays)).hexdigest()


def join(parts: Sequence[Corpus]) -> Corpus:
    """One corpus in memory of several, end to end; there must be one."""
    lengths_E = np.concatenate([part.lengths_E for part in parts])
    return Corpus(
        ids_N=np.concatenate([part.ids_N for part in parts]),
        segments_N=np.concatenate([part.segments_N for part in parts]),
        starts_E=starts_of(lengths_E),
        num_straddling=sum(part.num_straddling for part in parts),
        dropped=dict(sum((Counter(part.dropped) for part in parts), Counter())),
    )


def starts_of(lengths_E: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where examples of these lengths start, with the end of the last one added."""
    return np.concatenate([[0], np.cumsum(lengths_E)]).astype(np.int64)


def open_corpus(directory: Path) -> Corpus:
    """Maps a stored corpus into memory; what is not looked at is not read.

    Raises:
        InputError: The folder is no whole corpus.
    """
    try:
        facts = read_json(directory / FACTS)
        corpus = _mapped(directory, facts["num_straddling"], facts["dropped"])
        shapes = [array.shape for array in (corpus.ids_N, corpus.segments_N, corpus.starts_E)]
        if shapes != [(facts["tokens"],), (facts["tokens"],), (facts["examples"] + 1,)]:
            raise ValueError("its arrays have other sizes than it says")
        stored = _Stored(directory, facts["digest"], facts["tokens_by_segment"])
    except (InputError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{directory}: no whole corpus ({error}); delete the folder and run again"
        ) from error
    object.__setattr__(corpus, "_stored", stored)
    return corpus


def write_corpus(directory: Path, parts: Iterable[Corpus], versions: Mapping[str, str]) -> None:
    """Writes one corpus of several into a folder as they come, whole or not at all.

    Where another process was faster, its corpus stays.

    Args:
        directory: Where the corpus goes.
        parts: What it is made of, in order; an error that they raise leaves nothing behind.
        versions: Package name -> version, noted beside the counts.
    """
    dropped, num_straddling = Counter[str](), 0
    with whole_folder(directory) as folder:
        with ExitStack() as stack:
            ids, segments, starts = (
                stack.enter_context(closing(_ArrayFile(folder / f"{name}.npy", np.dtype(dtype))))
                for name, dtype in _DTYPES.items()
            )
            starts.append(np.zeros(1, np.int64))
            for part in parts:
                starts.append(ids.size + part.starts_E[1:])
                ids.append(part.ids_N)
                segments.append(part.segments_N)
                num_straddling += part.num_straddling
                dropped.update(part.dropped)
        corpus = _mapped(folder, num_straddling, dict(dropped))
        facts = {
            "examples": len(corpus),
            "tokens": len(corpus.ids_N),
            "tokens_by_segment": corpus.tokens_by_segment(),
            "num_straddling": num_straddling,
            "dropped": corpus.dropped,
            "digest": corpus.digest(),
            "versions": dict(versions),
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _mapped(folder: Path, num_straddling: int, dropped: dict[str, int]) -> Corpus:
    ids, segments, starts = (np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in _DTYPES)
    return Corpus(ids, segments, starts, num_straddling, dropped)


class _ArrayFile:
    """A `.npy` file of one dimension that grows; its header is written again when its length is known."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.size = 0
        self._dtype = dtype
        self._file = path.open("wb")
        self._write_header()

    def append(self, array: NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(array, self._dtype).data)
        self.size += len(array)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        """NumPy leaves room in a header for the digits of a growing first axis, so its size stays."""
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.size,)}
        np.lib.format.write_array_header_1_0(self._file, header)  # type: ignore[no-untyped-call]
