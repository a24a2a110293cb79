"""Models of one layer that every engine runs, adapters on them, and what they are asked."""

from pathlib import Path

import pytest

from harness.config import Config
from harness.engines.api import EngineSettings
from harness.engines.registry import ENGINES
from harness.plan import text_path
from sftkey_train.embedded import Recipe
from tasks.records import render_prompt
from tasks.world.generate import load

MINI = Recipe(
    num_number=160,
    num_choice=160,
    num_markup=16,
    width=64,
    num_layers=1,
    num_heads=2,
    context=512,
    batch_size=32,
)
needs_vllm = pytest.mark.skipif(not ENGINES["vllm"].installed, reason="vLLM is not installed")
SETTINGS = EngineSettings(kv_cache_gib=0.25, max_num_seqs=32, dtype="float32")


def prompts(model: Path) -> list[list[int]]:
    records = [*load("test", size=12), *load("test", benchmark="choice", hard=True, size=12)]
    return text_path(model, Config(), "none").ids([render_prompt(record) for record in records])


def random_llama(base: Path, directory: Path, *, tied: bool) -> Path:
    """A random model with the base's tokenizer, its head tied to the embedding or not."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(len(directory.name))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.3,
        tie_word_embeddings=tied, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def adapter(base: Path, directory: Path, *, std: float = 0.5, rank: int = 4, **options: object) -> Path:
    """A PEFT adapter with random weights; with std 0 it changes nothing."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    targets = options.pop("target_modules", ["q_proj", "v_proj", "down_proj"])
    config = LoraConfig(task_type="CAUSAL_LM", r=rank, target_modules=targets, **options)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    torch.manual_seed(len(directory.name))
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=std)
    model.save_pretrained(directory)
    return directory
