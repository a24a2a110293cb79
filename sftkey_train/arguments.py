"""A stage's settings as transformers' own arguments."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import TrainingArguments

from sftkey_train import processes
from sftkey_train.stages import StageNode
from sftkey_train.telemetry import trackers
from tasks.errors import InputError


def training_arguments(node: StageNode, scratch: Path) -> TrainingArguments:
    """The arguments of a stage's Trainer.

    Args:
        node: The stage.
        scratch: Folder for saves within it.

    Raises:
        InputError: A batch that does not divide among processes and micro-batches, or a value that
            transformers refuses.
    """
    settings = node.settings
    processes.check_launch()
    world_size = processes.count()
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
    cuda = torch.cuda.is_available()
    try:
        arguments = TrainingArguments(
            output_dir=str(scratch),
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=per_device // micro,
            max_steps=node.num_steps,
            learning_rate=node.learning_rate,
            lr_scheduler_type=settings.schedule,
            warmup_steps=node.warmup_steps,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            optim="adamw_torch_fused",
            bf16=cuda and torch.cuda.is_bf16_supported(),
            use_cpu=not cuda,
            seed=node.seed,
            logging_steps=settings.log_every,
            logging_first_step=False,
            logging_nan_inf_filter=False,  # it would put an earlier loss in the place of NaN
            save_strategy="no",
            report_to=trackers(settings.report_to),
            run_name=node.label,
            disable_tqdm=True,
            remove_unused_columns=False,
            average_tokens_across_devices=True,
            dataloader_pin_memory=cuda,
        )
    except ValueError as error:
        raise InputError(f"train settings: {' '.join(str(error).split())[:300]}") from error
    arguments._n_gpu = min(1, arguments.n_gpu)  # else one process would spread each batch over all its GPUs
    return arguments
