"""A checkpoint and its weights: looked at in the order of what that costs, digested, merged where need be.

What passed is remembered by the state of its files, so that a rerun reads no weights again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import harness.engines.canary as canary
import harness.models.adapters as adapters
import harness.models.architecture as architecture
import harness.models.vocabulary as vocabulary
from harness.models.conversions import unwrapped
from harness.models.shards import check_finite, read_tensors, weight_files
from harness.models.vocabulary import has_tokenizer
from leaderboards.results.schema import Entry, Evaluation, Role, TrainingCost
from sftkey_train.stored import weights_digest
from sftkey_train.text import load_tokenizer
from tasks.errors import InputError
from tasks.limits import Failed, Limited
from tasks.seals import SEAL, own_fault, remembered, scratch_folder, whole_folder
from tasks.tags import get_tag_format

Check = Callable[[Path], object]


def _check_seal(folder: Path) -> None:
    """Refuses a stage of ours whose files are not as they were written; a copy of another name may change."""
    wrong = own_fault(folder)
    if wrong is not None:
        raise InputError(f"{folder}: {wrong}; make it again, or remove {SEAL} if it was changed on purpose")


_TRIAL = "first token"
_MODEL_CHECKS: Mapping[str, Check] = {
    "config.json": architecture.check_architecture,
    "weights": read_tensors,
    "architecture": architecture.check_shapes,
    "tokenizer": vocabulary.check_tokenizer,
    _TRIAL: lambda folder: _check_runs(Folders(folder, None)),
}
"""What is looked at -> how: what builds or runs what the files say, which may take any time and memory."""
SECONDS = 20.0
_TRIED_BYTES = 256 << 20
"""Of weights that are loaded to see whether they run."""


class Refused(InputError):
    """A checkpoint that is not taken."""

    def __init__(self, line: str, others: Iterator[str]) -> None:
        super().__init__(line)
        self.others = others  # further reasons, which are looked for when they are asked for


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
    return Weights(model_dir, None, _vetted(model_dir, _MODEL_CHECKS, ""))


def with_adapter(base: Weights, adapter_dir: Path) -> Weights:
    """A PEFT adapter on a base; InputError says why it cannot be evaluated there."""
    checks: Mapping[str, Check] = {
        "adapter_config.json": adapters.check_adapter_config,
        "fit": lambda folder: adapters.check_fits(base.model_dir, folder),
        _TRIAL: lambda folder: _check_runs(Folders(base.model_dir, folder)),
    }
    adapter_dir = unwrapped(adapter_dir)
    own = _vetted(adapter_dir, checks, base.digest)
    digest = hashlib.sha256(f"{base.digest}+{own}".encode()).hexdigest()
    return Weights(base.model_dir, adapter_dir, digest)


def _check_runs(folders: Folders) -> None:
    """Refuses small weights that cannot be asked; large or quantised ones show it as their engine starts."""
    from harness.engines.api import EngineSettings
    from harness.engines.hf import HfEngine
    from sftkey_train.model import load_base

    base, adapter = folders.model_dir, folders.adapter_dir
    files = [*weight_files(base), *(weight_files(adapter) if adapter else ())]
    too_large = sum(path.stat().st_size for path in files) > _TRIED_BYTES
    if too_large or architecture.read_config(base).get("quantization_config"):
        return
    model = adapters.joined(base, adapter)[0] if adapter else load_base(str(base))
    engine = HfEngine(EngineSettings())
    engine.adopt(model, load_tokenizer(str(folders.tokenizer_dir)))
    engine.try_out(adapter or base)


def _problems(folder: Path, checks: Mapping[str, Check]) -> Iterator[str]:
    """Why a folder would be refused, a line for each reason.

    What builds or runs what the files say does so in a process with limits; what reads all bytes of the
    weights takes its time, and no memory, here.
    """
    seen = set[str]()
    built = {name: check for name, check in checks.items() if name != _TRIAL}
    for line in chain(_lines(folder, _check_seal), _lines_apart(folder, built), _lines(folder, check_finite)):
        if line not in seen:
            yield line
        seen.add(line)
    if not seen:
        yield from _lines_apart(folder, {_TRIAL: checks[_TRIAL]})


def _lines(folder: Path, check: Check) -> Iterator[str]:
    try:
        check(folder)
    except InputError as error:
        yield str(error)


def load_libraries(*, adapter: bool) -> None:
    """Imports what a process with limits needs: what it imports itself, each would import again."""
    import torch  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel  # noqa: F401

    import harness.engines.hf  # noqa: F401

    if adapter:
        import peft  # noqa: F401


def _lines_apart(folder: Path, checks: Mapping[str, Check]) -> Iterator[str]:
    load_libraries(adapter=(folder / "adapter_config.json").is_file())
    apart, found = Limited(lambda name: next(_lines(folder, checks[name]), None), SECONDS), None
    try:
        for name in checks:
            # It would only say in other words what has been found, like all that a faulty config.json builds.
            if found and (name == "fit" or "/config.json: " in found):
                continue
            if line := apart.ask(name):
                yield (found := line)
    except Failed as error:
        yield f"{folder}: to look at its {name} {error}; take another checkpoint, or save it anew"
    finally:
        apart.close()


def _vetted(folder: Path, checks: Mapping[str, Check], beside: str) -> str:
    """The digest of a folder that passes all checks, from memory where its files have not changed."""

    def digest() -> str:
        found = _problems(folder, checks)
        for line in found:
            raise Refused(line, found)
        return weights_digest(folder)

    return remembered("vetted", _state(folder, beside), digest)


def _state(folder: Path, beside: str) -> str:
    """Where the files are, how large, when last written, and what judges them."""
    import importlib.metadata

    lines = [str(folder.resolve()), beside, importlib.metadata.version("transformers")]
    for path in sorted(folder.iterdir()):
        if path.is_file():
            stat = path.stat()
            times = stat.st_mtime_ns, stat.st_ctime_ns  # the second cannot be set back
            lines.append(f"{path.name} {path.resolve()} {stat.st_size} {stat.st_ino} {times}")
    return "\n".join(lines)


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
    adapter_dir = weights.adapter_dir
    with scratch_folder(scratch / weights.digest[:16]) as folder:
        target = folder / "merged"
        yield lambda: target if target.is_dir() else _merge(weights, adapter_dir, target)


def _merge(weights: Weights, adapter_dir: Path, target: Path) -> Path:
    model, known = adapters.joined(weights.model_dir, adapter_dir)
    with whole_folder(target, sealed=False) as partial:
        model.save_pretrained(partial, safe_serialization=True)
        load_tokenizer(str(weights.tokenizer_dir)).save_pretrained(partial)
        canary.write(partial, known)
    return target
