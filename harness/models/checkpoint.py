"""A checkpoint and its weights: looked at in the order of what that costs, digested, merged where need be.

What passed is remembered by the state of its files, so that a rerun reads no weights again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.models.adapters import check_adapter, check_adapter_config, saved_rows
from harness.models.architecture import check_architecture, check_shapes
from harness.models.limits import check_tokenizer, check_vocabulary, has_tokenizer
from harness.models.locate import cache_dir, is_adapter
from harness.models.shards import check_finite, read_tensors
from leaderboards.results.schema import Entry, Evaluation, Role, TrainingCost
from sftkey_train.stored import weights_digest
from tasks.errors import InputError
from tasks.files import whole_folder, write_whole
from tasks.tags import get_tag_format

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
class Folders:
    """Where weights are.

    Attributes:
        model_dir: Folder of the whole model, or of the adapter's base.
        adapter_dir: Folder of a PEFT adapter, or None.
    """

    model_dir: Path
    adapter_dir: Path | None

    @property
    def tokenizer_dir(self) -> Path:
        """Folder of the tokenizer it was trained with: an adapter's own, where it has one."""
        own = self.adapter_dir
        return own if own and has_tokenizer(own) else self.model_dir


@dataclass(frozen=True)
class Weights(Folders):
    """Weights that can be evaluated.

    Attributes:
        digest: Digest of all weights that count.
    """

    digest: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to evaluate.

    Attributes:
        name: As the leaderboard shows it.
        role: The untrained base, a variant trained here, or a checkpoint trained elsewhere.
        model: Its base model, as the leaderboard shows it.
        seed: Of its training.
        tags: Tag format of its outputs: a name, or the path of a YAML file.
        method: How it was trained, where that is known.
        shown_path: Where it is, in errors and on the leaderboard.
        weights: Its weights.
        training: What they cost.
        licence: Of a checkpoint trained elsewhere.
        link: Likewise.
        served: A server holds the model: `weights.model_dir` is the name it has there, and no folder.
    """

    name: str
    role: Role
    model: str
    seed: int | None
    tags: str
    method: str | None
    shown_path: str
    weights: Weights
    training: TrainingCost | None = None
    licence: str | None = None
    link: str | None = None
    served: bool = False

    @property
    def label(self) -> str:
        """How progress names it."""
        return self.name if self.seed is None else f"{self.name} · seed {self.seed}"

    def entry(self, evaluations: tuple[Evaluation, ...]) -> Entry:
        """What is stored of it."""
        tag_format = get_tag_format(self.tags)
        return Entry(
            name=self.name,
            model=self.model,
            role=self.role,
            seed=self.seed,
            tags=tag_format.name,
            tagged=tag_format.tagged,
            method=self.method,
            checkpoint=self.shown_path,
            digest=self.weights.digest,
            training=self.training,
            evaluations=evaluations,
            licence=self.licence,
            link=self.link,
        )


def whole_model(model_dir: Path) -> Weights:
    """A full checkpoint in a folder.

    Raises:
        InputError: It cannot be evaluated; says why.
    """
    return Weights(model_dir, None, _vetted(model_dir, MODEL_CHECKS, ""))


def with_adapter(base: Weights, adapter_dir: Path) -> Weights:
    """A PEFT adapter on a base.

    Raises:
        InputError: The folder is no adapter, or it cannot be evaluated on this base; says why.
    """
    if not is_adapter(adapter_dir):
        raise InputError(f"{adapter_dir}: no adapter_config.json, so not a PEFT adapter")
    own = _vetted(adapter_dir, adapter_checks(base.model_dir), base.digest)
    digest = hashlib.sha256(f"{base.digest}+{own}".encode()).hexdigest()
    return Weights(base.model_dir, adapter_dir, digest)


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
    with suppress(FileNotFoundError):  # another process of the same launch has just written the same
        write_whole(memory, digest)
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


@contextmanager
def merged(weights: Weights, scratch: Path) -> Iterator[Callable[[], Path]]:
    """Gives a function that makes one folder of weights, an adapter's merged into its base's.

    Merged weights run on every engine and need no guard against what serving adapters gets wrong. The folder
    is made when first asked for, and removed at the end.

    Args:
        weights: What to merge.
        scratch: Where to put the merged folder.

    Raises:
        InputError: From the function: the adapter does not fit its base, or changes nothing.
    """
    if weights.adapter_dir is None:
        yield lambda: weights.model_dir
        return
    target = scratch / f"{weights.digest[:16]}.{os.getpid()}"  # a process of its own, a folder of its own
    adapter_dir = weights.adapter_dir
    try:
        yield lambda: target if target.is_dir() else _merge(weights, adapter_dir, target)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _merge(weights: Weights, adapter_dir: Path, target: Path) -> Path:
    import torch

    from sftkey_train.model import load_base, load_tokenizer

    base = load_base(str(weights.model_dir))
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    rows = saved_rows(read_tensors(adapter_dir), weights.model_dir)
    # peft loads embeddings that were saved whole only into a base of as many rows.
    if rows and rows != base.get_input_embeddings().weight.shape[0]:
        base.resize_token_embeddings(rows)  # for tokens that were added in training
    model = _applied(base, weights.model_dir, adapter_dir)
    after = model.state_dict()
    if all(name in before and torch.equal(tensor, before[name]) for name, tensor in after.items()):
        raise InputError(f"{adapter_dir}: the adapter changes nothing in {weights.model_dir}; is it trained?")
    model.config.use_cache = True  # off while training, with gradient checkpointing; here it is to generate
    with whole_folder(target) as partial:
        model.save_pretrained(partial, safe_serialization=True)
        load_tokenizer(str(weights.tokenizer_dir)).save_pretrained(partial)
    return target


def _applied(base: Any, model_dir: Path, adapter_dir: Path) -> Any:
    """The base with an adapter merged into it."""
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(base, str(adapter_dir)).merge_and_unload()
    except (ValueError, RuntimeError, KeyError, OSError, AttributeError) as error:
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{adapter_dir}: the adapter does not fit {model_dir} ({detail})") from error
