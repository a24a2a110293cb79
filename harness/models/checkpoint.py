"""A checkpoint that has been looked at: checks in the order of their cost, then the digest of its weights.

What passed is remembered by the state of its files, so that a rerun reads no weights again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.models.adapters import check_adapter, check_adapter_config
from harness.models.architecture import check_architecture, check_shapes
from harness.models.finite import check_finite
from harness.models.locate import cache_dir, is_adapter
from harness.models.shards import read_tensors
from harness.models.vocabulary import check_tokenizer, check_vocabulary, has_tokenizer
from sftkey_train.checkpoint import weights_digest
from tasks.errors import InputError

Check = Callable[[Path], object]
MODEL_CHECKS: tuple[Check, ...] = (
    check_architecture,
    read_tensors,
    check_shapes,
    check_tokenizer,
    check_vocabulary,
    check_finite,
)


@dataclass(frozen=True)
class Checkpoint:
    """Weights that can be evaluated.

    Attributes:
        model_dir: Folder of the whole model, or of the adapter's base.
        adapter_dir: Folder of a PEFT adapter, or None.
        digest: Digest of all weights that count.
    """

    model_dir: Path
    adapter_dir: Path | None
    digest: str

    @property
    def tokenizer_dir(self) -> Path:
        """Folder of the tokenizer it was trained with: an adapter's own, where it has one."""
        own = self.adapter_dir
        return own if own and has_tokenizer(own) else self.model_dir


def whole_model(model_dir: Path) -> Checkpoint:
    """A full checkpoint in a folder.

    Raises:
        InputError: It cannot be evaluated; says why.
    """
    return Checkpoint(model_dir, None, _vetted(model_dir, MODEL_CHECKS, ""))


def with_adapter(base: Checkpoint, adapter_dir: Path) -> Checkpoint:
    """A PEFT adapter on a base.

    Raises:
        InputError: The folder is no adapter, or it cannot be evaluated on this base; says why.
    """
    if not is_adapter(adapter_dir):
        raise InputError(f"{adapter_dir}: no adapter_config.json, so not a PEFT adapter")
    own = _vetted(adapter_dir, adapter_checks(base.model_dir), base.digest)
    digest = hashlib.sha256(f"{base.digest}+{own}".encode()).hexdigest()
    return Checkpoint(base.model_dir, adapter_dir, digest)


def adapter_checks(base_dir: Path) -> tuple[Check, ...]:
    """What is checked of an adapter on a base."""
    return (check_adapter_config, lambda adapter_dir: check_adapter(base_dir, adapter_dir), check_finite)


def problems(folder: Path, checks: tuple[Check, ...]) -> Iterator[str]:
    """Why a folder would be refused, a line for each reason."""
    seen = set()
    for check in checks:
        try:
            check(folder)
        except InputError as error:
            if str(error) not in seen:
                yield str(error)
            seen.add(str(error))


def _vetted(folder: Path, checks: tuple[Check, ...], beside: str) -> str:
    """The digest of a folder that passes all checks, from memory where its files have not changed."""
    memory = cache_dir() / "vetted" / _state(folder, beside)
    if memory.is_file():
        return memory.read_text(encoding="ascii")
    for check in checks:
        check(folder)
    digest = weights_digest(folder)
    memory.parent.mkdir(parents=True, exist_ok=True)
    partial = memory.with_name(f"{memory.name}.{os.getpid()}")
    partial.write_text(digest, encoding="ascii")
    partial.replace(memory)
    return digest


def _state(folder: Path, beside: str) -> str:
    """Digest of where the files are, how large, when last written, and of what judges them."""
    import importlib.metadata

    lines = [str(folder.resolve()), beside, importlib.metadata.version("transformers")]
    for path in sorted(folder.iterdir()):
        if path.is_file():
            stat = path.stat()
            times = stat.st_mtime_ns, stat.st_ctime_ns  # the second cannot be set back
            lines.append(f"{path.name} {path.resolve()} {stat.st_size} {stat.st_ino} {times}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
