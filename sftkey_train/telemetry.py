"""What is seen of a stage while it trains: one line of history every so many steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sftkey_train.variants import RESPONSE, SEGMENTS
from tasks.errors import InputError

GROUPS: dict[str, tuple[str, ...]] = {
    "thinking": ("thinking",),
    "answer": ("answer",),
    "tags": ("thinking_tag", "answer_tag"),
}
"""Parts of the response that are watched apart, and their segments."""
NAN = float("nan")


@dataclass(frozen=True)
class StepMetrics:
    """One line of the metrics history; not-a-number where something was not measured.

    Attributes:
        step: Optimiser steps done.
        num_steps: Optimiser steps to do.
        loss: The objective, averaged over weight and over the steps since the last line.
        loss_thinking: Cross-entropy of the reasoning's tokens in this step, also where they carry no loss.
        loss_answer: Likewise of the answer's tokens.
        loss_tags: Likewise of the tags.
        learning_rate: Of this step.
        tokens: Tokens forward so far, padding not counted.
        wall_seconds: Spent training since the stage began.
        gradient_norm: Norm of the step's gradient, before clipping.
        gradient_norm_thinking: Norm of the gradient that the reasoning's tokens alone would give.
        gradient_norm_answer: Likewise the answer's.
        gradient_norm_tags: Likewise the tags'.
        accuracy: Share of the validation records answered right.
        format_valid: Share of the validation records answered in the tag format.
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


def trackers(report_to: str) -> list[str]:
    """Names of the trackers that a setting asks for.

    Raises:
        InputError: transformers knows none of that name, or its package is not installed.
    """
    from transformers.integrations import get_reporting_integration_callbacks

    names = [name.strip() for name in report_to.split(",") if name.strip() not in ("", "none")]
    for name in names:
        try:
            for callback in get_reporting_integration_callbacks([name]):
                callback()
        except (ValueError, RuntimeError, ImportError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"train.report_to {name}: {reason}") from error
    return names


def group_mask(segments_BT: Tensor, group: str) -> Tensor:
    """Where a group's tokens are predicted."""
    return _isin(segments_BT, GROUPS[group])


def response_mask(segments_BT: Tensor) -> Tensor:
    """Where a token of the response is predicted."""
    return _isin(segments_BT, RESPONSE)


class SegmentLosses:
    """Sum and count of the cross-entropy of each group over the micro-batches of a step."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, log_probs_BT: Tensor, segments_BT: Tensor) -> None:
        """Adds a micro-batch: log p of every token of the response where it is predicted."""
        for group in GROUPS:
            mask_BT = group_mask(segments_BT, group)
            part = torch.stack([-(log_probs_BT * mask_BT).sum(), mask_BT.sum().float()])
            self._sums[group] = self._sums[group] + part if group in self._sums else part

    def packed(self) -> Tensor:
        """Sums and counts, [groups, 2], to be added up over ranks."""
        return torch.stack([self._sums[group] for group in GROUPS])


def mean_losses(sums_G2: Tensor) -> dict[str, float]:
    """Mean loss by name from sums and counts; not-a-number for a group that the step did not hold."""
    return {
        f"loss_{group}": float(total / count) if count else NAN
        for group, (total, count) in zip(GROUPS, sums_G2.tolist(), strict=True)
    }


def _isin(segments_BT: Tensor, names: tuple[str, ...]) -> Tensor:
    wanted = torch.tensor([SEGMENTS.index(name) for name in names], device=segments_BT.device)
    return torch.isin(segments_BT, wanted)
