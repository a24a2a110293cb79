"""The knobs of training that every variant of a run shares, so that what differs is the variant alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["full", "lora"]


@dataclass(frozen=True)
class TrainSettings:
    """Optimiser, budget and method; defaults are the paper's where it states them (arXiv 2512.21017).

    Attributes:
        method: `full` fine-tuning, or `lora` adapters on every linear layer.
        learning_rate: Peak learning rate of a first stage.
        second_learning_rate: Peak learning rate of later stages; the paper does not state a separate one.
        epochs: Passes over the training records in a first stage.
        second_epochs: Passes in later stages.
        batch_size: Examples per optimiser step.
        micro_batch_size: Examples per forward pass on one device; all of the batch where None.
        warmup_epochs: Linear warm-up, in epochs; at most half of a stage.
        schedule: Learning rate after the warm-up, by transformers' name (not stated in the paper).
        weight_decay: AdamW's decoupled weight decay.
        max_grad_norm: Gradients are clipped to this norm.
        max_length: Most tokens of an example; longer ones are left out and counted.
        log_every: Steps between two lines of the metrics history.
        lora_rank: Rank of the adapters.
        lora_alpha: Their scale, times rank.
        lora_dropout: Dropout on their input.
    """

    method: Method = "full"
    learning_rate: float = 5e-6
    second_learning_rate: float = 5e-6
    epochs: float = 3.0
    second_epochs: float = 3.0
    batch_size: int = 32
    micro_batch_size: int | None = None
    warmup_epochs: float = 0.5
    schedule: str = "linear"
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    max_length: int = 1024
    log_every: int = 10
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
