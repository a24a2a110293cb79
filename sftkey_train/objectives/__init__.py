"""What a stage minimises. An objective is one function from `Tokens` to a loss for each of them.

The trainer minimises Σ wₜ·ℓₜ / Σ wₜ over all weighted positions of the optimiser step, so a function whose
losses are a mean over other tokens than all (one segment, the kept ones) scales them itself. Everything that
a function looks at belongs to the token, its example, or the whole step: never to the micro-batch, so that
accumulation, packing and ranks change nothing.

To add one, write its function in `functions.py`; a variant then names it, and its options become options of
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
"""

from sftkey_train.objectives.functions import cross_entropy
from sftkey_train.objectives.registry import OBJECTIVES, Need, Objective, Reference, Tokens, objective

__all__ = ["OBJECTIVES", "Need", "Objective", "Reference", "Tokens", "cross_entropy", "objective"]
