"""When an answer is right: where it is found in an output, and when it equals the reference.

`score(Item(...))` is the one entry: lm-eval's `process_results`, the validation probe, `harness score` and
`rescore`, the exact check and whoever wants rewards ask it, so that no two of them can disagree.
"""

from tasks.scoring.many import Agreement, agreement, cohens_kappa, score_many
from tasks.scoring.verdict import (
    DEFAULT_ALPHA,
    Item,
    Score,
    answers_equal,
    fault_of_gold,
    metrics,
    reference_answer,
    score,
    scorer_digest,
    spans,
)

__all__ = [
    "DEFAULT_ALPHA",
    "Agreement",
    "Item",
    "Score",
    "agreement",
    "answers_equal",
    "cohens_kappa",
    "fault_of_gold",
    "metrics",
    "reference_answer",
    "score",
    "score_many",
    "scorer_digest",
    "spans",
]
