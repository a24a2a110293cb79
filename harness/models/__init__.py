"""What is evaluated or trained from: models named by folder or Hub id, and adapters on them.

Weights made elsewhere are data, not code, and are looked at before any engine starts: what would make a run
fail or falsify its figures is refused here with one line.
"""

from harness.models.architecture import check_context
from harness.models.checkpoint import Checkpoint, Weights, merged, whole_model, with_adapter
from harness.models.locate import cache_dir, locate_model, model_name

__all__ = [
    "Checkpoint",
    "Weights",
    "cache_dir",
    "check_context",
    "locate_model",
    "merged",
    "model_name",
    "whole_model",
    "with_adapter",
]
