"""What is evaluated or trained from: models named by folder, Hub id or `embedded`, and adapters on them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.config import EMBEDDED
from sftkey_train.checkpoint import weights_digest
from tasks.errors import InputError

HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]


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


def cache_dir() -> Path:
    """The user's cache, or `HARNESS_CACHE`."""
    import platformdirs

    return Path(os.environ.get("HARNESS_CACHE") or platformdirs.user_cache_dir("sftkey-harness"))


def locate_model(name: str) -> Path:
    """Folder of a model named by folder or Hub id; a Hub model is downloaded (safetensors only).

    Raises:
        InputError: There is no such folder, and the Hub has or gives none.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            hint = "; name its base with --model and it with --adapter" if _is_adapter(path) else ""
            raise InputError(f"{path}: no config.json, so not a model folder{hint}")
        return path
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"{name}: no such folder")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"{name}: neither a folder here nor to be had from the Hub ({type(error).__name__}); "
            f"check the name and the network, or use a local folder or '{EMBEDDED}'"
        ) from error


def model_name(name: str, path: Path) -> str:
    """What a leaderboard calls a model: its Hub id, or the last part of its folder."""
    return path.resolve().name if Path(name).expanduser().is_dir() else name


def whole_model(model_dir: Path) -> Checkpoint:
    """A full checkpoint in a folder."""
    return Checkpoint(model_dir, None, weights_digest(model_dir))


def with_adapter(base: Checkpoint, adapter_dir: Path) -> Checkpoint:
    """A PEFT adapter on a base.

    Raises:
        InputError: The folder is no adapter.
    """
    if not _is_adapter(adapter_dir):
        raise InputError(f"{adapter_dir}: no adapter_config.json, so not a PEFT adapter")
    digest = hashlib.sha256(f"{base.digest}+{weights_digest(adapter_dir)}".encode()).hexdigest()
    return Checkpoint(base.model_dir, adapter_dir, digest)


@contextmanager
def merged(checkpoint: Checkpoint, scratch: Path) -> Iterator[Callable[[], Path]]:
    """Gives a function that makes one folder of a checkpoint, an adapter's weights merged into its base's.

    Merged weights run on every engine and need no guard against what serving adapters gets wrong. The folder
    is made when first asked for, and removed at the end.

    Args:
        checkpoint: What to merge.
        scratch: Where to put the merged folder.

    Raises:
        InputError: From the function: the adapter does not fit its base, or changes nothing.
    """
    if checkpoint.adapter_dir is None:
        yield lambda: checkpoint.model_dir
        return
    target = scratch / f"{checkpoint.digest[:16]}.{os.getpid()}"  # a process of its own, a folder of its own
    try:
        yield lambda: target if target.is_dir() else _merge(checkpoint, target)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _merge(checkpoint: Checkpoint, target: Path) -> Path:
    import torch
    from peft import PeftModel

    from sftkey_train.model import load_base, load_tokenizer

    base = load_base(str(checkpoint.model_dir))
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    adapter_dir = str(checkpoint.adapter_dir)
    try:
        model = PeftModel.from_pretrained(base, adapter_dir).merge_and_unload()
    except (ValueError, RuntimeError, KeyError, OSError, AttributeError) as error:
        detail = " ".join(str(error).split())[:200]
        raise InputError(
            f"{adapter_dir}: the adapter does not fit {checkpoint.model_dir} ({detail})"
        ) from error
    after = model.state_dict()
    if all(name in before and torch.equal(tensor, before[name]) for name, tensor in after.items()):
        raise InputError(
            f"{adapter_dir}: the adapter changes nothing in {checkpoint.model_dir}; is it trained?"
        )
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.config.use_cache = True
    model.save_pretrained(partial, safe_serialization=True)
    load_tokenizer(str(checkpoint.model_dir)).save_pretrained(partial)
    partial.rename(target)
    return target


def _is_adapter(path: Path) -> bool:
    return (path / "adapter_config.json").is_file()
