"""AdamW's moments from one stage to the next, where a run says that the optimiser is carried over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from tasks.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

MOMENTS = "optimizer.moments"
"""In a stage's folder: safetensors under a name that no loader of weights takes for weights."""
_PARTS = ("step", "exp_avg", "exp_avg_sq")


def moments_of(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """`part/parameter` -> what AdamW keeps of each parameter: its steps, and the two moments [its shape]."""
    return {
        f"{part}/{name}": torch.as_tensor(optimizer.state[parameter][part]).detach().cpu().contiguous()
        for name, parameter in _trained(model)
        for part in _PARTS
    }


def take_over(model: torch.nn.Module, optimizer: torch.optim.Optimizer, parent: Path) -> None:
    """Gives an optimiser the moments that the stage before left.

    Raises:
        InputError: That stage left none, or of other parameters.
    """
    path = parent / MOMENTS
    if not path.is_file():
        raise InputError(f"{path}: not there; remove {parent}, and the stage is trained and saved again")
    kept = load_file(path)
    trained = dict(_trained(model))
    if {name.partition("/")[2] for name in kept} != trained.keys():
        raise InputError(f"{path}: moments of other parameters; train.optimizer_state fresh leaves them out")
    for name, parameter in trained.items():
        # The fused kernels want the count of steps beside the weights, and as a float.
        optimizer.state[parameter] = {part: kept[f"{part}/{name}"].to(parameter.device) for part in _PARTS}


def _trained(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
