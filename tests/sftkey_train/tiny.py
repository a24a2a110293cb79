"""What the tests here build models and text from."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sftkey_train.corpus import Corpus
from sftkey_train.segments import SEGMENTS
from sftkey_train.stages import StageNode
from sftkey_train.stored import StageResult
from tasks.records import Record, render_prompt
from tasks.tags import get_tag_format, render_response
from tasks.world.generate import load

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


V = 50
"""Tokens of the random corpora and of the models that train on them."""
KINDS = ("byte-level", "straddling", "gpt2", "llama", "chat")
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|start|>' + m.role + '\n' + m.content + '<|end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"
)
UNICODE = (
    Record("u1", "Was kostet ein Café crème? 🙂", None, "Drei 🍎 und zwei 🍏: 3 + 2 = 5 €.", "5 €", "text"),
    Record("u2", "東京の人口は?", None, "東京は大きい。\n答えは多い 👩‍👩‍👧.", "千四百万", "text"),
)


def records_of(size: int) -> list[Record]:
    """Number and choice problems of the world in turn, two with other scripts first."""
    pairs = zip(load("train", size=size), load("train", kind="choice", size=size), strict=True)
    return [*UNICODE, *(record for pair in pairs for record in pair)][:size]


def texts_of(records: list[Record]) -> list[str]:
    tagged = get_tag_format("thinking-answer")
    return [render_prompt(record) + render_response(record, tagged).text for record in records]


def train_tokenizer(kind: str) -> PreTrainedTokenizerBase:
    """A tokenizer of a common kind, trained on tagged responses.

    `straddling` has no pre-tokenizer worth the name, so that its tokens run across tag borders; `llama` is
    SentencePiece-like (prefix space, byte fallback, BOS), `gpt2` has no BOS and trims offsets.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    specials = ["<s>", "</s>", "<|start|>", "<|end|>"]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("gpt2", "chat"))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if kind == "llama":
        tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        metaspace = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([metaspace, pre_tokenizers.Punctuation("isolated")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        specials, alphabet = ["<unk>", *specials], []
        texts = [text.replace("\n", " ") for text in texts_of(load("train", size=300))]
    else:
        tokenizer = Tokenizer(models.BPE())
        if kind == "byte-level":
            split = pre_tokenizers.Split("\n", "isolated")
            byte_level = pre_tokenizers.Sequence([split, pre_tokenizers.Punctuation("isolated"), byte_level])
        if kind == "straddling":
            split = pre_tokenizers.Split("\n", "isolated")
            byte_level = pre_tokenizers.Sequence([split, byte_level])
        tokenizer.pre_tokenizer = byte_level
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.normalizer = normalizers.NFC()
        texts = texts_of(load("train", size=300))
    trainer = trainers.BpeTrainer(
        vocab_size=520, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    if kind == "llama":
        tokenizer = _with_byte_tokens(tokenizer)
    if kind == "gpt2":
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    elif kind != "chat":
        bos = tokenizer.token_to_id("<s>")
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", bos)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=None if kind == "gpt2" else "<s>",
        eos_token="</s>",
        chat_template=CHAT_TEMPLATE if kind == "chat" else None,
        clean_up_tokenization_spaces=False,
    )


def _with_byte_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with the 256 tokens that byte fallback falls back on."""
    content = json.loads(tokenizer.to_str())
    vocabulary = content["model"]["vocab"]
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    return type(tokenizer).from_str(json.dumps(content))


def tiny_model(vocabulary_size: int, *, seed: int = 0, **changes: object) -> PreTrainedModel:
    """A random Llama of one layer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary_size, **{**shape, **changes}))


def corpus_of(examples: list[tuple[list[int], list[str]]]) -> Corpus:
    """A corpus from token ids and the segment names of each."""
    lengths = [len(ids) for ids, _ in examples]
    return Corpus(
        ids_N=np.array([token for ids, _ in examples for token in ids], np.int32),
        segments_N=np.array([SEGMENTS.index(name) for _, names in examples for name in names], np.uint8),
        starts_E=np.cumsum([0, *lengths]).astype(np.int64),
        num_straddling=0,
        dropped={},
    )


def tagged_corpus(size: int = 24, *, seed: int = 0) -> Corpus:
    """Random examples of uneven length over `V` tokens, with every segment."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(size):
        num_prompt, num_thinking, num_answer = (int(n) for n in rng.integers((2, 1, 1), (8, 14, 4)))
        names = ["prompt"] * num_prompt + ["thinking_tag"] + ["thinking"] * num_thinking + ["thinking_tag"]
        names += ["answer_tag"] + ["answer"] * num_answer + ["answer_tag", "end"]
        examples.append((rng.integers(0, V, len(names)).tolist(), names))
    return corpus_of(examples)


def with_weights(node: StageNode, **weights: float) -> StageNode:
    """The stage with the loss on other segments."""
    by_segment = tuple(float(weights.get(name, 0)) for name in SEGMENTS)
    return replace(node, stage=replace(node.stage, weights=by_segment))


def with_settings(node: StageNode, **changes: Any) -> StageNode:
    """The stage with other settings that leave its budget as it is."""
    return replace(node, settings=replace(node.settings, **changes))


def train(
    corpus: Corpus, node: StageNode, model: torch.nn.Module | None = None, **more: Any
) -> tuple[dict[str, torch.Tensor], StageResult]:
    """Weights after training a model, a fresh tiny one where none is given, and the result."""
    from sftkey_train.trainer import train_stage

    model = model or tiny_model(V)
    with tempfile.TemporaryDirectory() as folder:
        arguments = {"on_step": lambda metrics: None, "scratch": Path(folder), **more}
        result = train_stage(model, corpus, node, **arguments)
    return state_of(model), result


def lora_model(model: torch.nn.Module | None = None, **changes: Any) -> torch.nn.Module:
    """A tiny model, or the given one, under an adapter that already says something."""
    from peft import LoraConfig, get_peft_model

    model = model or tiny_model(V)
    torch.manual_seed(5)
    shape = {"r": 2, "lora_alpha": 4, "init_lora_weights": False, **changes}
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", **shape))


def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def equal_states(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)
