"""What a stage minimises. An objective is one function from `Tokens` to a loss for each of them.

The trainer minimises Σ wₜ·ℓₜ / Σ wₜ over all weighted positions of the optimiser step, so a function whose
losses are a mean over other tokens than all (one segment, the kept ones) scales them itself. Everything that
a function looks at belongs to the token, its example, or the whole step: never to the micro-batch, so that
accumulation, packing and ranks change nothing.

To add one, write its function here; a variant then names it, and its options become options of
the variant's YAML:

    @objective("my-loss", "reference_log_probs", reference="base")
    def my_loss(tokens: Tokens, strength: float = 1.0) -> Tensor:
        \"\"\"What it does, in one line.

        Formula: −log pₜ − strength·…
        Source: arXiv …
        \"\"\"

The decorator says which further fields of `Tokens` it reads, its usual reference model, whether it compares
the tokens of an example (`whole_examples`), and which of its options are shares (`fractions`). Functions use
methods of tensors alone and never import torch, so that listing objectives is instant.

Below stand first those that look at nothing but how sure the model is of a token; then those that compare it
with another model: the base model, plain SFT, or its own past; then those that treat the parts of an example
differently. The last know two sides: the answer with its tags and the end-of-sequence token, as in the loss
preset `key`, and the thinking with its tags. The prompt is on neither side. In all of them `tokens` are the
positions with weight, and the other arguments are options of a variant's YAML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sftkey_train.objectives.registry import (
    OBJECTIVES,
    Need,
    Objective,
    Reference,
    Tokens,
    numbered,
    objective,
    ranked,
    summed,
)
from sftkey_train.segments import ANSWER_SIDE, SEGMENTS, THINKING_SIDE

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OBJECTIVES", "Need", "Objective", "Reference", "Tokens", "cross_entropy", "objective"]

LEAST_DOUBT = 1e-12
"""Below this, 1 − p counts as constant: for γ < 1, (1 − p)^γ is infinitely steep at 0, but the loss flat."""
TINY = 1e-12
"""What divides where a part has no weight; its tokens are then none, or have the factor 0."""


@objective("cross-entropy")
def cross_entropy(tokens: Tokens) -> Tensor:
    """Negative log-likelihood.

    Formula: −log pₜ
    Source: the usual SFT loss
    """
    return -tokens.log_probs_N


@objective("focal")
def focal(tokens: Tokens, gamma: float = 2.0) -> Tensor:
    """Cross-entropy that fades as the model gets surer of the target.

    Formula: −(1 − pₜ)^γ·log pₜ
    Source: arXiv 1708.02002, equation 4
    Chosen here: γ = 2, the paper's best; its class weights α are left out. As in the paper, the gradient
    flows through the factor too.

    Args:
        gamma: γ; 0 is cross-entropy.
    """
    doubt_N = (-tokens.log_probs_N.expm1()).clamp(min=LEAST_DOUBT)  # 1 − p without cancellation near p = 1
    return -(doubt_N**gamma) * tokens.log_probs_N


@objective("dft")
def dft(tokens: Tokens) -> Tensor:
    """Dynamic Fine-Tuning: each token counts as much as the model believes in it.

    Formula: −sg[pₜ]·log pₜ
    Source: arXiv 2508.05629
    Chosen here: the token-level form, the one that the paper trains with.
    """
    return -tokens.log_probs_N.detach().exp() * tokens.log_probs_N


@objective("power")
def power(tokens: Tokens, k: float = 0.5) -> Tensor:
    """A power of the probability in the place of its logarithm: what the model doubts hardly counts.

    Formula: −pₜ^k
    Source: arXiv 2510.00526
    Chosen here: k = 1/2, between cross-entropy, whose gradient it has for k → 0 but for the scale, and the
    paper's k = 1, whose gradient is that of DFT. The larger k, the more the model must believe already.

    Args:
        k: The exponent; 0 has no gradient.
    """
    return -(k * tokens.log_probs_N).exp()


@objective("profit", fractions=("threshold",))
def profit(tokens: Tokens, threshold: float = 0.1) -> Tensor:
    """ProFit: tokens that the model finds improbable carry no loss.

    Formula: −1[sg[pₜ] > τ]·log pₜ
    Source: arXiv 2601.09195, equations 4 and 5
    Chosen here: τ = 0.1, which the authors' code recommends. As in equation 5, the sum is divided by all
    tokens, not by the kept ones.

    Args:
        threshold: τ.
    """
    kept_N = tokens.log_probs_N.detach().exp() > threshold
    return -tokens.log_probs_N * kept_N


@objective("eaft", "top_entropy")
def eaft(tokens: Tokens, alpha: float = 1.0) -> Tensor:
    """Entropy-Adaptive Fine-Tuning: tokens count where the model is unsure, whatever the target.

    Formula: −sg[hₜ]^α·log pₜ, hₜ = entropy of the 20 likeliest tokens / log 20
    Source: arXiv 2601.02151
    Chosen here: α = 1 and 20 tokens as in the authors' code; log 20 = 2.996 as in the paper, where the
    authors' code divides by 3.

    Args:
        alpha: α; 0 is cross-entropy.
    """
    entropy_N = tokens.need("top_entropy").detach().clamp(min=0)
    return -(entropy_N**alpha) * tokens.log_probs_N


@objective("asft", "reference_kl", reference="base")
def asft(tokens: Tokens, kl: float = 0.1) -> Tensor:
    """Anchored SFT: DFT, held near the base model.

    Formula: −sg[pₜ]·log pₜ + λ·KL(p_ref ‖ p_θ)
    Source: arXiv 2509.23753
    Chosen here: direction of the KL and λ = 0.1 as in the authors' train_v2.py (their README trains with
    0.05). The reference is the base model, whose drift the term is there to stop.

    Args:
        kl: λ; 0 is DFT.
    """
    return dft(tokens) + kl * tokens.need("reference_kl")


@objective("iw-sft", "reference_log_probs", whole_examples=True, reference="base")
def iw_sft(tokens: Tokens, temperature: float = 1.0, clip: float = 16.0) -> Tensor:
    """Importance-weighted SFT: an example counts more as the model moves towards it.

    Formula: −sg[min(exp(τ·mean(log p − log p_ref)), c)]·log pₜ
    Source: arXiv 2507.12856
    Chosen here: τ = 1 and c = 16 as in the authors' bounding_trainers.py. The mean is over the example's
    tokens that carry loss, each counted once. The reference is the model that training starts from in the
    source: the base model.

    Args:
        temperature: τ; 0 is cross-entropy.
        clip: c, the largest weight of an example.
    """
    example_N, count_E = numbered(tokens.examples_N)
    log_ratio_N = tokens.log_probs_N.detach() - tokens.need("reference_log_probs").detach()
    mean_E = summed(log_ratio_N, example_N, len(count_E)) / count_E
    weight_E = (temperature * mean_E).exp().clamp(max=clip)
    return -weight_E[example_N] * tokens.log_probs_N


@objective("prift", "reference_log_probs", reference="base")
def prift(tokens: Tokens) -> Tensor:
    """PriFT: each token counts as much as the base model believes in it.

    Formula: −p_ref·log pₜ
    Source: arXiv 2606.09396
    Chosen here: the reference is the base model, which stays as it is; in DFT the weight is the model's own.
    """
    return -tokens.need("reference_log_probs").detach().exp() * tokens.log_probs_N


@objective("psft", "old_log_probs")
def psft(tokens: Tokens, epsilon: float = 0.28, refresh: float = 8.0) -> Tensor:
    """Proximal SFT: a token stops pulling once its probability has grown by ε since a while ago.

    Formula: −min(rₜ, clip(rₜ, 1 ± ε)), rₜ = pₜ / p_old
    Source: arXiv 2508.17784
    Chosen here: ε = 0.28, the upper clip of the authors' run_psft.sh; their lower one of 0.2 never acts,
    since min(r, clip(r, 1 ± ε)) is min(r, 1 + ε). The authors refresh p_old every 8 optimiser steps (256
    prompts, mini-batches of 32).

    Args:
        epsilon: ε.
        refresh: Optimiser steps between two renewals of p_old; the trainer sees to them.
    """
    log_ratio_N = tokens.log_probs_N - tokens.need("old_log_probs").detach()
    # Clipped before exp: an overflowing ratio would have the gradient 0·∞.
    return -log_ratio_N.clamp(max=math.log1p(epsilon)).exp()


@objective("rho-1", "reference_log_probs", whole_examples=True, reference="sft", fractions=("share",))
def rho_1(tokens: Tokens, share: float = 0.6) -> Tensor:
    """Rho-1: only the tokens with the largest excess loss over the reference carry loss.

    Formula: −kₜ·log pₜ·Σ w / Σ w·k over the example, kₜ = 1 in its top share by sg[ℓ_θ − ℓ_ref], else 0
    Source: arXiv 2404.07965, section 2.2
    Chosen here: 0.6, its share for the 1B model (0.7 for 7B). Tokens are ranked within the example, not
    within a batch, so that batching changes nothing. At least one is kept. The reference is plain SFT: what
    a model trained on this data can learn of it, in place of the paper's model of a curated corpus.

    Args:
        share: Of an example's tokens that is kept; 1 is cross-entropy.
    """
    example_N, count_E = numbered(tokens.examples_N)
    excess_N = tokens.need("reference_log_probs").detach() - tokens.log_probs_N.detach()
    # In float64: in float32 0.6 of 25 tokens is above 15, and a sixteenth would be kept.
    kept_N = ranked(excess_N, example_N, count_E) < share * count_E.double()[example_N]
    return -tokens.log_probs_N * kept_N * _scale(tokens, kept_N, example_N, len(count_E))


@objective("token-cleaning", "cleaning_rank", reference="sft", fractions=("share",))
def token_cleaning(tokens: Tokens, share: float = 0.6) -> Tensor:
    """Token Cleaning: only the tokens that fine-tuning helps most carry loss, chosen beforehand.

    Formula: −kₜ·log pₜ / k, kₜ = 1 in the corpus' top k by ℓ_base − ℓ_ref, else 0
    Source: arXiv 2502.01968, fixed-model cleaning
    Chosen here: k = 0.6 as in the authors' fixed_model_cleaning.sh. Divided by k, for the mean over the
    kept tokens, which holds over the corpus, not in each step. The reference is plain SFT on all of the
    data; the authors fine-tune theirs on a warm-up set.

    Args:
        share: k; 1 is cross-entropy.
    """
    kept_N = tokens.need("cleaning_rank") < share
    return -tokens.log_probs_N * kept_N / share


def _scale(tokens: Tokens, kept_N: Tensor, example_N: Tensor, num_examples: int) -> Tensor:
    """Σ w / Σ w·k of each token's example: the kept tokens take the weight of all [N]."""
    weight_E = summed(tokens.weights_N, example_N, num_examples)
    kept_weight_E = summed(tokens.weights_N * kept_N, example_N, num_examples)
    return (weight_E / kept_weight_E.clamp(min=TINY))[example_N]


