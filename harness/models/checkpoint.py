"""A checkpoint and its weights: looked at in the order of what that costs, digested, merged where need be.

What passed is remembered by the state of its files, so that a rerun reads no weights again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import harness.models.architecture as architecture
from harness.models.architecture import embedding_name, has_tokenizer, skeleton, usable_tokenizer
from harness.models.locate import adapter_config
from harness.models.shards import Tensor, check_finite, read_tensors
from leaderboards.results.schema import Entry, Evaluation, Role, TrainingCost
from sftkey_train.stored import weights_digest
from tasks.errors import InputError
from tasks.files import cache_dir, write_whole
from tasks.seals import whole_folder
from tasks.tags import get_tag_format

if TYPE_CHECKING:
    import torch

_LORA = re.compile(r"(?P<module>.+)\.(?P<part>lora_[A-Za-z_]+)(?P<bias>\.bias)?(?:\.weight)?$")
Check = Callable[[Path], object]
MODEL_CHECKS: tuple[Check, ...] = (
    architecture.check_architecture,
    read_tensors,
    architecture.check_shapes,
    usable_tokenizer,
    architecture.check_vocabulary,
    check_finite,
)


@dataclass(frozen=True)
class Folders:
    """Where weights are."""

    model_dir: Path  # folder of the whole model, or of the adapter's base
    adapter_dir: Path | None  # folder of a PEFT adapter, or None

    @property
    def tokenizer_dir(self) -> Path:
        """Folder of the tokenizer it was trained with: an adapter's own, where it has one."""
        own = self.adapter_dir
        return own if own and has_tokenizer(own) else self.model_dir


@dataclass(frozen=True)
class Weights(Folders):
    """Weights that can be evaluated, with a digest of all that count."""

    digest: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to evaluate."""

    name: str  # as the leaderboard shows it
    role: Role  # the untrained base, a variant trained here, or a checkpoint trained elsewhere
    model: str  # its base model, as the leaderboard shows it
    seed: int | None  # of its training
    tags: str  # tag format of its outputs: a name, or the path of a YAML file
    method: str | None  # how it was trained, where that is known
    shown_path: str  # where it is, in errors and on the leaderboard
    weights: Weights  # its weights
    training: TrainingCost | None = None  # what they cost
    licence: str | None = None  # of a checkpoint trained elsewhere
    link: str | None = None  # of one, too
    # A server holds the model: `weights.model_dir` is the name it has there, and no folder.
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
    """A full checkpoint in a folder; InputError says why it cannot be evaluated."""
    return Weights(model_dir, None, _vetted(model_dir, MODEL_CHECKS, ""))


def with_adapter(base: Weights, adapter_dir: Path) -> Weights:
    """A PEFT adapter on a base; InputError says why it cannot be evaluated there."""
    own = _vetted(adapter_dir, adapter_checks(base.model_dir), base.digest)
    digest = hashlib.sha256(f"{base.digest}+{own}".encode()).hexdigest()
    return Weights(base.model_dir, adapter_dir, digest)


def adapter_checks(base_dir: Path) -> tuple[Check, ...]:
    """What is checked of an adapter on a base."""
    return (check_adapter_config, lambda adapter_dir: check_adapter(base_dir, adapter_dir), check_finite)


def check_adapter_config(adapter_dir: Path) -> None:
    """Refuses (InputError) adapters of another kind than LoRA."""
    kind = adapter_config(adapter_dir).get("peft_type")
    if kind != "LORA":
        raise InputError(
            f"{adapter_dir}: peft_type is {kind}; LoRA, DoRA and rsLoRA are taken; merge it into its base "
            "and evaluate that"
        )


def check_adapter(base_dir: Path, adapter_dir: Path) -> None:
    """Refuses an adapter that is not whole, or not of this base; InputError names the first such module."""
    tensors = read_tensors(adapter_dir)
    named = adapter_config(adapter_dir).get("base_model_name_or_path")
    # Where transformers does more than rename, the base's modules are not those that the adapter names.
    if architecture.named_tensors(base_dir) is not None:
        modules = dict(skeleton(base_dir).named_modules())
        for tensor in tensors.values():
            fault = _fault(tensor, modules)
            if fault:
                raise InputError(
                    f"{adapter_dir}: the adapter does not fit {base_dir}: {fault}; it was trained on "
                    f"{named or 'another base'}, so name that with --base"
                )
    if has_tokenizer(adapter_dir):
        rows = saved_rows(tensors, base_dir) or architecture.num_embeddings(base_dir)
        architecture.check_fits(usable_tokenizer(adapter_dir), rows, adapter_dir)


def saved_rows(tensors: Mapping[str, Tensor], base_dir: Path) -> int | None:
    """Rows of the embedding that an adapter carries in place of its base's; None where it carries none."""
    wanted = f"{embedding_name(skeleton(base_dir))}.weight"
    return next((tensor.shape[0] for name, tensor in tensors.items() if _own_name(name) == wanted), None)


def _own_name(name: str) -> str:
    """A tensor's name without what PEFT puts around it."""
    return re.sub(
        r"\.(modules_to_save|original_module|base_layer)(?=\.)", "", name.removeprefix("base_model.model.")
    )


def _fault(tensor: Tensor, modules: Mapping[str, torch.nn.Module]) -> str | None:
    name = _own_name(tensor.name)
    match = _LORA.match(name)
    module = modules.get(match["module"] if match else name.rpartition(".")[0])
    if module is None:
        return f"it has no {match['module'] if match else name}"
    weight = getattr(module, "weight", None)
    if match is None or match["bias"] or weight is None or weight.dim() != 2:
        return None
    # A linear layer has inputs and outputs in the other order than an embedding or GPT-2's Conv1D.
    num_in, num_out = reversed(weight.shape) if hasattr(module, "in_features") else weight.shape
    sides = {"lora_A": (1, num_in), "lora_B": (0, num_out)}
    axis, size = sides.get(match["part"].replace("embedding_", ""), (0, None))
    if size is None or tensor.shape[axis] == size:
        return None
    return f"{match['module']} is {size} wide, where the adapter's is {tensor.shape[axis]}"


def problems(folder: Path, checks: tuple[Check, ...]) -> Iterator[str]:
    """Why a folder would be refused, a line for each reason."""
    seen = set[str]()
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
    is made when first asked for, and removed at the end. The function raises InputError where the adapter
    does not fit its base, or changes nothing.
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
    from peft import PeftModel

    from sftkey_train.model import load_base, load_tokenizer

    base = load_base(str(weights.model_dir))
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    rows = saved_rows(read_tensors(adapter_dir), weights.model_dir)
    # peft loads embeddings that were saved whole only into a base of as many rows.
    if rows and rows != base.get_input_embeddings().weight.shape[0]:
        base.resize_token_embeddings(rows)  # for tokens that were added in training
    try:
        model = PeftModel.from_pretrained(base, str(adapter_dir)).merge_and_unload()
    except (ValueError, RuntimeError, KeyError, OSError, AttributeError) as error:
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{adapter_dir}: the adapter does not fit {weights.model_dir} ({detail})") from error
    after = model.state_dict()
    if all(name in before and torch.equal(tensor, before[name]) for name, tensor in after.items()):
        raise InputError(f"{adapter_dir}: the adapter changes nothing in {weights.model_dir}; is it trained?")
    model.config.use_cache = True  # off while training, with gradient checkpointing; here it is to generate
    with whole_folder(target) as partial:
        model.save_pretrained(partial, safe_serialization=True)
        load_tokenizer(str(weights.tokenizer_dir)).save_pretrained(partial)
    return target
