"""The knobs of training that every variant of a run shares, so that what differs is the variant alone.

And what they are called in transformers' words, which is known here alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field

from sftkey_train.distributed import check_launch, count
from tasks.checks import Count, CountOrNone, NotNegative, Positive, PositiveOrNone
from tasks.errors import InputError, did_you_mean
from tasks.secrets import one_line

if TYPE_CHECKING:
    from transformers import TrainingArguments

Arguments = TypeVar("Arguments", bound="TrainingArguments")

Method = Literal["full", "lora", "dora", "rslora", "qlora"]
Budget = Literal["steps", "tokens", "epochs"]
Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
MOST_STEPS = 1_000_000
"""Of a variant: more are a slip, and laying them out would take minutes."""
_SCHEDULES = (
    *("linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt"),
    *("constant", "constant_with_warmup"),
)
"""Those of transformers that need no more: others want options, or a metric at each step."""
SMALL_MODEL = 3_000_000
"""Weights below which one thread is faster than several on a CPU."""


@dataclass(frozen=True)
class TrainSettings:
    """Optimiser, budget and method; defaults are the paper's where it states them (arXiv 2512.21017).

    Every variant gets the same budget, whatever its number of stages, and all stages of all variants draw
    their batches from one sequence: a two-stage variant sees exactly the tokens of a one-stage one.

    Attributes:
        method: `full` fine-tuning, or adapters on every linear layer: `lora` (arXiv 2106.09685), `dora`
            (2402.09353), `rslora` (2312.03732), or `qlora` (2305.14314: LoRA on a 4-bit base, CUDA only).
        learning_rate: Peak learning rate of a first stage.
        second_learning_rate: Peak learning rate of later stages; the paper does not state a separate one.
        budget: What is equal between variants: optimiser `steps`, forward `tokens` (to the nearest step), or
            `epochs` over the variant's own examples.
        epochs: Size of the budget, in passes over the training records.
        amount: Size of the budget in its own unit, in place of `epochs`.
        budget_of: What has that budget: a whole `variant`, or its first `stage`, with later stages on top of
            it (the paper's protocol, which gives two stages more compute than one).
        stage2_share: Share of a variant's budget that goes to its later stages.
        stage2_data: Whether later stages see the `next` examples of the run's order, or the `same` as the
            first, as in the paper.
        loss_mean: Over the `tokens` of a step, or over its `examples`, each the mean of its tokens (the paper
            does not say which).
        optimizer_state: Of a later stage: `fresh`, or AdamW's moments `carried` over from the stage before
            (the paper does not say which); the learning rate warms up again either way.
        batch_size: Examples per optimiser step, over all devices.
        micro_batch_size: Examples per forward pass on one device; as many as the batch gives it where None.
        packing: A micro-batch is one sequence without padding, its examples blind to each other.
        warmup_epochs: Linear warm-up, in epochs; at most half of a stage.
        schedule: Learning rate after the warm-up, by transformers' name (not stated in the paper).
        weight_decay: AdamW's decoupled weight decay.
        max_grad_norm: Gradients are clipped to this norm.
        max_length: Most tokens of an example; longer ones are left out and counted.
        log_every: Steps between two lines of the metrics history.
        validate_every: Steps between two looks at accuracy and format on validation records; none where None.
        validation_records: Validation records of each benchmark looked at.
        gradient_norms: Also log the gradient norm of each segment's loss, at the cost of further passes.
        report_to: Trackers that get the history too, by transformers' names (tensorboard, wandb, trackio).
        save_minutes: Minutes between two saves within a stage, from which a killed stage goes on.
        workers: Stages trained at a time, a process each; where None, one on each GPU, or on each core where
            the model is small.
        tag_tokens: Make each tag one token of the vocabulary; full fine-tuning only.
        lora_rank: Rank of the adapters.
        lora_alpha: Their scale, times rank.
        lora_dropout: Dropout on their input.
    """

    method: Method = "full"
    learning_rate: Rate = 5e-6
    second_learning_rate: Rate = 5e-6
    budget: Budget = "steps"
    epochs: Positive = 3.0
    amount: PositiveOrNone = None
    budget_of: Literal["variant", "stage"] = "variant"
    stage2_share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    stage2_data: Literal["next", "same"] = "next"
    loss_mean: Literal["tokens", "examples"] = "tokens"
    optimizer_state: Literal["fresh", "carried"] = "fresh"
    batch_size: Annotated[int, Field(gt=0, le=65_536)] = 32
    micro_batch_size: CountOrNone = None
    packing: bool = False
    warmup_epochs: NotNegative = 0.5
    schedule: str = "linear"
    weight_decay: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0.1
    max_grad_norm: NotNegative = 1.0
    max_length: Count = 1024
    log_every: Count = 10
    validate_every: CountOrNone = None
    validation_records: Count = 50
    gradient_norms: bool = False
    report_to: str = "none"
    save_minutes: NotNegative = 10.0
    workers: CountOrNone = None
    tag_tokens: bool = False
    lora_rank: Annotated[int, Field(gt=0, le=8192)] = 16
    lora_alpha: Annotated[int, Field(gt=0, le=1_000_000)] = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0

    @property
    def carries_optimizer(self) -> bool:
        """Whether a stage goes on with the optimiser of the one before."""
        return self.optimizer_state == "carried"


NOT_IN_THE_WEIGHTS = (
    *("log_every", "validate_every", "validation_records", "gradient_norms", "report_to"),
    *("save_minutes", "workers"),
)
"""Settings that say how training is watched and kept, and change no weight."""


def training_arguments(
    settings: TrainSettings,
    scratch: Path,
    kind: type[Arguments],
    batch_size: int | None = None,
    **of_stage: Any,
) -> Arguments:
    """The arguments of a stage's Trainer, which saves within `scratch`.

    Args:
        settings: Of the run.
        scratch: Folder of the saves.
        kind: Class of the arguments: transformers' own or TRL's.
        batch_size: Rows of an optimiser step, where they are not the settings' examples.
        of_stage: The stage's own, by transformers' names: label, seed, learning rate and steps.
    """
    import torch

    check_launch()
    per_device, micro = _batch_sizes(replace(settings, batch_size=batch_size or settings.batch_size))
    cuda = torch.cuda.is_available()
    try:
        arguments = kind(
            output_dir=str(scratch),
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=per_device // micro,
            lr_scheduler_type=settings.schedule,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            optim="adamw_torch_fused",
            logging_steps=settings.log_every,
            logging_first_step=False,
            logging_nan_inf_filter=False,  # it would put an earlier loss in the place of NaN
            save_strategy="no",  # the trainer itself asks for saves, by the clock
            report_to=_trackers(settings.report_to),
            disable_tqdm=True,
            remove_unused_columns=False,  # by the model's signature, which knows no segments
            average_tokens_across_devices=True,
            bf16=cuda and torch.cuda.is_bf16_supported(),  # mixed precision; float32 elsewhere
            use_cpu=not cuda,
            dataloader_pin_memory=cuda,
            **of_stage,
        )
    except ValueError as error:
        raise InputError(f"train settings: {' '.join(str(error).split())[:300]}") from error
    arguments._n_gpu = min(1, arguments.n_gpu)  # else one process would spread each batch over all its GPUs
    return arguments


def check_settings(settings: TrainSettings) -> None:
    """Refuses (InputError) what no stage could be trained with, on this machine and in this launch."""
    check_launch()
    check_method(settings.method)
    _batch_sizes(settings)
    _trackers(settings.report_to)
    if settings.schedule not in _SCHEDULES:
        meant = did_you_mean(settings.schedule, _SCHEDULES)
        raise InputError(
            f"train.schedule: none of the name {settings.schedule!r} that needs no more; {meant}"
        )


def check_method(method: str) -> None:
    """Refuses a method that this machine cannot train with.

    Raises:
        InputError: qlora without CUDA or without bitsandbytes.
    """
    if method != "qlora":
        return
    from importlib.util import find_spec

    import torch

    if not torch.cuda.is_available():
        raise InputError("train.method qlora needs a CUDA GPU for its 4-bit base; use lora here")
    if find_spec("bitsandbytes") is None:
        raise InputError("train.method qlora needs bitsandbytes: pip install bitsandbytes")


def _batch_sizes(settings: TrainSettings) -> tuple[int, int]:
    """(examples of an optimiser step on one device, examples of a micro-batch)."""
    world_size = count()
    per_device, rest = divmod(settings.batch_size, world_size)
    if rest:
        raise InputError(
            f"train.batch_size ({settings.batch_size}) is no multiple of the {world_size} processes"
        )
    micro = min(settings.micro_batch_size or per_device, per_device)
    if per_device % micro:
        raise InputError(
            f"train.batch_size ({settings.batch_size}) is no multiple of train.micro_batch_size ({micro})"
            + (f" × {world_size} processes" if world_size > 1 else "")
        )
    return per_device, micro


def _trackers(report_to: str) -> list[str]:
    """Names of the trackers that a setting asks for, each tried: a missing one shall not stop a run later."""
    names = [name.strip() for name in report_to.split(",") if name.strip() not in ("", "none")]
    for name in names:
        from transformers.integrations import get_reporting_integration_callbacks

        try:
            for callback in get_reporting_integration_callbacks([name]):
                callback()
        except (ValueError, RuntimeError, ImportError) as error:
            reason = one_line(error)
            raise InputError(f"train.report_to {name}: {reason}") from error
    return names
