"""Models of known shapes with random weights, and the floating-point work of training them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Shape:
    """Of a decoder with grouped attention and a gated MLP.

    Attributes:
        name: In the tables.
        width: Hidden size.
        intermediate: Of the MLP.
        num_layers: Transformer layers.
        num_heads: Attention heads.
        num_kv_heads: Likewise, for keys and values.
        vocabulary: Rows of the embedding; 0 for as many as the tokenizer has tokens.
        tied: Whether the head is the embedding.
        biased: Whether queries, keys and values have a bias, as Qwen2's; else it is a Llama.
    """

    name: str
    width: int
    intermediate: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    vocabulary: int = 0
    tied: bool = False
    biased: bool = False

    @property
    def layer_weights(self) -> int:
        """Weights of one layer's matrices."""
        kv_width = self.width // self.num_heads * self.num_kv_heads
        return 2 * self.width * (self.width + kv_width) + 3 * self.width * self.intermediate

    @property
    def matmuls(self) -> list[tuple[int, int, int]]:
        """Where the machine's peak is looked for: the two large products of a layer, and a square one."""
        return [(1024, self.width, self.intermediate), (1024, self.intermediate, self.width), (2048,) * 3]

    @property
    def state_bytes(self) -> int:
        """Weights, gradients and AdamW's two moments in float32, which full fine-tuning holds on any side."""
        return 16 * (self.vocabulary * self.width + self.num_layers * self.layer_weights)


QWEN = Shape("Qwen2.5-0.5B's shape", 896, 4864, 24, 14, 2, 151_936, tied=True, biased=True)
SMOLLM2 = Shape("SmolLM2-135M's shape", 576, 1536, 30, 9, 3, 49_152, tied=True)


def cut(shape: Shape, num_layers: int) -> Shape:
    """The first layers of a shape alone."""
    name = shape.name if num_layers == shape.num_layers else f"{num_layers} layers of {shape.name}"
    return replace(shape, name=name, num_layers=num_layers)


def random_model(shape: Shape, context: int = 1024, *, seed: int = 0, **options: Any) -> PreTrainedModel:
    """The model in float32, its weights drawn with the seed; options are for its configuration."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config, model = (Qwen2Config, Qwen2ForCausalLM) if shape.biased else (LlamaConfig, LlamaForCausalLM)
    own = config(
        hidden_size=shape.width,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        max_position_embeddings=context,
        tie_word_embeddings=shape.tied,
        **{"vocab_size": shape.vocabulary, **options},
    )
    return model(own)


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


def training_flops(shape: Shape, lengths: Sequence[int], num_loss_tokens: int) -> Flops:
    """What one pass over examples of these lengths needs."""
    return Flops(
        layers=6 * shape.num_layers * shape.layer_weights * sum(lengths),
        attention=6 * shape.num_layers * shape.width * sum(length * length for length in lengths),
        head=6 * shape.vocabulary * shape.width * num_loss_tokens,
    )
