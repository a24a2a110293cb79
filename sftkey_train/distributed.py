"""The processes of one launch (torchrun, accelerate launch): all train together, the first does the rest.

Waiting for the first process goes over a group of its own, whose patience is days: building a base model or
reading the data with a reference model may take longer than any collective of training should. The second
half of the file is about training where each process holds but a share of the weights: what to refuse, and
how to gather them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch.distributed import ProcessGroup
    from transformers import Trainer

T = TypeVar("T")
STEP_TIMEOUT = timedelta(minutes=30)
"""Patience of the collectives of training: transformers' default."""
WAITING_TIMEOUT = timedelta(days=7)
_LAUNCH_PREFIXES = ("ACCELERATE_", "FSDP_", "TORCHELASTIC_", "GROUP_", "ROLE_")
_LAUNCH_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_waiting: ProcessGroup | None = None


def count() -> int:
    """Number of processes of the launch."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that prints and writes."""
    return int(os.environ.get("RANK", "0")) == 0


def check_launch() -> None:
    """Makes sure that what the launch asks for is there.

    Raises:
        InputError: DeepSpeed is not.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true" and find_spec("deepspeed") is None:
        raise InputError("this launch asks for DeepSpeed, which is not installed: pip install deepspeed")


def wait() -> None:
    """Waits until all processes are here; leaves quietly where another one failed, which has said why."""
    agreed(None)


@contextmanager
def first_goes_ahead() -> Iterator[None]:
    """The first process does what is in the context, then the others, who find it done."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()


def agreed(value: T) -> T:
    """The first process's value, in all processes."""
    if count() == 1:
        return value
    import torch.distributed as dist

    values = [value] * count()
    try:  # gathered from all rather than sent by one, so that nobody goes on before all are here
        dist.all_gather_object(values, value, group=_group())
    except RuntimeError:
        sys.exit(1)
    return values[0]


def leave() -> bool:
    """Ends the launch for this process, once all have come here.

    Returns:
        Whether it is the first one, which goes on alone; the others are done.
    """
    if count() == 1:
        return True
    import torch.distributed as dist

    global _waiting
    first = is_first()
    wait()
    dist.destroy_process_group()
    _waiting = None
    _hide_launch()  # else what follows would take itself for one of several processes
    return first


def _group() -> ProcessGroup:
    """The group in which processes wait for each other; joins them first where that has not been done."""
    global _waiting
    if _waiting is None:
        import torch
        from accelerate import PartialState

        check_launch()
        PartialState(cpu=not torch.cuda.is_available(), timeout=STEP_TIMEOUT)
        _waiting = torch.distributed.new_group(backend="gloo", timeout=WAITING_TIMEOUT)
    return _waiting


def _hide_launch() -> None:
    """Takes the launch out of the environment, and makes accelerate look there again."""
    from accelerate.state import AcceleratorState

    names = [name for name in os.environ if name in _LAUNCH_NAMES or name.startswith(_LAUNCH_PREFIXES)]
    for name in names:
        del os.environ[name]
    # accelerate (1.15) reads the environment once, and has no public way to do it again.
    AcceleratorState._reset_state(reset_partial_state=True)


def is_sharded(trainer: Trainer) -> bool:
    """Whether each process holds but a share of the weights."""
    return bool(trainer.is_fsdp_enabled) or _zero_stage(trainer) == 3


def _zero_stage(trainer: Trainer) -> int:
    """DeepSpeed's ZeRO stage; 0 without DeepSpeed."""
    return trainer.accelerator.state.deepspeed_plugin.zero_stage if trainer.is_deepspeed_enabled else 0


def sum_in_float32(trainer: Trainer) -> None:
    """FSDP would add up gradients, and give the loss, in the precision of the forward pass."""
    if trainer.is_fsdp_enabled and trainer.args.bf16:
        import torch
        from torch.distributed.fsdp import MixedPrecisionPolicy

        precision = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        trainer.accelerator.state.fsdp_plugin.mixed_precision_policy = precision


def check_sharding(
    trainer: Trainer, *, method: str, gradient_norms: bool, lags: bool, probes: bool, carries: bool
) -> None:
    """Refuses what would go wrong in silence where the weights are shared out.

    Args:
        trainer: Knows how the processes were launched.
        method: How the stage trains (`TrainSettings.method`).
        gradient_norms: Whether the gradients of parts of the loss are looked at.
        lags: Whether the objective needs an older model.
        probes: Whether validation records are looked at.
        carries: Whether the optimiser goes on to the next stage.

    Raises:
        InputError: What it is, and how to do without.
    """
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not trainer.is_fsdp_enabled:
        raise InputError(
            "this launch asks for FSDP, which accelerate does over several GPUs alone; use torchrun"
        )
    if trainer.is_fsdp_enabled:
        plugin = trainer.accelerator.state.fsdp_plugin
        # Version 1 flattens parameters into one, while an older model is swapped in parameter by parameter;
        # and where the first process alone loads, the others' models are empty when `check_head` runs them.
        if plugin.fsdp_version != 2 or plugin.cpu_ram_efficient_loading:
            raise InputError(
                "FSDP here needs fsdp_version: 2 and fsdp_cpu_ram_efficient_loading: false, as in "
                "sftkey_train/launch/fsdp.yaml"
            )
    if is_sharded(trainer) and gradient_norms:
        raise InputError(
            "train.gradient_norms needs whole weights in every process; leave it out with FSDP and ZeRO-3"
        )
    if is_sharded(trainer) and carries:
        raise InputError("train.optimizer_state carried needs whole moments in one process; use fresh here")
    if is_sharded(trainer) and method == "qlora":
        raise InputError("train.method qlora cannot be sharded; start it with torchrun, or use lora")
    if _zero_stage(trainer) == 3 and (lags or probes):
        raise InputError(
            "ZeRO-3 can neither train psft nor look at validation records (train.validate_every); use "
            "sftkey_train/launch/fsdp.yaml or zero2.yaml"
        )


def whole_weights(trainer: Trainer) -> Mapping[str, torch.Tensor] | None:
    """The weights gathered from all processes, in the first one; None where the model holds them all."""
    if _zero_stage(trainer):
        gathered = _master_weights(trainer.accelerator.unwrap_model(trainer.model))
    elif is_sharded(trainer):
        gathered = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    else:
        return None
    # A gathered tensor no longer shares memory with the one it is tied to, so transformers (5.x) would save
    # both; a folder of one process has it once.
    tied = getattr(trainer.accelerator.unwrap_model(trainer.model), "all_tied_weights_keys", None) or {}
    return {name: weight for name, weight in gathered.items() if name not in tied}


def _master_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
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
