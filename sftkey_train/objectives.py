"""What a stage minimises, as a sum over weighted positions.

Only positions with weight go through the LM head, in chunks of rows that are computed again in the backward
pass, so that memory does not grow with them. Adding an objective is one function in `OBJECTIVES`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

LOGITS_PER_CHUNK = 2**24
"""Logits held at once: 64 MiB in float32."""

Objective = Callable[[Tensor, Tensor], Tensor]
"""(logits_NV in float32, targets_N) -> the loss of each of the N positions, before weights."""


def cross_entropy(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Negative log-likelihood of each target: −log p_t."""
    return functional.cross_entropy(logits_NV, targets_N, reduction="none")


OBJECTIVES: dict[str, Objective] = {"cross-entropy": cross_entropy}


def chunked_losses(
    hidden_NH: Tensor, head: Callable[[Tensor], Tensor], targets_N: Tensor, objective: Objective
) -> Tensor:
    """Losses of N positions from their hidden states.

    Args:
        hidden_NH: Hidden states that predict the targets.
        head: The model's output head, [rows, H] -> [rows, V].
        targets_N: Token ids.
        objective: A value of `OBJECTIVES`.

    Returns:
        The losses [N], float32.
    """

    def rows(hidden: Tensor, targets: Tensor) -> Tensor:
        return objective(head(hidden).float(), targets)

    num_rows = max(1, LOGITS_PER_CHUNK // _vocabulary_size(head))
    if len(targets_N) <= num_rows:
        return rows(hidden_NH, targets_N)
    chunks = [
        checkpoint(rows, hidden, targets, use_reentrant=False)
        for hidden, targets in zip(hidden_NH.split(num_rows), targets_N.split(num_rows), strict=True)
    ]
    return torch.cat(chunks)


def _vocabulary_size(head: Callable[[Tensor], Tensor]) -> int:
    weight = getattr(head, "weight", None)
    return int(weight.shape[0]) if isinstance(weight, Tensor) else 2**17