def _members(tokens: Tokens, names: Iterable[str]) -> Tensor:
    """1 for the named segments, 0 for the others [S]."""
    return tokens.step_weight_S.new_tensor([float(segment in names) for segment in SEGMENTS])


def _reweighted(tokens: Tokens, names: Iterable[str], factor: float) -> Tensor:
    """Cross-entropy whose mean over the step counts the tokens of some segments `factor` times."""
    factor_S = 1 + (factor - 1) * _members(tokens, names)
    # Over the step, not the micro-batch: that alone keeps accumulation from changing the loss.
    scale = tokens.step_weight_S.sum() / (factor_S * tokens.step_weight_S).sum().clamp(min=TINY)
    return -tokens.log_probs_N * (factor_S * scale)[tokens.segments_N]


@objective("answer-weighted")
def answer_weighted(tokens: Tokens, weight: float = 3.0) -> Tensor:
    """Cross-entropy in which a token of the answer counts λ times.

    Formula: −cₜ·log pₜ / (Σ w·c / Σ w), cₜ = λ in the answer, else 1
    Source: control asked for by the reviewers of arXiv 2512.21017
    Chosen here: λ = 3, the answer's tags and the end counted with it, and a weighted mean: λ shifts weight
    towards the answer without raising the loss, and with it the step size, as a whole.

    Args:
        weight: λ; 1 is cross-entropy.
    """
    return _reweighted(tokens, ANSWER_SIDE, weight)


