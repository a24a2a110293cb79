"""Training where each process holds but a share of the weights: what to refuse, and how to gather them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributed.fsdp import MixedPrecisionPolicy

from tasks.errors import InputError

if TYPE_CHECKING:
    from transformers import Trainer

    from sftkey_train.settings import TrainSettings


def is_sharded(trainer: Trainer) -> bool:
    """Whether each process holds but a share of the weights."""
    return bool(trainer.is_fsdp_enabled) or _zero_stage(trainer) == 3


def _zero_stage(trainer: Trainer) -> int:
    """DeepSpeed's ZeRO stage; 0 without DeepSpeed."""
    return trainer.accelerator.state.deepspeed_plugin.zero_stage if trainer.is_deepspeed_enabled else 0


def sum_in_float32(trainer: Trainer) -> None:
    """FSDP would add up gradients, and give the loss, in the precision of the forward pass."""
    if trainer.is_fsdp_enabled and trainer.args.bf16:
        precision = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        trainer.accelerator.state.fsdp_plugin.mixed_precision_policy = precision


def check_sharding(trainer: Trainer, settings: TrainSettings, *, lags: bool, probes: bool) -> None:
    """Refuses what would go wrong in silence where the weights are shared out.

    Args:
        trainer: Knows how the processes were launched.
        settings: The stage's.
        lags: Whether the objective needs an older model.
        probes: Whether validation records are looked at.

    Raises:
        InputError: What it is, and how to do without.
    """
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not trainer.is_fsdp_enabled:
        raise InputError(
            "this launch asks for FSDP, which accelerate does over several GPUs alone; use torchrun"
        )
    if trainer.is_fsdp_enabled:
        plugin = trainer.accelerator.state.fsdp_plugin
        if plugin.fsdp_version != 2 or plugin.cpu_ram_efficient_loading:
            raise InputError(
                "FSDP here needs fsdp_version: 2 and fsdp_cpu_ram_efficient_loading: false, as in "
                "sftkey_train/launch/fsdp.yaml"
            )
    if is_sharded(trainer) and settings.gradient_norms:
        raise InputError(
            "train.gradient_norms needs whole weights in every process; leave it out with FSDP and ZeRO-3"
        )
    if is_sharded(trainer) and settings.method == "qlora":
        raise InputError("train.method qlora cannot be sharded; start it with torchrun, or use lora")
    if _zero_stage(trainer) == 3 and (lags or probes):
        raise InputError(
            "ZeRO-3 can neither train psft nor look at validation records (train.validate_every); use "
            "sftkey_train/launch/fsdp.yaml or zero2.yaml"
        )


def whole_weights(trainer: Trainer) -> Mapping[str, Tensor] | None:
    """The weights gathered from all processes, in the first one; None where the model holds them all."""
    if _zero_stage(trainer):
        gathered = _master_weights(trainer.accelerator.unwrap_model(trainer.model))
    elif is_sharded(trainer):
        gathered = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    else:
        return None
    tied = getattr(trainer.accelerator.unwrap_model(trainer.model), "all_tied_weights_keys", None) or {}
    return {name: weight for name, weight in gathered.items() if name not in tied}


def _master_weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """All parameters in float32, as DeepSpeed's optimiser has them: the model's own are in half precision."""
    deepspeed: Any = import_module("deepspeed")  # optional, and without types
    weights = {}
    for name, parameter in model.named_parameters():
        trained = deepspeed.utils.safe_get_full_fp32_param(parameter) if parameter.requires_grad else None
        with deepspeed.zero.GatheredParameters(
            [parameter], enabled=trained is None and hasattr(parameter, "ds_id")
        ):
            weights[name] = (parameter if trained is None else trained).detach().float().cpu().clone()
    return weights
