"""A model of Qwen2.5-0.5B's shape with random weights, and the floating-point work of training it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VOCABULARY = 151_936
HIDDEN = 896
INTERMEDIATE = 4864
NUM_LAYERS = 24
NUM_HEADS = 14
NUM_KV_HEADS = 2
_KV_WIDTH = HIDDEN // NUM_HEADS * NUM_KV_HEADS
LAYER_WEIGHTS = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * _KV_WIDTH + 3 * HIDDEN * INTERMEDIATE
"""Weights of one layer's matrices."""
MATMUL_SHAPES = ((1024, HIDDEN, INTERMEDIATE), (1024, INTERMEDIATE, HIDDEN), (2048, 2048, 2048))
"""Where the machine's peak is looked for: the two large products of a layer, and a square one."""


def random_model(num_layers: int) -> PreTrainedModel:
    """The model in float32 with tied embeddings, the same weights each time."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=num_layers,
        num_attention_heads=NUM_HEADS,
        num_key_value_heads=NUM_KV_HEADS,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        use_cache=False,
        attn_implementation="sdpa",
    )
    return Qwen2ForCausalLM(config)


@dataclass(frozen=True)
class Flops:
    """Useful floating-point operations of training: real tokens, positions with loss, nothing twice.

    Attributes:
        layers: Of the layers' matrices: 6 for each weight and token (arXiv 2001.08361, section 2.1).
        attention: Of causal attention: 6·T²·hidden for each layer and example of T tokens.
        head: Of the output head: 6 for each weight and position with loss.
    """

    layers: int
    attention: int
    head: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.layers + self.attention + self.head


def training_flops(num_layers: int, lengths: Sequence[int], num_loss_tokens: int) -> Flops:
    """What one pass over examples of these lengths needs."""
    return Flops(
        layers=6 * num_layers * LAYER_WEIGHTS * sum(lengths),
        attention=6 * num_layers * HIDDEN * sum(length * length for length in lengths),
        head=6 * VOCABULARY * HIDDEN * num_loss_tokens,
    )


def state_bytes(num_layers: int) -> int:
    """Weights, gradients and AdamW's two moments in float32, which full fine-tuning holds on either side."""
    return 16 * (VOCABULARY * HIDDEN + num_layers * LAYER_WEIGHTS)
