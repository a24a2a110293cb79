"""Checkpoints as others would hand them in: small models of real families, and adapters on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

FAMILIES = ("llama", "qwen3", "gpt2", "gpt_neox", "mistral", "gemma2")
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_COMMON = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
_GROUPED = {**_COMMON, "num_key_value_heads": 1, "head_dim": 32}


def save_tokenizer(folder: Path, **changes: Any) -> int:
    """A byte-level tokenizer that knows a few special tokens; gives the number of its tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate(["<s>", "</s>", *pre_tokenizers.ByteLevel.alphabet()])}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    given = {"bos_token": "<s>", "eos_token": "</s>", **changes}
    extra = given.pop("extra", [])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **given)
    tokenizer.add_tokens(extra)
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def save_model(
    folder: Path, family: str = "llama", *, rows: int | None = None, shards: int = 1, **changes: Any
) -> Path:
    """A model of a family with a tokenizer, as transformers saves them."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = {key: changes.pop(key) for key in ("chat_template", "extra", "eos_token") if key in changes}
    size = rows or save_tokenizer(folder, **tokenizer)
    dtype = changes.pop("dtype", torch.float32)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"vocab_size": size, "bos_token_id": 0, "eos_token_id": 1}
    if family == "gpt2":
        shape |= {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 512}
    else:
        shape |= {**(_COMMON if family == "gpt_neox" else _GROUPED), "max_position_embeddings": 512}
    shape |= changes
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **shape)).to(dtype)
    total = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    model.save_pretrained(folder, max_shard_size=total // shards + 1 if shards > 1 else "5GB")
    if rows:
        save_tokenizer(folder, **tokenizer)
    return folder


def save_adapter(folder: Path, base: Path, *, std: float = 0.0, **changes: Any) -> Path:
    """A LoRA adapter on a base that changes what it says; what it holds whole moves by `std`."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    shape = {"r": 4, "target_modules": "all-linear", "init_lora_weights": False, **changes}
    torch.manual_seed(3)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(task_type="CAUSAL_LM", **shape)
    )
    for name, parameter in model.named_parameters():
        if std and ("modules_to_save" in name or "trainable_tokens" in name):
            parameter.data += std * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def edit_weights(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the tensors of a safetensors file."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def to_hub_cache(source: Path, cache: Path, name: str, revision: str, commit: str) -> None:
    """Puts a folder where huggingface_hub keeps what it has downloaded."""
    repository = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(source, repository / "snapshots" / commit)
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / revision).write_text(commit)
