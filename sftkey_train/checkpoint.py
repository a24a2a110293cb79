"""A checkpoint on disk: an ordinary Hugging Face folder (or PEFT adapter) with a manifest and its history.

It is written beside its place and renamed into it, so that a folder that exists is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

MANIFEST = "sftkey_manifest.json"
HISTORY = "metrics.jsonl"
_PLAIN = ("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja")
_WITH_PLACES = ("adapter_config.json", "tokenizer_config.json")


def save_checkpoint(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    directory: Path,
    manifest: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    state_dict: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Writes a checkpoint whole or not at all; where another process was faster, its checkpoint stays.

    Args:
        model: A transformers model or PEFT model.
        tokenizer: Saved beside it.
        directory: Where it goes.
        manifest: What it was made from; `weights_digest` is added.
        history: One mapping a logged step.
        state_dict: The whole weights, where the model holds but a share of them.
    """
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if getattr(model, "config", None) is not None and hasattr(model.config, "use_cache"):
        model.config.use_cache = True
    model.save_pretrained(partial, state_dict=state_dict, safe_serialization=True)
    tokenizer.save_pretrained(partial)
    whole = {**manifest, "weights_digest": weights_digest(partial)}
    (partial / MANIFEST).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    lines = "".join(json.dumps(_without_nan(row), allow_nan=False) + "\n" for row in history)
    (partial / HISTORY).write_text(lines, encoding="utf-8")
    move_whole(partial, directory)


def move_whole(partial: Path, directory: Path) -> None:
    """Renames a finished folder into its place, or drops it where another process has filled the place.

    Both come from the same inputs, so either will do.
    """
    try:
        partial.rename(directory)
    except OSError:
        if not directory.is_dir():
            raise
        shutil.rmtree(partial)


def _without_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: a loss of a segment that a batch did not hold is null."""
    return {key: None if value != value else value for key, value in row.items()}


def read_manifest(directory: Path) -> dict[str, Any]:
    """Reads a checkpoint's manifest.

    Raises:
        InputError: There is none, or it is damaged.
    """
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable manifest; delete the folder and run again") from error
    if not isinstance(manifest, dict):
        raise InputError(f"{path}: not a manifest; delete the folder and run again")
    return manifest


def read_history(directory: Path) -> list[dict[str, Any]]:
    """Reads a checkpoint's metrics history, a mapping for each line; not-a-number where nothing was measured.

    Raises:
        InputError: There is none, or it is damaged.
    """
    path = directory / HISTORY
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable history; delete the folder and run again") from error
    return [{key: float("nan") if value is None else value for key, value in line.items()} for line in lines]


def weights_digest(directory: Path) -> str:
    """Digest of all that decides what a model folder or adapter computes: weights, config, tokenizer.

    Raises:
        InputError: The folder holds no safetensors.
    """
    weights = sorted(directory.glob("*.safetensors"))
    if not weights:
        raise InputError(
            f"{directory}: no .safetensors weights; convert the checkpoint with safetensors first"
        )
    others = [directory / name for name in (*_PLAIN, *_WITH_PLACES)]
    digest = hashlib.sha256()
    for path in [*weights, *others]:
        if not path.is_file():
            continue
        digest.update(path.name.encode() + b"\0")
        if path.name in _WITH_PLACES:
            digest.update(_without_places(path))
            continue
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _without_places(path: Path) -> bytes:
    """A configuration in one order and without the place of a folder, which may move."""
    config = json.loads(path.read_text(encoding="utf-8"))
    ordered = {
        key: sorted(value, key=json.dumps) if isinstance(value, list) else value
        for key, value in config.items()
        if key not in ("base_model_name_or_path", "name_or_path")
    }
    return json.dumps(ordered, sort_keys=True).encode()
