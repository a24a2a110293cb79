"""Models with random weights, and adapters on them: what an engine does depends on shapes alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure.shapes import Shape, random_model
from sftkey_train.embedded import embedded_folder
from tasks.reading import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ADAPTER_RANK = 16
_ADAPTER_STD = 0.02


_CONFIG = read_json(embedded_folder() / "config.json")
EMBEDDED = Shape(
    "the embedded model's shape",
    *(_CONFIG[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")),
    *(_CONFIG[name] for name in ("num_attention_heads", "num_key_value_heads")),
)


def embedded_tokenizer() -> PreTrainedTokenizerBase:
    """The embedded model's tokenizer."""
    from sftkey_train.text import load_tokenizer

    return load_tokenizer(str(embedded_folder()))


def write_model(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    shape: Shape,
    context: int = 1024,
    **options: Any,
) -> int:
    """Saves a model with random weights, float32; gives how many; for options see `random_model`."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    own = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = random_model(shape, context, vocab_size=shape.vocabulary or len(tokenizer), **own, **options)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(weights.numel() for weights in model.parameters())


def write_adapters(base: Path, folder: Path, count: int) -> list[Path]:
    """Saves LoRA adapters of all linear layers, random and small enough to leave the base's ways to it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    paths = [folder / f"lora-{number}" for number in range(count)]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        config = LoraConfig(task_type="CAUSAL_LM", r=ADAPTER_RANK, target_modules="all-linear")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weights, std=_ADAPTER_STD)
        model.save_pretrained(path)
    return paths