@objective("prompt-loss-weight")
def prompt_loss_weight(tokens: Tokens, weight: float = 0.1) -> Tensor:
    """Cross-entropy that also counts the prompt, a little.

    Formula: −cₜ·log pₜ / (Σ w·c / Σ w), cₜ = weight in the prompt, else 1
    Source: arXiv 2401.13586
    Chosen here: 0.1, the upper end of what the paper found best for short completions, and a weighted mean
    over the step. The stage must give the prompt a weight, usually 1, or there is no prompt token to count.

    Args:
        weight: Of a prompt token; 0 is the usual SFT, 1 is language modelling.
    """
    return _reweighted(tokens, ("prompt",), weight)


@objective("span-balanced")
def span_balanced(tokens: Tokens, answer: float = 0.5, thinking: float = 0.5) -> Tensor:
    """Mean cross-entropy of the answer plus that of the thinking, however long either is.

    Formula: −cₜ·log pₜ·Σ w / Σ w[side of t], cₜ = a in the answer, b in the thinking
    Source: arXiv 2510.16686, method Align
    Chosen here: a = b = 0.5, so that the loss keeps its scale (the paper's values were not found), and
    means over the step, not over each example. Prompt tokens count nothing; a side that the step lacks
    counts 0.

    Args:
        answer: a.
        thinking: b.
    """
    factor_S = tokens.step_weight_S.new_zeros(len(tokens.step_weight_S))
    for names, share in ((ANSWER_SIDE, answer), (THINKING_SIDE, thinking)):
        members_S = _members(tokens, names)
        side_weight = (members_S * tokens.step_weight_S).sum().clamp(min=TINY)
        factor_S = factor_S + members_S * share * tokens.step_weight_S.sum() / side_weight
    return -tokens.log_probs_N * factor_S[tokens.segments_N]


