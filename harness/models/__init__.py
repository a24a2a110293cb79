"""What is evaluated or trained from: models named by folder or Hub id, and adapters on them.

Weights made elsewhere are data, not code, and are looked at before any engine starts: what would make a run
fail or falsify its figures is refused here with one line.
"""

from harness.models.adapters import adapter_config, base_of, check_adapter, locate_base
from harness.models.architecture import is_tied, num_embeddings, read_json, skeleton
from harness.models.checkpoint import (
    MODEL_CHECKS,
    Checkpoint,
    Folders,
    Weights,
    adapter_checks,
    merged,
    problems,
    whole_model,
    with_adapter,
)
from harness.models.limits import check_context, context_length, has_tokenizer, usable_tokenizer
from harness.models.locate import (
    HUB_FILES,
    adapter_is_meant,
    cache_dir,
    card_licence,
    is_adapter,
    locate,
    locate_adapter,
    locate_model,
    model_name,
    split_revision,
)
from harness.models.shards import Tensor, read_tensors

__all__ = [
    "HUB_FILES",
    "MODEL_CHECKS",
    "Checkpoint",
    "Folders",
    "Tensor",
    "Weights",
    "adapter_checks",
    "adapter_config",
    "adapter_is_meant",
    "base_of",
    "cache_dir",
    "card_licence",
    "check_adapter",
    "check_context",
    "context_length",
    "has_tokenizer",
    "is_adapter",
    "is_tied",
    "locate",
    "locate_adapter",
    "locate_base",
    "locate_model",
    "merged",
    "model_name",
    "num_embeddings",
    "problems",
    "read_json",
    "read_tensors",
    "skeleton",
    "split_revision",
    "usable_tokenizer",
    "whole_model",
    "with_adapter",
]
