"""The loss from the last hidden states: only positions with weight go through the LM head.

Loss and gradient of a chunk of rows are computed together, so that no logits are kept for the backward pass
and none are computed twice; memory does not grow with the rows. The gradient equals the dense one to
rounding. Beside it stands what a step's log-probabilities say of the parts of the response.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sftkey_train.model import head_replaced, model_inputs
from sftkey_train.objectives import Objective, Tokens
from sftkey_train.segments import GROUPS, SEGMENT_ID

LOGITS_PER_CHUNK = 2**26
"""Logits held at once: 256 MiB in float32."""
TOP_TOKENS = 20
"""Likeliest tokens whose entropy `top_entropy` is (arXiv 2601.02151)."""
_PER_TOKEN = ("weights", "segments", "examples", "reference_log_probs", "old_log_probs", "cleaning_rank")


@dataclass(frozen=True)
class Loss:
    """What is minimised on one micro-batch.

    Attributes:
        objective: The objective.
        options: Its options.
        batch: From the collator, [B, T] each: `targets`, `weights`, `segments`, `examples`, and what else the
            objective needs.
        step_weight_S: Total weight by segment over the whole optimiser step.
        reference_head: The reference model's output head, [N, H] -> [N, V], where the objective needs its KL.
        only: Mask [B, T] of positions whose loss counts, to see a part's gradient; all where None.
        log_probs_BT: Filled by the forward pass: log pₜ of every position with weight, 0 elsewhere.
    """

    objective: Objective
    options: Mapping[str, float]
    batch: Mapping[str, Tensor]
    step_weight_S: Tensor
    reference_head: torch.nn.Module | None = None
    only: Tensor | None = None
    log_probs_BT: list[Tensor] = field(default_factory=list)

    def __call__(self, hidden_BTH: Tensor, head: torch.nn.Linear) -> Tensor:
        """The loss, a scalar with gradients to the hidden states and the head."""
        rows_BT = self.batch["weights"] > 0
        loss, log_probs_N = _HeadLoss.apply(hidden_BTH[rows_BT], head.weight, head.bias, self)
        empty_BT = torch.zeros(rows_BT.shape, device=log_probs_N.device)
        self.log_probs_BT.append(empty_BT.masked_scatter_(rows_BT, log_probs_N))
        return loss

    def rows(self, name: str) -> Tensor:
        """The values of a field at the positions with weight."""
        return self.batch[name][self.batch["weights"] > 0]

    def tokens(self, chunk: slice, **computed: Any) -> Tokens:
        """A chunk of the positions with weight, as objectives see it."""
        given = {f"{name}_N": self.rows(name)[chunk] for name in _PER_TOKEN if name in self.batch}
        if "old_log_probs" in self.objective.needs and "old_log_probs_N" not in given:
            given["old_log_probs_N"] = computed["log_probs_N"].detach()  # the old model is the present one
        return Tokens(**given, step_weight_S=self.step_weight_S, **computed)


@torch.no_grad()
def log_probs(hidden_NH: Tensor, head: torch.nn.Linear, targets_N: Tensor) -> Tensor:
    """log p of each target [N], float32, without gradient."""
    dtype = _compute_dtype(hidden_NH)
    weight_VH = head.weight.to(dtype)
    size = _rows_per_chunk(weight_VH)
    chunks = zip(hidden_NH.split(size), targets_N.split(size), strict=True)
    return torch.cat(
        [_log_probs(_logits(rows_NH.to(dtype), weight_VH, head.bias), ids_N)[0] for rows_NH, ids_N in chunks]
    )


class _HeadLoss(torch.autograd.Function):
    """(hidden_NH, weight_VH, bias_V, loss) -> (loss, log_probs_N); gradients are made on the way forward."""

    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, loss: Loss
    ) -> tuple[Tensor, Tensor]:
        dtype = _compute_dtype(hidden_NH)
        work = _Work(
            hidden_NH.detach().to(dtype), weight_VH.detach().to(dtype), bias_V, loss, loss.rows("targets")
        )
        head_learns = ctx.needs_input_grad[1]
        grad_hidden_NH = torch.zeros_like(work.hidden_NH)
        grad_weight_VH = torch.zeros_like(weight_VH) if head_learns else None
        grad_bias_V = torch.zeros_like(bias_V) if bias_V is not None and head_learns else None
        total = hidden_NH.new_zeros((), dtype=torch.float32)
        log_probs_N = hidden_NH.new_zeros(len(hidden_NH), dtype=torch.float32)
        # The caller's autocast would cast the sums of gradients down again; dtypes are chosen here by hand.
        with torch.autocast(hidden_NH.device.type, enabled=False):
            for chunk in work.chunks():
                part, log_probs_N[chunk], grad_logits_NV = work.chunk_loss(chunk)
                total += part
                grad_NV = grad_logits_NV.to(dtype)
                grad_hidden_NH[chunk] = grad_NV @ work.weight_VH
                if grad_weight_VH is not None:
                    _add_product(grad_weight_VH, grad_NV.T, work.hidden_NH[chunk])
                if grad_bias_V is not None:
                    grad_bias_V += grad_logits_NV.sum(0).to(grad_bias_V.dtype)
        ctx.grads = (grad_hidden_NH.to(hidden_NH.dtype), grad_weight_VH, grad_bias_V)
        ctx.mark_non_differentiable(log_probs_N)
        return total, log_probs_N

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grads = [None if grad is None else grad.mul_(grad_loss) for grad in ctx.grads]
        # Scaled in place, for the head's is as large as the head; so there is no second backward.
        ctx.grads = None
        return (*grads, None)


@dataclass(frozen=True)
class _Work:
    """One pass over the rows of a micro-batch."""

    hidden_NH: Tensor
    weight_VH: Tensor
    bias_V: Tensor | None
    loss: Loss
    targets_N: Tensor

    def chunks(self) -> Iterator[slice]:
        """Parts of the rows; an objective that compares the tokens of an example gets it whole."""
        size = _rows_per_chunk(self.weight_VH)
        if self.loss.objective.whole_examples:
            return _example_chunks(self.loss.rows("examples"), size)
        return (slice(start, start + size) for start in range(0, len(self.targets_N), size))

    def chunk_loss(self, chunk: slice) -> tuple[Tensor, Tensor, Tensor]:
        """(its share of the loss, log_probs_N, gradient to its logits_NV)."""
        loss, targets_N = self.loss, self.targets_N[chunk]
        logits_NV = _logits(self.hidden_NH[chunk], self.weight_VH, self.bias_V)
        log_probs_N, log_total_N = _log_probs(logits_NV, targets_N)
        kl_N, reference_NV = self._reference(chunk, logits_NV, log_total_N)
        entropy_N = _top_entropy(logits_NV) if "top_entropy" in loss.objective.needs else None
        # The objective is differentiated with respect to log p and KL alone, which are small; from there to
        # the logits the gradient is known in closed form, so autograd never keeps a row of the vocabulary.
        with torch.enable_grad():
            leaves = [leaf.requires_grad_() for leaf in (log_probs_N, kl_N) if leaf is not None]
            tokens = loss.tokens(chunk, log_probs_N=log_probs_N, reference_kl_N=kl_N, top_entropy_N=entropy_N)
            shares_N = loss.objective.losses(tokens, loss.options) * tokens.weights_N
            if loss.only is not None:
                shares_N = shares_N * loss.only[loss.batch["weights"] > 0][chunk]
            share = shares_N.sum() / loss.step_weight_S.sum()
            grads = torch.autograd.grad(share, leaves, allow_unused=True, materialize_grads=True)
        # With p the model's probabilities: ∂(log p of the target)/∂logits = one-hot − p.
        grad_NV = logits_NV.sub_(log_total_N[:, None]).exp_()  # now p, in the logits' memory
        if reference_NV is None:
            grad_NV.mul_(-grads[0][:, None])
        else:  # and with q the reference's, ∂KL(q ‖ p)/∂logits = p − q
            grad_NV.mul_((grads[1] - grads[0])[:, None]).sub_(reference_NV.mul_(grads[1][:, None]))
        grad_NV[torch.arange(len(targets_N), device=targets_N.device), targets_N] += grads[0]
        return share.detach(), log_probs_N.detach(), grad_NV

    def _reference(
        self, chunk: slice, logits_NV: Tensor, log_total_N: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """(KL(reference ‖ model) at each position, the reference's probabilities)."""
        if self.loss.reference_head is None:
            return None, None
        head = self.loss.reference_head
        hidden_NH = self.loss.rows("reference_hidden")[chunk].to(head.weight.dtype)
        log_reference_NV = head(hidden_NH).float().log_softmax(-1)
        reference_NV = log_reference_NV.exp()
        log_ratio_NV = log_reference_NV.sub_(logits_NV).add_(log_total_N[:, None])  # log q − log p
        return (reference_NV * log_ratio_NV).sum(-1), reference_NV


def _logits(hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None) -> Tensor:
    """The head's output, float32: a matmul in bfloat16 sums in float32 and is rounded once."""
    bias_V = bias_V if bias_V is None else bias_V.detach().to(weight_VH.dtype)
    return functional.linear(hidden_NH, weight_VH, bias_V).float()


def _log_probs(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """(log p of each target, logsumexp of each row)."""
    log_total_N = logits_NV.logsumexp(-1)
    return logits_NV.gather(1, targets_N[:, None])[:, 0] - log_total_N, log_total_N


def _top_entropy(logits_NV: Tensor) -> Tensor:
    """Entropy of the likeliest tokens, renormalised, as a share of its largest possible value."""
    num_top = min(TOP_TOKENS, logits_NV.shape[-1])
    log_top_NK = logits_NV.topk(num_top).values.log_softmax(-1)
    return -(log_top_NK.exp() * log_top_NK).sum(-1) / math.log(num_top)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, in total's precision; without a second matrix where the dtypes agree."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _compute_dtype(hidden_NH: Tensor) -> torch.dtype:
    """What an ordinary linear layer would compute in here."""
    device = hidden_NH.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_NH.dtype


def _rows_per_chunk(weight_VH: Tensor) -> int:
    return max(1, LOGITS_PER_CHUNK // weight_VH.shape[0])


def _example_chunks(examples_N: Tensor, size: int) -> Iterator[slice]:
    """Parts of about `size` rows that end where an example ends; one long example is a part by itself."""
    ends = [*(examples_N.diff().nonzero()[:, 0] + 1).tolist(), len(examples_N)]
    start = last = 0
    for end in ends:
        if end - start > size and last > start:
            yield slice(start, last)
            start = last
        last = end
    if last > start:
        yield slice(start, last)


def mask_of(segments_BT: Tensor, names: Sequence[str]) -> Tensor:
    """Where a token of some segments is predicted."""
    wanted = torch.tensor([SEGMENT_ID[name] for name in names], device=segments_BT.device)
    return torch.isin(segments_BT, wanted)


class SegmentLosses:
    """Cross-entropy of each group over the micro-batches of a step: its sum and number of tokens."""

    def __init__(self) -> None:
        self._sums_G2 = torch.zeros(len(GROUPS), 2)

    def add(self, log_probs_BT: Tensor, segments_BT: Tensor) -> None:
        """Adds a micro-batch: log p of every token of the response where it is predicted."""
        masks = [mask_of(segments_BT, names) for names in GROUPS.values()]
        sums = [torch.stack([-(log_probs_BT * mask_BT).sum(), mask_BT.sum().float()]) for mask_BT in masks]
        self._sums_G2 = self._sums_G2.to(log_probs_BT.device) + torch.stack(sums)

    def means(self, over_ranks: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Mean loss by name; not-a-number for a group that the step did not hold."""
        sums = over_ranks(self._sums_G2).tolist()
        return {
            f"loss_{group}": float(total / count) if count else float("nan")
            for group, (total, count) in zip(GROUPS, sums, strict=True)
        }


class SegmentGradients:
    """Gradient of each group's part of a step's loss, over its micro-batches, at a pass for each group."""

    def __init__(self) -> None:
        self._sums: dict[str, list[Tensor]] = {}

    def add(self, model: torch.nn.Module, loss: Loss) -> None:
        """Adds a micro-batch; the model is the plain one, for a wrapper would exchange gradients."""
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for group, names in GROUPS.items():
            part = replace(loss, only=mask_of(loss.batch["segments"], names).float(), log_probs_BT=[])
            with torch.random.fork_rng(), head_replaced(model, part):  # dropout draws as if this had not been
                value = model(**model_inputs(loss.batch)).logits
                grads = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
            sums = self._sums.setdefault(group, [torch.zeros_like(grad) for grad in grads])
            for total, grad in zip(sums, grads, strict=True):
                total += grad

    def norms(self, over_ranks: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Norm of each group's gradient by name; nothing where nothing was added."""
        return {
            f"gradient_norm_{group}": float(torch.stack([over_ranks(grad).norm() for grad in grads]).norm())
            for group, grads in self._sums.items()
        }