@objective("first-half", whole_examples=True, fractions=("share",))
def first_half(tokens: Tokens, share: float = 0.5) -> Tensor:
    """Cross-entropy on the first half of each example's reasoning alone.

    Formula: −kₜ·log pₜ·Σ w / Σ w·k over the example, kₜ = 1 in the first share of its thinking, else 0
    Source: arXiv 2512.21002, which trains on the first half of the tokens
    Chosen here: half of the thinking with its tags, rounded up; an example without any counts nothing.

    Args:
        share: Of the thinking that is kept; 1 is cross-entropy on the reasoning alone.
    """
    example_N, count_E = numbered(tokens.examples_N)
    thinking_N = _members(tokens, THINKING_SIDE)[tokens.segments_N]
    total_E = summed(thinking_N, example_N, len(count_E))
    before_E = total_E.cumsum(0) - total_E
    place_N = thinking_N.cumsum(0) - 1 - before_E[example_N]  # 0, 1, … within each example's thinking
    kept_N = thinking_N * (place_N < share * total_E.double()[example_N])
    return -tokens.log_probs_N * kept_N * _scale(tokens, kept_N, example_N, len(count_E))


@objective("sft-go", whole_examples=True, fractions=("weight",))
def sft_go(tokens: Tokens, weight: float = 0.5) -> Tensor:
    """SFT-GO: a mix of cross-entropy and the loss of each example's worse side, thinking or answer.

    Formula: −(1 − λ + λ·gₜ)·log pₜ, gₜ = Σ w[example] / Σ w[its worse side] on that side, else 0
    Source: arXiv 2506.15021
    Chosen here: the groups are thinking and answer, the parts that this project compares; the paper groups
    tokens by TF-IDF, a prompt compressor or Rho-1. λ = 0.5 (the paper's value was not found). Worse is the
    side with the larger mean cross-entropy, the answer where they are equal.

    Args:
        weight: λ.
    """
    example_N, count_E = numbered(tokens.examples_N)
    cross_entropy_N = -tokens.log_probs_N
    answer_N, thinking_N = (
        _members(tokens, side)[tokens.segments_N] for side in (ANSWER_SIDE, THINKING_SIDE)
    )
    sides = [member_N * tokens.weights_N for member_N in (answer_N, thinking_N)]
    weights = [summed(weight_N, example_N, len(count_E)) for weight_N in sides]
    losses = [summed(weight_N * cross_entropy_N.detach(), example_N, len(count_E)) for weight_N in sides]
    means = [loss_E / weight_E.clamp(min=TINY) for loss_E, weight_E in zip(losses, weights, strict=True)]
    answer_is_worse_E = means[0] >= means[1]
    worse_N = answer_N.where(answer_is_worse_E[example_N], thinking_N)
    worse_weight_E = weights[0].where(answer_is_worse_E, weights[1])
    scale_E = summed(tokens.weights_N, example_N, len(count_E)) / worse_weight_E.clamp(min=TINY)
    return cross_entropy_N * (1 - weight + weight * worse_N * scale_E[example_N])
