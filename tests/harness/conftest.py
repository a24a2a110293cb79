"""A tiny base model that every engine here runs, and helpers to call the command as a user would."""

from functools import partial
from pathlib import Path

import pytest
from command_line import call
from mini import random_llama

from sftkey_train.embedded import embedded_folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama-type model of one layer, with weights as small as those of one that begins to learn."""
    return random_llama(tmp_path_factory.mktemp("tiny") / "tiny-base", tied=False, std=0.02)


@pytest.fixture(scope="session")
def foreign_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody else would hand in: a GPT-2-type model, with a chat template, saved by transformers."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    tokenizer.chat_template = (
        "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    torch.manual_seed(1)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer), n_positions=512, n_embd=64, n_layer=1, n_head=2,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip
    directory = tmp_path_factory.mktemp("foreign") / "gpt2-tiny"
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def foreign_adapter(foreign_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEFT adapter on it that changes something."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(foreign_gpt2),
        LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["c_attn"], fan_in_fan_out=True),
    )
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    directory = tmp_path_factory.mktemp("adapters") / "gpt2-lora"
    model.save_pretrained(directory)
    return directory


@pytest.fixture
def harness(tmp_path: Path):
    """Runs the command; gives what a finished process would be."""
    return partial(call, tmp_path)
