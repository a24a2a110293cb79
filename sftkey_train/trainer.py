"""Train one stage: transformers' Trainer with a loss that is normalised by the weight of the whole step."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from sftkey_train.batches import Collator, LengthGroupedBatches
from sftkey_train.model import check_head, head_on_rows
from sftkey_train.objectives import OBJECTIVES, chunked_losses, cross_entropy
from sftkey_train.settings import TrainSettings
from sftkey_train.spans import SEGMENT_ID, Corpus
from sftkey_train.stages import StageNode
from sftkey_train.variants import RESPONSE
from tasks.errors import InputError

SEGMENTS_OF_METRIC = {
    "loss_thinking": (SEGMENT_ID["thinking"],),
    "loss_answer": (SEGMENT_ID["answer"],),
}


@dataclass(frozen=True)
class StepMetrics:
    """One line of the metrics history.

    Attributes:
        step: Optimiser steps done.
        num_steps: Optimiser steps to do.
        loss: The objective, averaged over weight.
        loss_thinking: Cross-entropy of the reasoning tokens, also where they carry no loss.
        loss_answer: Cross-entropy of the answer tokens.
        learning_rate: Of this step.
        tokens: Tokens forward so far, padding not counted.
        wall_seconds: Since the stage began.
    """

    step: int
    num_steps: int
    loss: float
    loss_thinking: float
    loss_answer: float
    learning_rate: float
    tokens: int
    wall_seconds: float


OnStep = Callable[[StepMetrics], None]


@dataclass(frozen=True)
class StageResult:
    """What a stage gave, besides its weights.

    Attributes:
        history: One line every `log_every` steps, and the last.
        tokens_forward: Tokens that passed through the model, padding not counted.
        tokens_loss: Of these, tokens that carried loss.
        flops: 6 × parameters × tokens forward, the usual estimate (arXiv 2001.08361, section 2.1).
        wall_seconds: From the first batch to the last.
    """

    history: tuple[StepMetrics, ...]
    tokens_forward: int
    tokens_loss: int
    flops: float
    wall_seconds: float


def train_stage(
    model: torch.nn.Module,
    corpus: Corpus,
    node: StageNode,
    settings: TrainSettings,
    on_step: OnStep,
    stop_when: Callable[[Sequence[StepMetrics]], bool] | None = None,
) -> StageResult:
    """Trains the model in place.

    Args:
        model: What the stage starts from, see `model.load_for_training`.
        corpus: The encoded examples.
        node: Weights, objective, budget and seed.
        settings: What all variants share.
        on_step: Called with every line of the history as it comes.
        stop_when: Looks at the history so far and ends the stage before its budget where it says so.

    Raises:
        InputError: The model's logits are not its head's output.
        FloatingPointError: The loss became infinite or not a number.
    """
    set_seed(node.seed)
    first = torch.from_numpy(corpus[0]["input_ids"][:16])
    check_head(model, first.to(next(model.parameters()).device))
    with tempfile.TemporaryDirectory() as scratch:
        trainer = SpanTrainer(model, corpus, node, settings, on_step, Path(scratch), stop_when)
        trainer.train()
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    return StageResult(
        history=tuple(trainer.history),
        tokens_forward=trainer.tokens_forward,
        tokens_loss=trainer.tokens_loss,
        flops=6.0 * num_parameters * trainer.tokens_forward,
        wall_seconds=time.perf_counter() - trainer.started,
    )


class SpanTrainer(Trainer):
    """A Trainer whose loss is Σ wₜ·ℓₜ / Σ wₜ over the whole optimiser step, all micro-batches and ranks."""

    def __init__(
        self,
        model: torch.nn.Module,
        corpus: Corpus,
        node: StageNode,
        settings: TrainSettings,
        on_step: OnStep,
        scratch: Path,
        stop_when: Callable[[Sequence[StepMetrics]], bool] | None = None,
    ) -> None:
        self._corpus, self._node, self._on_step, self._stop_when = corpus, node, on_step, stop_when
        self._batch_size = settings.batch_size
        self.history: list[StepMetrics] = []
        self.tokens_forward = self.tokens_loss = 0
        self.started = time.perf_counter()
        self._log_every = settings.log_every
        self._segment_losses: dict[str, float] = {}
        super().__init__(
            model=model,
            args=_arguments(node, settings, scratch),
            train_dataset=corpus,
            data_collator=Collator(node.stage.weights, pad_id=0),
        )
        self.loss_is_scaled_for_ga = True
        self.pop_callback(PrinterCallback)
        self.add_callback(_LogLastStep())

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return LengthGroupedBatches(self._corpus.lengths_E, self._batch_size, self._node.seed)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Tensor]], device: torch.device) -> Tensor:
        """Total weight of the optimiser step, over micro-batches and ranks."""
        total = torch.stack([batch["weights"].sum() for batch in batch_samples]).sum().to(device)
        return self.accelerator.gather(total).sum() if self.args.world_size > 1 else total

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        """This micro-batch's share of the step's loss."""
        weights_BT = inputs["weights"]
        rows_BT = weights_BT > 0
        objective = OBJECTIVES[self._node.stage.objective]
        losses_N, targets_N = self._losses(model, inputs, rows_BT, objective)
        total = weights_BT.sum() if num_items_in_batch is None else num_items_in_batch
        loss = (losses_N * weights_BT[rows_BT]).sum() / total
        self.tokens_forward += int((inputs["segments"] >= 0).sum())
        self.tokens_loss += len(targets_N)
        step = self.state.global_step + 1
        if step % self._log_every == 0 or step == self.state.max_steps:
            self._segment_losses = self._losses_by_segment(model, inputs)
        return loss * self.args.world_size  # DDP averages gradients over ranks; the step's loss is a sum

    def _losses(
        self, model: torch.nn.Module, inputs: dict[str, Tensor], rows_BT: Tensor, objective: Any
    ) -> tuple[Tensor, Tensor]:
        targets_N = inputs["input_ids"].roll(-1, dims=1)[rows_BT]
        with head_on_rows(model, rows_BT) as head, self.accelerator.autocast():
            hidden_NH = model(input_ids=inputs["input_ids"]).logits
            return chunked_losses(hidden_NH, head, targets_N, objective), targets_N

    @torch.no_grad()
    def _losses_by_segment(self, model: torch.nn.Module, inputs: dict[str, Tensor]) -> dict[str, float]:
        """Mean cross-entropy of thinking and answer on this micro-batch, whatever the stage minimises.

        Without dropout, which would draw random numbers: how often one looks must not change the weights.
        """
        next_segment_BT = inputs["segments"].roll(-1, dims=1)
        next_segment_BT[:, -1] = -1
        response = torch.tensor([SEGMENT_ID[name] for name in RESPONSE]).to(next_segment_BT)
        rows_BT = torch.isin(next_segment_BT, response)
        model.eval()
        losses_N, _ = self._losses(model, inputs, rows_BT, cross_entropy)
        model.train()
        segments_N = next_segment_BT[rows_BT]
        return {
            name: float(losses_N[torch.isin(segments_N, torch.tensor(ids).to(segments_N))].mean())
            for name, ids in SEGMENTS_OF_METRIC.items()
        }

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keeps a line of history where transformers would print one."""
        super().log(logs, start_time)
        if "loss" not in logs:
            return
        loss = logs["loss"]
        if not torch.isfinite(torch.tensor(loss)):
            raise FloatingPointError(
                f"{self._node.label}: the loss is {loss} at step {self.state.global_step}; "
                "lower the learning rate"
            )
        metrics = StepMetrics(
            step=self.state.global_step,
            num_steps=self.state.max_steps,
            loss=loss,
            loss_thinking=self._segment_losses.get("loss_thinking", float("nan")),
            loss_answer=self._segment_losses.get("loss_answer", float("nan")),
            learning_rate=logs["learning_rate"],
            tokens=self.tokens_forward,
            wall_seconds=time.perf_counter() - self.started,
        )
        self.history.append(metrics)
        self._on_step(metrics)
        if self._stop_when is not None and self._stop_when(self.history):
            self.control.should_training_stop = True


def _arguments(node: StageNode, settings: TrainSettings, scratch: Path) -> TrainingArguments:
    micro = min(settings.micro_batch_size or settings.batch_size, settings.batch_size)
    if settings.batch_size % micro:
        raise InputError(
            f"train.batch_size ({settings.batch_size}) is no multiple of train.micro_batch_size ({micro})"
        )
    cuda = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(scratch),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings.batch_size // micro,
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
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        average_tokens_across_devices=True,
        dataloader_pin_memory=cuda,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # else one process would spread each batch over all its GPUs
    return arguments


class _LogLastStep(TrainerCallback):
    """The history ends with the last step, whatever `log_every` is."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Asks for a line of history at the end."""
        if state.global_step >= state.max_steps:
            control.should_log = True
