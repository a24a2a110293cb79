"""Objectives that look at nothing but how sure the model is of a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sftkey_train.objectives.registry import Tokens, objective

if TYPE_CHECKING:
    from torch import Tensor

LEAST_DOUBT = 1e-12
"""Below this, 1 − p counts as constant: for γ < 1, (1 − p)^γ is infinitely steep at 0, but the loss flat."""


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
        tokens: The positions.
        gamma: γ; 0 is cross-entropy.
    """
    doubt_N = (-tokens.log_probs_N.expm1()).clamp(min=LEAST_DOUBT)
    return -(doubt_N**gamma) * tokens.log_probs_N


@objective("dft")
def dft(tokens: Tokens) -> Tensor:
    """Dynamic Fine-Tuning: each token counts as much as the model believes in it.

    Formula: −sg[pₜ]·log pₜ
    Source: arXiv 2508.05629
    Chosen here: the token-level form, the one that the paper trains with.
    """
    return -tokens.log_probs_N.detach().exp() * tokens.log_probs_N


@objective("profit", fractions=("threshold",))
def profit(tokens: Tokens, threshold: float = 0.1) -> Tensor:
    """ProFit: tokens that the model finds improbable carry no loss.

    Formula: −1[sg[pₜ] > τ]·log pₜ
    Source: arXiv 2601.09195, equations 4 and 5
    Chosen here: τ = 0.1, which the authors' code recommends. As in equation 5, the sum is divided by all
    tokens, not by the kept ones.

    Args:
        tokens: The positions.
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
        tokens: The positions.
        alpha: α; 0 is cross-entropy.
    """
    entropy_N = tokens.need("top_entropy").detach().clamp(min=0)
    return -(entropy_N**alpha) * tokens.log_probs_N
