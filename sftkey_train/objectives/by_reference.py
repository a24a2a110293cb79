"""Objectives that compare the model with another: the base model, plain SFT, or its own past."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sftkey_train.objectives.examples import numbered, ranked, summed
from sftkey_train.objectives.registry import Tokens, objective

if TYPE_CHECKING:
    from torch import Tensor


@objective("asft", "reference_kl", reference="base")
def asft(tokens: Tokens, kl: float = 0.1) -> Tensor:
    """Anchored SFT: DFT, held near the base model.

    Formula: −sg[pₜ]·log pₜ + λ·KL(p_ref ‖ p_θ)
    Source: arXiv 2509.23753
    Chosen here: direction of the KL and λ = 0.1 as in the authors' train_v2.py (their README trains with
    0.05). The reference is the base model, whose drift the term is there to stop.

    Args:
        tokens: The positions.
        kl: λ; 0 is DFT.
    """
    dft_N = -tokens.log_probs_N.detach().exp() * tokens.log_probs_N
    return dft_N + kl * tokens.need("reference_kl")


@objective("iw-sft", "reference_log_probs", whole_examples=True, reference="base")
def iw_sft(tokens: Tokens, temperature: float = 1.0, clip: float = 16.0) -> Tensor:
    """Importance-weighted SFT: an example counts more as the model moves towards it.

    Formula: −sg[min(exp(τ·mean(log p − log p_ref)), c)]·log pₜ
    Source: arXiv 2507.12856
    Chosen here: τ = 1 and c = 16 as in the authors' bounding_trainers.py. The mean is over the example's
    tokens that carry loss, each counted once. The reference is the model that training starts from in the
    source: the base model.

    Args:
        tokens: The positions.
        temperature: τ; 0 is cross-entropy.
        clip: c, the largest weight of an example.
    """
    example_N, count_E = numbered(tokens.examples_N)
    log_ratio_N = tokens.log_probs_N.detach() - tokens.need("reference_log_probs").detach()
    mean_E = summed(log_ratio_N, example_N, len(count_E)) / count_E
    weight_E = (temperature * mean_E).exp().clamp(max=clip)
    return -weight_E[example_N] * tokens.log_probs_N


@objective("psft", "old_log_probs")
def psft(tokens: Tokens, epsilon: float = 0.28, refresh: float = 8.0) -> Tensor:
    """Proximal SFT: a token stops pulling once its probability has grown by ε since a while ago.

    Formula: −min(rₜ, clip(rₜ, 1 ± ε)), rₜ = pₜ / p_old
    Source: arXiv 2508.17784
    Chosen here: ε = 0.28, the upper clip of the authors' run_psft.sh; their lower one of 0.2 never acts,
    since min(r, clip(r, 1 ± ε)) is min(r, 1 + ε). The authors refresh p_old every 8 optimiser steps (256
    prompts, mini-batches of 32).

    Args:
        tokens: The positions.
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
        tokens: The positions.
        share: Of an example's tokens that is kept; 1 is cross-entropy.
    """
    example_N, count_E = numbered(tokens.examples_N)
    excess_N = tokens.need("reference_log_probs").detach() - tokens.log_probs_N.detach()
    kept_N = ranked(excess_N, example_N, count_E) < share * count_E.double()[example_N]
    weight_E = summed(tokens.weights_N, example_N, len(count_E))
    kept_weight_E = summed(tokens.weights_N * kept_N, example_N, len(count_E))
    return -tokens.log_probs_N * kept_N * (weight_E / kept_weight_E)[example_N]


@objective("token-cleaning", "cleaning_rank", reference="sft", fractions=("share",))
def token_cleaning(tokens: Tokens, share: float = 0.6) -> Tensor:
    """Token Cleaning: only the tokens that fine-tuning helps most carry loss, chosen beforehand.

    Formula: −kₜ·log pₜ / k, kₜ = 1 in the corpus' top k by ℓ_base − ℓ_ref, else 0
    Source: arXiv 2502.01968, fixed-model cleaning
    Chosen here: k = 0.6 as in the authors' fixed_model_cleaning.sh. Divided by k, for the mean over the
    kept tokens, which holds over the corpus, not in each step. The reference is plain SFT on all of the
    data; the authors fine-tune theirs on a warm-up set.

    Args:
        tokens: The positions.
        share: k; 1 is cross-entropy.
    """
    kept_N = tokens.need("cleaning_rank") < share
    return -tokens.log_probs_N * kept_N / share
