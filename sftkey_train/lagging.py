"""The model as it was a few steps ago, which a proximal objective compares the present one with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from sftkey_train.model import head_replaced, model_inputs
from sftkey_train.sparse_head import log_probs
from sftkey_train.stages import StageNode


class Lagging:
    """The model as it was a few steps ago: πₒₗ𝒹 of a proximal objective, renewed every `refresh` steps."""

    def __init__(self, node: StageNode) -> None:
        self._refresh = max(1, int(dict(node.stage.options)["refresh"]))
        self._weights: list[Tensor] = []
        self._renewed_at = -1

    def is_due(self, step: int) -> bool:
        """Whether the model of this step becomes the old one."""
        return step % self._refresh == 0

    @torch.no_grad()
    def log_probs(self, model: torch.nn.Module, batch: Mapping[str, Tensor], step: int) -> Tensor | None:
        """log p [B, T] under the old weights; None while they are the present ones."""
        _reshard(model)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if self.is_due(step):
            if self._renewed_at != step:
                self._weights = [parameter.detach().clone() for parameter in trained]
                self._renewed_at = step
            return None
        rows_BT = batch["weights"] > 0
        found: list[Tensor] = []

        def keep(hidden_BTH: Tensor, head: torch.nn.Linear) -> Tensor:
            found.append(log_probs(hidden_BTH[rows_BT], head, batch["targets"][rows_BT]))
            return hidden_BTH.new_zeros(())

        was_training = model.training
        model.eval()
        with _swapped(trained, self._weights), head_replaced(model, keep):
            model(**model_inputs(batch))
            _reshard(model)
        model.train(was_training)
        old_BT = torch.zeros(rows_BT.shape, device=rows_BT.device)
        old_BT[rows_BT] = found[0]
        return old_BT


def _reshard(model: torch.nn.Module) -> None:
    """Drops weights that FSDP has gathered for one forward pass and would use again in the next."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


@contextmanager
def _swapped(parameters: Sequence[torch.nn.Parameter], weights: Sequence[Tensor]) -> Iterator[None]:
    """In place: FSDP gathers from memory that it knows, not from what a parameter points at."""
    _swap(parameters, weights)
    try:
        yield
    finally:
        _swap(parameters, weights)


@torch.no_grad()
def _swap(parameters: Sequence[torch.nn.Parameter], weights: Sequence[Tensor]) -> None:
    for parameter, weight in zip(parameters, weights, strict=True):
        own = parameter.detach().clone()
        parameter.copy_(weight)
        weight.copy_(own)
