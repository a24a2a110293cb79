"""What a stage minimises. An objective is one function from `Tokens` to a loss for each of them.

The trainer minimises Σ wₜ·ℓₜ / Σ wₜ over all weighted positions of the optimiser step, so a function whose
losses are a mean over other tokens than all (one segment, the kept ones) scales them itself. Everything that
a function looks at belongs to the token, its example, or the whole step: never to the micro-batch, so that
accumulation, packing and ranks change nothing.

The functions use methods of tensors alone and never import torch, so that listing objectives is instant.
"""

from sftkey_train.objectives import by_confidence, by_reference, by_segment
from sftkey_train.objectives.by_confidence import cross_entropy
from sftkey_train.objectives.registry import OBJECTIVES, Need, Objective, Reference, Tokens, objective

__all__ = [
    "OBJECTIVES",
    "Need",
    "Objective",
    "Reference",
    "Tokens",
    "by_confidence",
    "by_reference",
    "by_segment",
    "cross_entropy",
    "objective",
]
