"""Small tokenizers built as those of the common model families are, each trained on tagged responses."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tiny import texts_of
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from sftkey_train.text import TextPath
from tasks.world.generate import load

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBER| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_METASPACE = "▁"
_LLAMA2_CHAT = (
    "{% for m in messages %}{% if m.role == 'user' %}"
    "{{ bos_token + '[INST] ' + m.content.strip() + ' [/INST]' }}{% else %}"
    "{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
_LLAMA3_CHAT = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' "
    "+ m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_QWEN2_CHAT = (
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_GEMMA_CHAT = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
    "{{ m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


class Family(NamedTuple):
    """What is special about a family.

    Attributes:
        specials: Special tokens.
        bos: The BOS that the tokenizer puts in front, where it does.
        eos: The end-of-sequence token.
        chat_template: Of its instruct models, where there is one.
        chat_end: What ends a turn of that template.
    """

    specials: tuple[str, ...]
    bos: str | None
    eos: str
    chat_template: str | None = None
    chat_end: str | None = None


FAMILIES = {
    "llama2": Family(("<unk>", "<s>", "</s>"), "<s>", "</s>", _LLAMA2_CHAT, " </s>"),
    "llama3": Family(
        ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|begin_of_text|>",
        "<|end_of_text|>",
        _LLAMA3_CHAT,
        "<|eot_id|>",
    ),
    "qwen2": Family(
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), None, "<|im_end|>", _QWEN2_CHAT, "<|im_end|>"
    ),
    "gemma": Family(
        ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
        "<bos>",
        "<eos>",
        _GEMMA_CHAT,
        "<end_of_turn>",
    ),
    "smollm": Family(("<|endoftext|>",), None, "<|endoftext|>"),
    "gpt2": Family(("<|endoftext|>",), None, "<|endoftext|>"),
    "unigram": Family(("<unk>", "<s>", "</s>"), "<s>", "</s>"),
}
CASES = [
    (name, style)
    for name, family in FAMILIES.items()
    for style in ("plain", "chat")[: 1 + bool(family.chat_end)]
]
"""(family, prompt style): the base models, and instruct models with their template."""


@cache
def family_path(name: str, style: str) -> TextPath:
    """The text path of a family's base model (`plain`, no chat template) or instruct model (`chat`)."""
    return TextPath.of(family_tokenizer(name, chat=style == "chat"))


def family_tokenizer(name: str, *, chat: bool = False) -> PreTrainedTokenizerBase:
    """A family's tokenizer, with its chat template or without."""
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(name)),
        bos_token=family.bos or ("<|endoftext|>" if name == "gpt2" else None),
        eos_token=family.eos,
        chat_template=family.chat_template if chat else None,
        clean_up_tokenization_spaces=False,
    )


@cache
def _trained(name: str) -> str:
    """The tokenizer's JSON."""
    build = {"llama2": _sentencepiece, "gemma": _sentencepiece, "unigram": _unigram}.get(name, _byte_level)
    tokenizer: Tokenizer = build(name)
    bos = FAMILIES[name].bos
    if bos is not None:
        template = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
        steps = [processors.ByteLevel(trim_offsets=False), template] if name == "llama3" else [template]
        tokenizer.post_processor = processors.Sequence(steps)
    return tokenizer.to_str()


def _byte_level(name: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    by_words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name in ("llama3", "qwen2"):
        numbers = r"\p{N}{1,3}" if name == "llama3" else r"\p{N}"
        split = pre_tokenizers.Split(Regex(_WORDS.replace("NUMBER", numbers)), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_bytes])
    elif name == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, by_words])
    else:
        tokenizer.pre_tokenizer = by_words
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    if name != "llama3":
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=name == "gpt2")
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(_texts(), _bpe_trainer(name, pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def _sentencepiece(name: str) -> Tokenizer:
    """BPE on whole texts with bytes to fall back on; trained, as SentencePiece does, within words."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    digits = pre_tokenizers.Digits(individual_digits=True)
    spaces = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split("\n", "removed"), digits, spaces])
    tokenizer.train_from_iterator(_texts(), _bpe_trainer(name, []))
    content = json.loads(tokenizer.to_str())
    content["pre_tokenizer"] = None
    _add_bytes(content["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(content))
    to_spaces = normalizers.Replace(" ", _METASPACE)
    back = [decoders.Replace(_METASPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if name == "llama2":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_METASPACE), to_spaces])
        tokenizer.decoder = decoders.Sequence([*back, decoders.Strip(" ", 1, 0)])
    else:
        tokenizer.add_tokens([AddedToken("\n" * n, normalized=False) for n in range(1, 4)])
        tokenizer.normalizer = to_spaces
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        tokenizer.decoder = decoders.Sequence(back)
    return tokenizer


def _unigram(name: str) -> Tokenizer:
    """Unigram on whole words with bytes to fall back on; its pieces are of one script, as SentencePiece's."""
    tokenizer = Tokenizer(models.Unigram())
    spaces = pre_tokenizers.Metaspace(prepend_scheme="first")
    scripts, digits = pre_tokenizers.UnicodeScripts(), pre_tokenizers.Digits()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([scripts, digits, spaces])
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=list(FAMILIES[name].specials), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([text.replace("\n", " ") for text in _texts()], trainer)
    content = json.loads(tokenizer.to_str())
    pieces = content["model"]["vocab"]
    pieces += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    content["model"]["byte_fallback"] = True
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.pre_tokenizer = spaces
    tokenizer.add_tokens([AddedToken("\n", normalized=False)])
    metaspace = decoders.Replace(_METASPACE, " ")
    tokenizer.decoder = decoders.Sequence(
        [metaspace, decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _bpe_trainer(name: str, alphabet: list[str]) -> Any:
    return trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(FAMILIES[name].specials),
        initial_alphabet=alphabet,
        show_progress=False,
    )


def _add_bytes(vocabulary: dict[str, int]) -> None:
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)


@cache
def _texts() -> list[str]:
    return texts_of(load("train", size=300))
