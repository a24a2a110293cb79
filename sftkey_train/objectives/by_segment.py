"""Objectives that treat the parts of an example differently.

Two sides, as in the loss preset `key`: the answer with its tags and the end-of-sequence token, and the
thinking with its tags. The prompt is on neither side.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sftkey_train.objectives.examples import numbered, summed
from sftkey_train.objectives.registry import Tokens, objective

if TYPE_CHECKING:
    from torch import Tensor

THINKING = ("thinking_tag", "thinking")
ANSWER = ("answer_tag", "answer", "end")

TINY = 1e-12
"""What divides where a part has no weight; its tokens are then none, or have the factor 0."""


def _members(tokens: Tokens, names: Iterable[str]) -> Tensor:
    """1 for the named segments, 0 for the others [S]."""
    from sftkey_train.variants import SEGMENTS  # which reads the names of the objectives

    return tokens.step_weight_S.new_tensor([float(segment in names) for segment in SEGMENTS])


def _reweighted(tokens: Tokens, names: Iterable[str], factor: float) -> Tensor:
    """Cross-entropy whose mean over the step counts the tokens of some segments `factor` times."""
    factor_S = 1 + (factor - 1) * _members(tokens, names)
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
        tokens: The positions.
        weight: λ; 1 is cross-entropy.
    """
    return _reweighted(tokens, ANSWER, weight)


@objective("prompt-loss-weight")
def prompt_loss_weight(tokens: Tokens, weight: float = 0.1) -> Tensor:
    """Cross-entropy that also counts the prompt, a little.

    Formula: −cₜ·log pₜ / (Σ w·c / Σ w), cₜ = weight in the prompt, else 1
    Source: arXiv 2401.13586
    Chosen here: 0.1, the upper end of what the paper found best for short completions, and a weighted mean
    over the step. The stage must give the prompt a weight, usually 1, or there is no prompt token to count.

    Args:
        tokens: The positions.
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
        tokens: The positions.
        answer: a.
        thinking: b.
    """
    factor_S = tokens.step_weight_S.new_zeros(len(tokens.step_weight_S))
    for names, share in ((ANSWER, answer), (THINKING, thinking)):
        members_S = _members(tokens, names)
        side_weight = (members_S * tokens.step_weight_S).sum().clamp(min=TINY)
        factor_S = factor_S + members_S * share * tokens.step_weight_S.sum() / side_weight
    return -tokens.log_probs_N * factor_S[tokens.segments_N]


@objective("sft-go", whole_examples=True, fractions=("weight",))
def sft_go(tokens: Tokens, weight: float = 0.5) -> Tensor:
    """SFT-GO: a mix of cross-entropy and the loss of each example's worse side, thinking or answer.

    Formula: −(1 − λ + λ·gₜ)·log pₜ, gₜ = Σ w[example] / Σ w[its worse side] on that side, else 0
    Source: arXiv 2506.15021
    Chosen here: the groups are thinking and answer, the parts that this project compares; the paper groups
    tokens by TF-IDF, a prompt compressor or Rho-1. λ = 0.5 (the paper's value was not found). Worse is the
    side with the larger mean cross-entropy, the answer where they are equal.

    Args:
        tokens: The positions.
        weight: λ.
    """
    example_N, count_E = numbered(tokens.examples_N)
    cross_entropy_N = -tokens.log_probs_N
    side_weights, side_means = [], []
    members = [_members(tokens, names)[tokens.segments_N] for names in (ANSWER, THINKING)]
    for member_N in members:
        weight_N = member_N * tokens.weights_N
        weight_E = summed(weight_N, example_N, len(count_E))
        loss_E = summed(weight_N * cross_entropy_N.detach(), example_N, len(count_E))
        side_weights.append(weight_E)
        side_means.append(loss_E / weight_E.clamp(min=TINY))
    answer_is_worse_E = side_means[0] >= side_means[1]
    worse_N = members[0].where(answer_is_worse_E[example_N], members[1])
    worse_weight_E = side_weights[0].where(answer_is_worse_E, side_weights[1])
    scale_E = summed(tokens.weights_N, example_N, len(count_E)) / worse_weight_E.clamp(min=TINY)
    return cross_entropy_N * (1 - weight + weight * worse_N * scale_E[example_N])
