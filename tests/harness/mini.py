"""Models of one layer that every engine runs, adapters on them, and what they are asked."""

from pathlib import Path

import pytest

from harness.config import Config
from harness.engines.api import EngineSettings
from harness.engines.registry import ENGINES
from harness.plan import text_path
from sftkey_train.embedded import embedded_folder
from tasks.records import render_prompt
from tasks.world.generate import load

needs_vllm = pytest.mark.skipif(not ENGINES["vllm"].installed, reason="vLLM is not installed")
SETTINGS = EngineSettings(kv_cache_gib=0.25, max_num_seqs=32, dtype="float32")


def prompts(model: Path) -> list[list[int]]:
    records = [*load("test", size=12), *load("test", kind="choice", gap=1, size=12)]
    return text_path(model, Config(), "none").ids([render_prompt(record) for record in records])


def random_llama(directory: Path, *, tied: bool, std: float = 0.3) -> Path:
    """A random model of one layer with the embedded tokenizer, its head tied to the embedding or not."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    torch.manual_seed(len(directory.name))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512, initializer_range=std,
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
