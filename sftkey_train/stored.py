"""What a stage leaves on disk: a Hugging Face folder (or PEFT adapter) with a manifest and its history.

The folder is whole or not there. While the stage trains, saves of it stand in a scratch folder, from which a
killed stage goes on: transformers' own checkpoints, and what they lack.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError
from tasks.files import remove, write_whole
from tasks.leases import say
from tasks.reading import parse_json, read_json, read_text
from tasks.seals import fault, seal, whole_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

MANIFEST = "sftkey_manifest.json"
HISTORY = "metrics.jsonl"
PROGRESS = "sftkey_progress.json"
NAN = float("nan")
_PLAIN = ("config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja")
_WITH_PLACES = ("adapter_config.json", "tokenizer_config.json")


@dataclass(frozen=True)
class StepMetrics:
    """One line of the metrics history; not-a-number where something was not measured.

    Attributes:
        step: Optimiser steps done.
        num_steps: Optimiser steps to do.
        loss: The objective, averaged over weight and over the steps since the last line.
        loss_thinking: Cross-entropy of the reasoning's tokens in this step, also where they carry no loss.
        loss_answer: Cross-entropy of the answer's tokens.
        loss_tags: Cross-entropy of the tags.
        learning_rate: Of this step.
        tokens: Tokens forward so far, padding not counted.
        wall_seconds: Spent training since the stage began.
        gradient_norm: Norm of the step's gradient, before clipping.
        gradient_norm_thinking: Norm of the gradient that the reasoning's tokens alone would give.
        gradient_norm_answer: Norm of the gradient that the answer's tokens alone would give.
        gradient_norm_tags: Norm of the gradient that the tags alone would give.
        accuracy: Share of the validation records answered right.
        format_valid: Share of the validation records answered in the tag format.
        reward: Of the step's responses on average, their parts with their weights; with `dpo` by how much the
            right ones are preferred.
        kl: Divergence from the model that the stage began with, in nats a token.
        entropy: Of the next token, over the step's responses, in nats.
        response_tokens: Length of a response.
        equal_groups: Share of the questions whose responses all have one reward, and so teach nothing.
        rewards: Each part of the reward by its name.
    """

    step: int
    num_steps: int
    loss: float
    loss_thinking: float
    loss_answer: float
    loss_tags: float
    learning_rate: float
    tokens: int
    wall_seconds: float
    gradient_norm: float = NAN
    gradient_norm_thinking: float = NAN
    gradient_norm_answer: float = NAN
    gradient_norm_tags: float = NAN
    accuracy: float = NAN
    format_valid: float = NAN
    reward: float = NAN
    kl: float = NAN
    entropy: float = NAN
    response_tokens: float = NAN
    equal_groups: float = NAN
    rewards: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StageCost:
    """What a stage took.

    Attributes:
        steps: Optimiser steps.
        tokens_forward: Tokens that passed through the model, padding not counted.
        tokens_loss: Of these, tokens that carried loss.
        flops: Estimate of `model.flops_of`.
        wall_seconds: Spent training, without the time of the probe.
        reference_tokens: Tokens that passed through a reference model meanwhile.
        reference_flops: Of the same.
        sampled_tokens: Tokens that passed through the model to draw what it learns from.
        sampled_flops: Of the same.
    """

    steps: int
    tokens_forward: int
    tokens_loss: int
    flops: float
    wall_seconds: float
    reference_tokens: int = 0
    reference_flops: float = 0.0
    sampled_tokens: int = 0
    sampled_flops: float = 0.0


@dataclass(frozen=True)
class StageResult:
    """What a stage gave, besides the weights that stand in its model.

    Attributes:
        history: One line every `log_every` steps, and the last.
        cost: What it took.
        state_dict: The whole weights, in the first process, where the model itself holds but a share of them.
        moments: The optimiser's, where the settings carry it over to the next stage.
    """

    history: tuple[StepMetrics, ...]
    cost: StageCost
    state_dict: Mapping[str, torch.Tensor] | None = None
    moments: Mapping[str, torch.Tensor] | None = None


def save_stage(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    directory: Path,
    manifest: Mapping[str, Any],
    history: Sequence[StepMetrics],
    cost: StageCost | None = None,
    state_dict: Mapping[str, torch.Tensor] | None = None,
    moments: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Writes a trained stage whole or not at all; where another process was faster, its folder stays.

    Args:
        model: A transformers model or PEFT model.
        tokenizer: Saved beside it.
        directory: Where it goes.
        manifest: What it was made from; the cost and `weights_digest` are added.
        history: Lines of its training.
        cost: What it took, for `read_cost`; left out where None.
        state_dict: The whole weights, where the model holds but a share of them.
        moments: The optimiser's, for a stage that carries it over.
    """
    if getattr(model, "config", None) is not None and hasattr(model.config, "use_cache"):
        model.config.use_cache = True  # off while training; who loads the folder will generate with it
    with whole_folder(directory) as folder:
        model.save_pretrained(folder, state_dict=state_dict, safe_serialization=True)
        tokenizer.save_pretrained(folder)
        if moments:
            from safetensors.torch import save_file

            from sftkey_train.moments import MOMENTS

            save_file(dict(moments), folder / MOMENTS)
        costs = {"cost": asdict(cost)} if cost else {}
        whole = {**manifest, **costs, "weights_digest": weights_digest(folder)}
        (folder / MANIFEST).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        # JSON has no NaN: a loss of a segment that a batch did not hold is null.
        rows = ({k: None if v != v else v for k, v in asdict(metrics).items()} for metrics in history)
        lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
        (folder / HISTORY).write_text(lines, encoding="utf-8")


