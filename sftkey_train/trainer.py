"""Train one stage: transformers' Trainer with a loss that is normalised by the weight of the whole step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainingArguments, set_seed
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from sftkey_train.batches import BatchOrder, BatchSequence, Collator
from sftkey_train.corpus import Corpus
from sftkey_train.distributed import agreed, check_sharding, is_first, sum_in_float32, whole_weights
from sftkey_train.loss import Loss, SegmentGradients, SegmentLosses, log_probs, mask_of
from sftkey_train.model import check_head, check_packing, evaluating, flops_of, head_replaced, model_inputs
from sftkey_train.moments import moments_of, take_over
from sftkey_train.objectives import OBJECTIVES
from sftkey_train.recorded import OnStep, Recorded, few_threads
from sftkey_train.references import NO_REFERENCE, Lagging, ReferenceData, StageData
from sftkey_train.segments import RESPONSE, SEGMENTS
from sftkey_train.settings import training_arguments
from sftkey_train.stages import StageNode
from sftkey_train.stored import Progress, StageCost, StageResult, StepMetrics, latest_save

Probe = Callable[[torch.nn.Module], Mapping[str, float]]
"""Looks at the model between two steps: metrics by the names of `StepMetrics`."""
StopWhen = Callable[[Sequence[StepMetrics]], bool]


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
    parent: Path | None = None,
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
        parent: Folder of the stage before, which leaves its optimiser where the settings carry it over.

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
    trainer = SpanTrainer(model, corpus, node, on_step, scratch, reference, probe, stop_when, parent)
    saved = agreed(latest_save(scratch) if is_first() else None)
    if saved is not None:
        trainer.take_up(saved)
    with few_threads(model):
        trainer.train(resume_from_checkpoint=str(saved) if saved else None)
    unset_hf_deepspeed_config()  # else transformers would load the next model in shares
    moments = moments_of(model, trainer.optimizer) if node.settings.carries_optimizer else None
    return StageResult(tuple(trainer.history), trainer.cost, whole_weights(trainer), moments)


class SpanTrainer(Recorded):
    """A Trainer whose loss is Σ wₜ·ℓₜ / Σ wₜ over the whole optimiser step, all micro-batches and ranks."""

    def __init__(
        self,
        model: torch.nn.Module,
        corpus: Corpus,
        node: StageNode,
        on_step: OnStep,
        scratch: Path,
        reference: ReferenceData,
        probe: Probe | None,
        stop_when: StopWhen | None,
        parent: Path | None,
    ) -> None:
        self.begin(node, on_step)
        self._corpus = corpus
        self._reference_head = reference.head
        self._probe, self._stop_when = probe, stop_when
        self._parent = parent if node.settings.carries_optimizer else None
        self._objective = OBJECTIVES[node.stage.objective]
        self._lagging = Lagging(node) if "old_log_probs" in self._objective.needs else None
        self._loss_sum: Tensor | float = 0.0  # on this rank, over the steps since the last line of history
        self._segment_losses, self._segment_gradients = SegmentLosses(), SegmentGradients()
        self._probed: Mapping[str, float] = {}
        self._flops = flops_of(model, 1, 0), flops_of(model, 0, 1)  # now, while the weights are whole
        arguments = training_arguments(
            node.settings,
            scratch,
            TrainingArguments,
            run_name=node.label,
            seed=node.seed,
            learning_rate=node.learning_rate,
            max_steps=node.num_steps,
            warmup_steps=node.warmup_steps,
        )
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=StageData(corpus, reference.arrays),
            data_collator=Collator(
                node.stage.weights,
                packing=node.settings.packing,
                per_example=node.settings.loss_mean == "examples",
            ),
        )
        # Else transformers (5.16 to 5.19) would divide each micro-batch's loss by their number once more.
        self.loss_is_scaled_for_ga = True
        sum_in_float32(self)
        check_sharding(
            self,
            method=node.settings.method,
            gradient_norms=node.settings.gradient_norms,
            lags=self._lagging is not None,
            probes=probe is not None,
            carries=node.settings.carries_optimizer,
        )
        self.attend()

    @property
    def cost(self) -> StageCost:
        """What the stage took so far, on all ranks, before a resumption too."""
        tokens_forward, tokens_loss = self._counted.tolist()
        flops_forward, flops_loss = self._flops
        return StageCost(
            steps=self._node.num_steps,
            tokens_forward=tokens_forward,
            tokens_loss=tokens_loss,
            flops=flops_forward * tokens_forward + flops_loss * tokens_loss,
            wall_seconds=self.seconds,
        )

    def take_up(self, saved: Path) -> Progress:
        """The sum of the losses goes on in one process, since it is added up over all of them."""
        progress = super().take_up(saved)
        self._loss_sum = progress.loss_sum if self.is_world_process_zero() else 0.0
        return progress

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Transformers' own, with the moments of the stage before where they are carried over."""
        optimizer = super().create_optimizer(model)
        if self._parent is not None:
            take_over(self.model, optimizer, self._parent)
        return optimizer

    # What a step sees, and its loss.

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        node, batch_size = self._node, self.settings.batch_size
        order = BatchOrder(self._corpus.lengths_E, batch_size, node.seed)
        return BatchSequence(order, batch_size, node.first_step, node.num_steps)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Tensor]], device: torch.device) -> Tensor:
        """Total weight of each segment [S] in the optimiser step, over micro-batches and ranks.

        Transformers counts labels here, hands what comes out to `compute_loss`, and does nothing else with
        it. All micro-batches of a step pass here together, so tokens are counted on the way: [−1 and padding,
        segments, tokens, tokens with loss] in one array, for one exchange between ranks.
        """
        counts = torch.zeros(len(SEGMENTS) + 3, dtype=torch.float64, device=device)
        for batch in batch_samples:
            weights = batch["weights"].to(device, torch.float64).flatten()
            counts[:-2].index_add_(0, batch["segments"].to(device).flatten() + 1, weights)
            counts[-2] += (batch["examples"] >= 0).sum().to(device)
            counts[-1] += (batch["weights"] > 0).sum().to(device)
        counts = self._over_ranks(counts)
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
        options = dict(self._node.stage.options)
        loss = Loss(self._objective, options, inputs, num_items_in_batch, self._reference_head)
        watched = self.is_logged(step + 1)
        if watched and self.settings.gradient_norms:
            with self.compute_loss_context_manager():
                self._segment_gradients.add(self.accelerator.unwrap_model(model), loss)

        def head_loss(hidden_BTH: Tensor, head: torch.nn.Linear) -> Tensor:
            value = loss(hidden_BTH, head)
            if watched:
                self._add_segment_losses(hidden_BTH, head, loss)
            return value

        with head_replaced(model, head_loss):
            value = model(**model_inputs(inputs)).logits
        self._loss_sum = self._loss_sum + value.detach()
        return value * self.args.world_size  # ranks' gradients are averaged; the step's loss is a sum

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """None: transformers would go over all parameters in every step, and `flops_of` counts better."""
        return 0

    def _over_ranks(self, values: Tensor) -> Tensor:
        """The sum of what each rank has."""
        return self.accelerator.reduce(values, "sum") if self.args.world_size > 1 else values

    # What is seen of a step.

    def is_logged(self, step: int) -> bool:
        """Also where the validation records are looked at."""
        return super().is_logged(step) or self._is_probed(step)

    def _is_probed(self, step: int) -> bool:
        """Whether the validation records are looked at after a step."""
        every = self.settings.validate_every
        due = every is not None and (step % every == 0 or step >= self.state.max_steps)
        return due and self._probe is not None

    def look(self) -> None:
        """Runs the probe, which must leave no trace: neither in the weights nor in what is drawn next."""
        if self._probe is None or not self._is_probed(self.state.global_step):
            return
        started = time.perf_counter()
        model = self.accelerator.unwrap_model(self.model)
        with torch.random.fork_rng(), evaluating(model):
            self._probed = self._probe(model)
        self._started += time.perf_counter() - started

    @torch.no_grad()
    def _add_segment_losses(self, hidden_BTH: Tensor, head: torch.nn.Linear, loss: Loss) -> None:
        """Cross-entropy of the whole response, whatever the stage minimises."""
        batch = loss.batch
        log_probs_BT = loss.log_probs_BT[-1].clone()
        others_BT = mask_of(batch["segments"], RESPONSE) & (batch["weights"] == 0)
        log_probs_BT[others_BT] = log_probs(hidden_BTH[others_BT], head, batch["targets"][others_BT])
        self._segment_losses.add(log_probs_BT, batch["segments"])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keeps a line of history, and passes it on to the trackers."""
        if "loss" not in logs:
            super().log(logs, start_time)
            return
        step, last = self.state.global_step, self.history[-1].step if self.history else 0
        logs["loss"] = self.loss_since_last_line() / (step - last)
        self._loss_sum = 0.0
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"{self._node.label}: the loss is {logs['loss']} at step {step}; lower the learning rate"
            )
        losses = self._segment_losses.means(self._over_ranks)
        measured: dict[str, Any] = {
            **losses,
            **self._segment_gradients.norms(self._over_ranks),
            **self._probed,
        }
        self._segment_losses, self._segment_gradients = SegmentLosses(), SegmentGradients()
        self._probed = {}
        super().log({**logs, **{k: v for k, v in measured.items() if not math.isnan(v)}}, start_time)
        cost = self.cost
        metrics = StepMetrics(
            step=step,
            num_steps=self.state.max_steps,
            loss=logs["loss"],
            learning_rate=logs["learning_rate"],
            tokens=cost.tokens_forward,
            wall_seconds=cost.wall_seconds,
            gradient_norm=float(logs.get("grad_norm", math.nan)),
            **measured,
        )
        self.keep(metrics)
        if self._stop_when is not None and self._stop_when(self.history):
            self.control.should_training_stop = True

    def loss_since_last_line(self) -> float:
        """Transformers' own sum would begin anew where a stage goes on from a save."""
        total = torch.as_tensor(self._loss_sum, dtype=torch.float64, device=self.args.device)
        return float(self._over_ranks(total))

    # Saves within the stage.

    def may_save(self) -> bool:
        """A lagging model must be due for renewal."""
        return self._lagging is None or self._lagging.is_due(self.state.global_step)
