"""Train one stage: transformers' Trainer with a loss that is normalised by the weight of the whole step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, set_seed
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from transformers.trainer_callback import PrinterCallback

from sftkey_train import partial, processes
from sftkey_train.arguments import training_arguments
from sftkey_train.batches import BatchOrder, BatchSequence, Collator
from sftkey_train.lagging import Lagging
from sftkey_train.model import check_head, check_packing, head_replaced, model_inputs, output_head
from sftkey_train.objectives import OBJECTIVES
from sftkey_train.references import NO_REFERENCE, ReferenceData, StageData
from sftkey_train.settings import TrainSettings
from sftkey_train.sharding import check_sharding, sum_in_float32, whole_weights
from sftkey_train.spans import Corpus
from sftkey_train.sparse_head import Loss, log_probs
from sftkey_train.stages import StageNode
from sftkey_train.telemetry import (
    GROUPS,
    SegmentLosses,
    StepMetrics,
    group_mask,
    mean_losses,
    response_mask,
)
from sftkey_train.variants import SEGMENTS

OnStep = Callable[[StepMetrics], None]
Probe = Callable[[torch.nn.Module], Mapping[str, float]]
"""Looks at the model between two steps: metrics by the names of `StepMetrics`."""
SMALL_MODEL = 3_000_000
"""Weights below which one thread is faster than several on a CPU."""
StopWhen = Callable[[Sequence[StepMetrics]], bool]


@dataclass(frozen=True)
class StageResult:
    """What a stage gave, besides its weights.

    Attributes:
        history: One line every `log_every` steps, and the last.
        tokens_forward: Tokens that passed through the model, padding not counted.
        tokens_loss: Of these, tokens that carried loss.
        flops: See `flops_of`.
        wall_seconds: Spent training, without the time of the probe.
        state_dict: The whole weights, in the first process, where the model itself holds but a share of them.
    """

    history: tuple[StepMetrics, ...]
    tokens_forward: int
    tokens_loss: int
    flops: float
    wall_seconds: float
    state_dict: Mapping[str, Tensor] | None = None


def train_stage(
    model: torch.nn.Module,
    corpus: Corpus,
    node: StageNode,
    on_step: OnStep,
    *,
    scratch: Path,
    reference: ReferenceData = NO_REFERENCE,
    probe: Probe | None = None,
    stop_when: StopWhen | None = None,
) -> StageResult:
    """Trains the model in place, together with the other processes of the launch.

    Args:
        model: What the stage starts from, see `model.load_for_training`.
        corpus: The encoded examples.
        node: Weights, objective, budget, seed and settings.
        on_step: Called with every line of the history as it comes.
        scratch: Folder for saves within the stage; where it holds one, the stage goes on from there. It is
            the caller's to delete once the weights are safe.
        reference: What the objective's reference model gives.
        probe: Called every `validate_every` steps and after the last.
        stop_when: Looks at the history so far and ends the stage before its budget where it says so.

    Raises:
        InputError: The model's logits are not its head's output, or settings that do not fit each other.
        FloatingPointError: The loss became infinite or not a number.
    """
    set_seed(node.seed)
    device = next(model.parameters()).device
    first_T = torch.from_numpy(corpus[0]["input_ids"][:16]).to(device)
    check_head(model, first_T)
    if node.settings.packing:
        check_packing(model, first_T)
    flops_forward, flops_loss = flops_of(model, 1, 0), flops_of(model, 0, 1)  # while the weights are whole
    trainer = SpanTrainer(model, corpus, node, on_step, scratch, reference, probe, stop_when)
    saved = processes.agreed(partial.latest(scratch))
    if saved is not None:
        trainer.take_up(saved)
    with _threads_for(model):
        trainer.train(resume_from_checkpoint=str(saved) if saved else None)
    unset_hf_deepspeed_config()  # else transformers would load the next model in shares
    return StageResult(
        history=tuple(trainer.history),
        tokens_forward=trainer.tokens_forward,
        tokens_loss=trainer.tokens_loss,
        flops=flops_forward * trainer.tokens_forward + flops_loss * trainer.tokens_loss,
        wall_seconds=trainer.wall_seconds,
        state_dict=whole_weights(trainer),
    )


@contextmanager
def _threads_for(model: torch.nn.Module) -> Iterator[None]:
    """A small model trains faster on one thread: its matrices are not worth the waiting for each other."""
    own = torch.get_num_threads()
    if sum(parameter.numel() for parameter in model.parameters()) < SMALL_MODEL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(own)


def flops_of(model: torch.nn.Module, tokens_forward: int, tokens_loss: int) -> float:
    """The usual estimate, 2 a weight and token forward and 4 backward (arXiv 2001.08361, section 2.1).

    The output head counts for the tokens with loss alone, looking up embeddings costs nothing, attention over
    the context is left out, and frozen weights need only half of the backward pass.
    """
    embeddings = model.get_input_embeddings().weight
    head = output_head(model).weight
    total = 0.0
    any_frozen = any(not parameter.requires_grad for parameter in model.parameters())
    for parameter in {id(parameter): parameter for parameter in model.parameters()}.values():
        tokens = tokens_loss if parameter is head else 0 if parameter is embeddings else tokens_forward
        total += (4.0 if any_frozen and not parameter.requires_grad else 6.0) * parameter.numel() * tokens
    return total


class SpanTrainer(Trainer):
    """A Trainer whose loss is Σ wₜ·ℓₜ / Σ wₜ over the whole optimiser step, all micro-batches and ranks."""

    def __init__(
        self,
        model: torch.nn.Module,
        corpus: Corpus,
        node: StageNode,
        on_step: OnStep,
        scratch: Path,
        reference: ReferenceData = NO_REFERENCE,
        probe: Probe | None = None,
        stop_when: StopWhen | None = None,
    ) -> None:
        self._corpus, self._node, self._on_step = corpus, node, on_step
        self._reference_head = reference.head
        self._probe, self._stop_when = probe, stop_when
        self._objective = OBJECTIVES[node.stage.objective]
        self._lagging = Lagging(node) if "old_log_probs" in self._objective.needs else None
        self.history: list[StepMetrics] = []
        self._counted = torch.zeros(2, dtype=torch.int64)
        self._seconds_before, self._started = 0.0, time.perf_counter()
        self._loss_sum: Tensor | float = 0.0  # on this rank, over the steps since the last line of history
        self._segment_losses = SegmentLosses()
        self._gradients: dict[str, list[Tensor]] = {}
        self._probed: Mapping[str, float] = {}
        super().__init__(
            model=model,
            args=training_arguments(node, scratch),
            train_dataset=StageData(corpus, reference.arrays),
            data_collator=Collator(node.stage.weights, packing=node.settings.packing),
        )
        self.loss_is_scaled_for_ga = True
        sum_in_float32(self)
        lags = self._lagging is not None
        check_sharding(self, self.settings, lags=lags, probes=probe is not None)
        self.pop_callback(PrinterCallback)
        self.add_callback(_Watch(self))

    @property
    def settings(self) -> TrainSettings:
        """The stage's settings."""
        return self._node.settings

    @property
    def tokens_forward(self) -> int:
        """Tokens that passed through the model so far, on all ranks, padding not counted."""
        return int(self._counted[0])

    @property
    def tokens_loss(self) -> int:
        """Of these, tokens that carried loss."""
        return int(self._counted[1])

    @property
    def wall_seconds(self) -> float:
        """Spent training so far, before a resumption too, without the time of the probe."""
        return self._seconds_before + time.perf_counter() - self._started

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        node, batch_size = self._node, self.settings.batch_size
        order = BatchOrder(self._corpus.lengths_E, batch_size, node.seed)
        return BatchSequence(order, batch_size, node.first_step, node.num_steps)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Tensor]], device: torch.device) -> Tensor:
        """Total weight of each segment [S] in the optimiser step, over micro-batches and ranks."""
        counts = torch.zeros(len(SEGMENTS) + 3, dtype=torch.float64, device=device)
        for batch in batch_samples:
            weights = batch["weights"].to(device, torch.float64).flatten()
            counts[:-2].index_add_(0, batch["segments"].to(device).flatten() + 1, weights)
            counts[-2] += (batch["examples"] >= 0).sum().to(device)
            counts[-1] += (batch["weights"] > 0).sum().to(device)
        if self.args.world_size > 1:
            counts = self.accelerator.reduce(counts, "sum")
        self._counted += counts[-2:].long().cpu()
        return counts[1:-2].float()

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        """This micro-batch's share of the step's loss."""
        step = self.state.global_step
        if self._lagging is not None:
            old_BT = self._lagging.log_probs(model, inputs, step)
            inputs = inputs if old_BT is None else {**inputs, "old_log_probs": old_BT}
        loss = Loss(
            self._objective,
            dict(self._node.stage.options),
            inputs,
            num_items_in_batch,
            self._reference_head,
        )
        watched = self.is_logged(step + 1)
        if watched and self.settings.gradient_norms:
            self._add_gradients(model, loss)

        def head_loss(hidden_BTH: Tensor, head: torch.nn.Linear) -> Tensor:
            value = loss(hidden_BTH, head)
            if watched:
                self._watch(hidden_BTH, head, loss)
            return value

        with head_replaced(model, head_loss):
            value = model(**model_inputs(inputs)).logits
        self._loss_sum = self._loss_sum + value.detach()
        return value * self.args.world_size  # ranks' gradients are averaged; the step's loss is a sum

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """None: transformers would go over all parameters in every step, and `flops_of` counts better."""
        return 0

    def is_logged(self, step: int) -> bool:
        """Whether a step gives a line of history."""
        return step % self.settings.log_every == 0 or step >= self.state.max_steps or self.is_probed(step)

    def is_probed(self, step: int) -> bool:
        """Whether the validation records are looked at after a step."""
        every = self.settings.validate_every
        return (
            self._probe is not None
            and every is not None
            and (step % every == 0 or step >= self.state.max_steps)
        )

    def look(self) -> None:
        """Runs the probe, which must leave no trace: neither in the weights nor in what is drawn next."""
        if self._probe is None or not self.is_probed(self.state.global_step):
            return
        started = time.perf_counter()
        model = self.accelerator.unwrap_model(self.model)
        was_training = model.training
        with torch.random.fork_rng():
            self._probed = self._probe(model.eval())
        model.train(was_training)
        self._started += time.perf_counter() - started

    @torch.no_grad()
    def _watch(self, hidden_BTH: Tensor, head: torch.nn.Linear, loss: Loss) -> None:
        """Cross-entropy of the whole response, whatever the stage minimises."""
        batch = loss.batch
        log_probs_BT = loss.log_probs_BT[-1].clone()
        others_BT = response_mask(batch["segments"]) & (batch["weights"] == 0)
        log_probs_BT[others_BT] = log_probs(hidden_BTH[others_BT], head, batch["targets"][others_BT])
        self._segment_losses.add(log_probs_BT, batch["segments"])

    def _add_gradients(self, model: torch.nn.Module, loss: Loss) -> None:
        """Adds this micro-batch's gradient of each group's part of the loss, on this rank."""
        inner = self.accelerator.unwrap_model(model)
        parameters = [parameter for parameter in inner.parameters() if parameter.requires_grad]
        for group in GROUPS:
            part = Loss(
                loss.objective,
                loss.options,
                loss.batch,
                loss.step_weight_S,
                loss.reference_head,
                only=group_mask(loss.batch["segments"], group).float(),
            )
            with torch.random.fork_rng(), self.compute_loss_context_manager(), head_replaced(inner, part):
                value = inner(**model_inputs(loss.batch)).logits
                grads = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
            sums = self._gradients.setdefault(group, [torch.zeros_like(grad) for grad in grads])
            for total, grad in zip(sums, grads, strict=True):
                total += grad

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keeps a line of history, and passes it on to the trackers."""
        if "loss" not in logs:
            super().log(logs, start_time)
            return
        last = self.history[-1].step if self.history else 0
        logs["loss"] = self._whole_loss_sum() / (self.state.global_step - last)
        self._loss_sum = 0.0
        if not torch.isfinite(torch.tensor(logs["loss"])):
            raise FloatingPointError(
                f"{self._node.label}: the loss is {logs['loss']} at step {self.state.global_step}; "
                "lower the learning rate"
            )
        measured = {**self._segment_metrics(), **self._gradient_metrics(), **self._probed}
        known = {name: value for name, value in measured.items() if value == value}
        super().log({**logs, **known}, start_time)
        metrics = StepMetrics(
            step=self.state.global_step,
            num_steps=self.state.max_steps,
            loss=logs["loss"],
            learning_rate=logs["learning_rate"],
            tokens=self.tokens_forward,
            wall_seconds=self.wall_seconds,
            gradient_norm=float(logs.get("grad_norm", float("nan"))),
            **measured,
        )
        self._probed = {}
        self.history.append(metrics)
        if self.is_world_process_zero():
            self._on_step(metrics)
        if self._stop_when is not None and self._stop_when(self.history):
            self.control.should_training_stop = True

    def _whole_loss_sum(self) -> float:
        """Transformers' own sum would begin anew where a stage goes on from a save."""
        total = torch.as_tensor(self._loss_sum, dtype=torch.float64, device=self.args.device)
        return float(self.accelerator.reduce(total, "sum") if self.args.world_size > 1 else total)

    def _segment_metrics(self) -> dict[str, float]:
        sums_G2 = self._segment_losses.packed()
        self._segment_losses = SegmentLosses()
        if self.args.world_size > 1:
            sums_G2 = self.accelerator.reduce(sums_G2, "sum")
        return mean_losses(sums_G2)

    def _gradient_metrics(self) -> dict[str, float]:
        norms = {}
        for group, grads in self._gradients.items():
            if self.args.world_size > 1:
                grads = [self.accelerator.reduce(grad, "sum") for grad in grads]
            norms[f"gradient_norm_{group}"] = float(torch.stack([grad.norm() for grad in grads]).norm())
        self._gradients = {}
        return norms

    def may_save(self) -> bool:
        """Whether a save now can be gone on from exactly: a lagging model must be due for renewal."""
        return self._lagging is None or self._lagging.is_due(self.state.global_step)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Transformers' own save, then what it does not know; the last file written makes it whole."""
        super()._save_checkpoint(model, trial)
        processes.wait()  # until all have written their part
        loss_sum = self._whole_loss_sum()
        if self.is_world_process_zero():
            progress = partial.Progress(
                tuple(self.history), self.tokens_forward, self.tokens_loss, loss_sum, self.wall_seconds
            )
            partial.complete(Path(self.args.output_dir), self.state.global_step, progress)

    def take_up(self, saved: Path) -> None:
        """Goes on from what a save knows; weights, optimiser and random state are transformers' matter."""
        progress = partial.read(saved)
        self.history = list(progress.history)
        self._counted = torch.tensor([progress.tokens_forward, progress.tokens_loss])
        self._loss_sum = progress.loss_sum if self.is_world_process_zero() else 0.0
        self._seconds_before = progress.wall_seconds


class _Watch(TrainerCallback):
    """Asks for lines of history, looks at the validation records, and saves from time to time."""

    def __init__(self, trainer: SpanTrainer) -> None:
        self._trainer = trainer
        self._saved_at = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After each optimiser step."""
        control.should_log = self._trainer.is_logged(state.global_step)
        self._trainer.look()
        done = state.global_step >= state.max_steps
        if not done and self._trainer.may_save() and self._is_time():
            control.should_save = True
            self._saved_at = time.perf_counter()

    def _is_time(self) -> bool:
        """The first process decides for all: their clocks may differ, their steps must not."""
        trainer = self._trainer
        due = time.perf_counter() - self._saved_at >= 60 * trainer.settings.save_minutes
        if trainer.args.world_size == 1:
            return due
        flag = torch.tensor([float(due and trainer.is_world_process_zero())], device=trainer.args.device)
        return bool(trainer.accelerator.reduce(flag, "sum").item())
