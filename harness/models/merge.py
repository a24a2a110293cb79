"""An adapter's weights merged into its base's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.models.adapters import saved_rows
from harness.models.checkpoint import Checkpoint
from harness.models.shards import read_tensors
from tasks.errors import InputError


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
    adapter_dir = checkpoint.adapter_dir
    try:
        yield lambda: target if target.is_dir() else _merge(checkpoint, adapter_dir, target)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _merge(checkpoint: Checkpoint, adapter_dir: Path, target: Path) -> Path:
    import torch

    from sftkey_train.model import load_base, load_tokenizer

    base = load_base(str(checkpoint.model_dir))
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    rows = saved_rows(read_tensors(adapter_dir), checkpoint.model_dir)
    if rows and rows != base.get_input_embeddings().weight.shape[0]:
        base.resize_token_embeddings(rows)  # for tokens that were added in training
    model = _applied(base, checkpoint.model_dir, adapter_dir)
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
    load_tokenizer(str(checkpoint.tokenizer_dir)).save_pretrained(partial)
    partial.rename(target)
    return target


def _applied(base: Any, model_dir: Path, adapter_dir: Path) -> Any:
    """The base with an adapter merged into it."""
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(base, str(adapter_dir)).merge_and_unload()
    except (ValueError, RuntimeError, KeyError, OSError, AttributeError) as error:
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{adapter_dir}: the adapter does not fit {model_dir} ({detail})") from error
