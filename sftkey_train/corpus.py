"""Training examples as arrays, in memory or mapped from a folder, so that the disk alone bounds their number.

A folder holds one `.npy` file for each array, which NumPy opens as it stands, and `corpus.json` with what
would else take a pass over all of them: counts and the digest. It is written block by block beside its place
and renamed into it, so that a folder that exists is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sftkey_train.segments import SEGMENTS
from tasks.errors import InputError
from tasks.files import whole_folder

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

FACTS = "corpus.json"
_DTYPES: dict[str, DTypeLike] = {"ids": np.int32, "segments": np.uint8, "starts": np.int64}
_SLICE = 1 << 24
"""Tokens counted at a time: `np.bincount` makes eight bytes of each."""


class _Facts(NamedTuple):
    """What is known of a stored corpus without reading its arrays."""

    digest: str
    tokens_by_segment: dict[str, int]


class EncodedExamples(NamedTuple):
    """Some encoded examples, end to end.

    Attributes:
        ids_N: Token ids, int32.
        segments_N: Segment of each token, uint8.
        lengths_E: Tokens of each example, int64.
        num_straddling: Tokens that lay across two segments.
        dropped: Why records were left out -> how many.
    """

    ids_N: NDArray[np.int32]
    segments_N: NDArray[np.uint8]
    lengths_E: NDArray[np.int64]
    num_straddling: int
    dropped: Counter[str]


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
    _facts: _Facts | None = field(default=None, init=False, repr=False, compare=False)
    _folder: Path | None = field(default=None, init=False, repr=False, compare=False)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Another process maps the files again; their content is not sent to it."""
        return super().__reduce_ex__(protocol) if self._folder is None else (open_corpus, (self._folder,))

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
        return dict(self._facts.tokens_by_segment) if self._facts else _count_segments(self.segments_N)

    def digest(self) -> str:
        """Digest of what training sees: ids, segments and boundaries."""
        if self._facts:
            return self._facts.digest
        digest = _Digest()
        digest.update(self.ids_N, self.segments_N, self.lengths_E)
        return digest.hexdigest()


def join_examples(blocks: Sequence[EncodedExamples]) -> Corpus:
    """A corpus in memory; there must be a block."""
    lengths_E = np.concatenate([block.lengths_E for block in blocks])
    return Corpus(
        ids_N=np.concatenate([block.ids_N for block in blocks]),
        segments_N=np.concatenate([block.segments_N for block in blocks]),
        starts_E=np.concatenate([[0], np.cumsum(lengths_E)]).astype(np.int64),
        num_straddling=sum(block.num_straddling for block in blocks),
        dropped=dict(sum((block.dropped for block in blocks), Counter())),
    )


def open_corpus(directory: Path) -> Corpus:
    """Maps a stored corpus into memory; what is not looked at is not read.

    Raises:
        InputError: The folder is no whole corpus.
    """
    try:
        facts = json.loads((directory / FACTS).read_text(encoding="utf-8"))
        arrays = {name: np.asarray(np.load(directory / f"{name}.npy", mmap_mode="r")) for name in _DTYPES}
        shapes = {"ids": facts["tokens"], "segments": facts["tokens"], "starts": facts["examples"] + 1}
        if any(arrays[name].shape != (size,) for name, size in shapes.items()):
            raise ValueError("its arrays have other sizes than it says")
        corpus = Corpus(
            arrays["ids"], arrays["segments"], arrays["starts"], facts["num_straddling"], facts["dropped"]
        )
        known = _Facts(facts["digest"], facts["tokens_by_segment"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{directory}: no whole corpus ({error}); delete the folder and run again"
        ) from error
    object.__setattr__(corpus, "_facts", known)
    object.__setattr__(corpus, "_folder", directory)
    return corpus


@contextmanager
def writing_corpus(directory: Path) -> Iterator[CorpusWriter]:
    """Gives a writer whose corpus stands at `directory` when the context ends without an error.

    Where another process was faster, its corpus stays.
    """
    with whole_folder(directory) as folder, CorpusWriter(folder) as writer:
        yield writer


class CorpusWriter:
    """Appends blocks to the files of a corpus.

    Attributes:
        num_examples: Examples written.
        dropped: Why records were left out -> how many.
        versions: Package name -> version, noted beside the counts.
    """

    def __init__(self, directory: Path) -> None:
        self.num_examples = 0
        self.dropped: Counter[str] = Counter()
        self.versions: dict[str, str] = {}
        self._directory = directory
        self._arrays = {
            name: _ArrayFile(directory / f"{name}.npy", np.dtype(d)) for name, d in _DTYPES.items()
        }
        self._arrays["starts"].append(np.zeros(1, np.int64))
        self._by_segment: Counter[str] = Counter()
        self._num_straddling = 0
        self._digest = _Digest()

    def __enter__(self) -> CorpusWriter:
        return self

    def __exit__(self, error_type: object, *_: object) -> None:
        for array in self._arrays.values():
            array.close()
        if error_type is None:
            (self._directory / FACTS).write_text(json.dumps(self._facts(), indent=2) + "\n", encoding="utf-8")

    def append(self, block: EncodedExamples) -> None:
        """Writes the examples of a block behind those that are there."""
        starts_E = self._arrays["ids"].size + np.cumsum(block.lengths_E)
        self._arrays["ids"].append(block.ids_N)
        self._arrays["segments"].append(block.segments_N)
        self._arrays["starts"].append(starts_E)
        self._digest.update(block.ids_N, block.segments_N, block.lengths_E)
        self._by_segment.update(_count_segments(block.segments_N))
        self._num_straddling += block.num_straddling
        self.num_examples += len(block.lengths_E)
        self.dropped.update(block.dropped)

    def _facts(self) -> dict[str, Any]:
        return {
            "examples": self.num_examples,
            "tokens": self._arrays["ids"].size,
            "tokens_by_segment": {name: self._by_segment[name] for name in SEGMENTS},
            "num_straddling": self._num_straddling,
            "dropped": dict(self.dropped),
            "digest": self._digest.hexdigest(),
            "versions": self.versions,
        }


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


class _Digest:
    """Each array by itself, so that the digest is the same however the examples come in blocks."""

    def __init__(self) -> None:
        self._parts = [hashlib.sha256() for _ in range(3)]

    def update(self, *arrays: NDArray[Any]) -> None:
        for part, array in zip(self._parts, arrays, strict=True):
            part.update(np.ascontiguousarray(array).data)

    def hexdigest(self) -> str:
        return hashlib.sha256(b"".join(part.digest() for part in self._parts)).hexdigest()


def _count_segments(segments_N: NDArray[np.uint8]) -> dict[str, int]:
    counts = np.zeros(len(SEGMENTS), np.int64)
    for start in range(0, len(segments_N), _SLICE):
        counts += np.bincount(segments_N[start : start + _SLICE], minlength=len(SEGMENTS))
    return {name: int(count) for name, count in zip(SEGMENTS, counts, strict=True)}