def read_manifest(directory: Path) -> dict[str, Any]:
    """Reads what a stage was made from.

    Raises:
        InputError: There is no manifest, or it is damaged.
    """
    path = directory / MANIFEST
    manifest: dict[str, Any] = read_json(
        path, "no readable manifest ({error}); delete the folder and run again"
    )
    return manifest


def read_cost(directory: Path) -> StageCost:
    """Reads what a stage took.

    Raises:
        InputError: There is no manifest, or it does not say.
    """
    try:
        return StageCost(**read_manifest(directory)["cost"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{directory / MANIFEST}: no cost; delete the folder and run again") from error


def read_history(directory: Path) -> list[StepMetrics]:
    """Reads a stage's metrics history; not-a-number where nothing was measured.

    Raises:
        InputError: There is none, or it is damaged.
    """
    path = directory / HISTORY
    try:
        lines = [parse_json(line, str(path)) for line in read_text(path).splitlines()]
        rows: list[Any] = [{k: NAN if v is None else v for k, v in line.items()} for line in lines]
        return [StepMetrics(**row) for row in rows]
    except (InputError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no readable history; delete the folder and run again") from error


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
    for path in filter(Path.is_file, [*weights, *others]):
        digest.update(path.name.encode() + b"\0")
        if path.name in _WITH_PLACES:
            digest.update(_without_places(path))
            continue
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def _without_places(path: Path) -> bytes:
    """A configuration in one order and without the place of a folder, which may move."""
    config = read_json(path)
    ordered = {
        # peft keeps `target_modules` as a set, whose order is another in every process
        key: sorted(value, key=json.dumps) if isinstance(value, list) else value
        for key, value in config.items()
        if key not in ("base_model_name_or_path", "name_or_path")
    }
    return json.dumps(ordered, sort_keys=True).encode()


@dataclass(frozen=True)
class Progress:
    """How far a stage had come when it was saved.

    Attributes:
        history: Lines of history so far.
        tokens_forward: Tokens that had passed through the model.
        tokens_loss: Of these, tokens that carried loss.
        loss_sum: Losses of the steps since the last line of history, added up.
        wall_seconds: Spent training.
    """

    history: tuple[StepMetrics, ...]
    tokens_forward: int
    tokens_loss: int
    loss_sum: float
    wall_seconds: float

    def complete(self, scratch: Path, step: int) -> None:
        """Makes transformers' save of a step whole, and drops the ones before it."""
        saved = scratch / f"checkpoint-{step}"
        write_whole(saved / PROGRESS, json.dumps(asdict(self)))  # NaN is read back as such
        seal(saved, _place(saved))
        for other in scratch.glob("checkpoint-*"):
            if other != saved:
                shutil.rmtree(other)

    @classmethod
    def read(cls, saved: Path) -> Progress:
        """Reads how far a whole save had come."""
        data = read_json(saved / PROGRESS)
        return cls(tuple(StepMetrics(**line) for line in data.pop("history")), **data)


def latest_save(scratch: Path) -> Path | None:
    """The last whole save in a folder; what else is there is removed, with a line if it was whole once."""

    def steps(path: Path) -> int:
        number = path.name.rpartition("-")[2]
        return int(number) if number.isdecimal() else -1

    latest: Path | None = None
    for path in sorted(scratch.glob("*"), key=steps, reverse=True):
        wrong = save_fault(path)
        if latest is None and wrong is None:
            latest = path
            continue
        if latest is None and (path / PROGRESS).exists():
            say("%s: %s, so what it had saved is trained again", path, wrong)
        remove(path)
    return latest


def save_fault(saved: Path) -> str | None:
    """What is wrong with a save within a stage; None where it can be gone on from."""
    return fault(saved, _place(saved))


def _place(saved: Path) -> str:
    """With the stage's key: saves of all stages have the same names."""
    return f"{saved.parent.name}/{saved.name}"
