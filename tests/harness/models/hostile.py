"""Checkpoints that mean no good, or that somebody broke: each a good tiny one with one thing changed.

A case is a function of a folder, given a copy of a tiny Llama (or of an adapter on it), and a word that the
refusal must say; None where the checkpoint is fine after all.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checkpoints import edit_json, edit_weights

Break = Callable[[Path], object]
Cases = dict[str, tuple[Break, str | None]]
MODEL, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
UP = "model.layers.1.mlp.up_proj.weight"
NORM = "model.norm.weight"


def header(name: str, change: Callable[[dict[str, Any]], Any]) -> Break:
    """Changes a safetensors file's header, whose bytes stay as they are; text is taken as it is."""

    def broken(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        [length] = struct.unpack("<Q", raw[:8])
        said = json.loads(raw[8 : 8 + length])
        made = change(said)
        text = made if isinstance(made, str) else json.dumps(said if made is None else made)
        (folder / name).write_bytes(struct.pack("<Q", len(text.encode())) + text.encode() + raw[8 + length :])

    return broken


def tensor(**changes: Any) -> Break:
    return header(MODEL, lambda said: said[NORM].update(changes))


def moved(by: int) -> Break:
    def change(said: dict[str, Any]) -> None:
        said[NORM]["data_offsets"] = [one + by for one in said[NORM]["data_offsets"]]

    return header(MODEL, change)


def length(lie: int) -> Break:
    def broken(folder: Path) -> None:
        raw = (folder / MODEL).read_bytes()
        (folder / MODEL).write_bytes(struct.pack("<Q", lie) + raw[8:])

    return broken


def weights(change: Callable[[dict[str, Any]], Any], name: str = MODEL) -> Break:
    return lambda folder: edit_weights(folder / name, change)


def cast(kind: str, names: Callable[[str], bool] = lambda name: True, file: str = MODEL) -> Break:
    def change(tensors: dict[str, Any]) -> None:
        import torch

        for name in filter(names, list(tensors)):
            tensors[name] = tensors[name].to(getattr(torch, kind))

    return weights(change, file)


def put(name: str, content: str | bytes) -> Break:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw)


def set_in(file: str, **changes: Any) -> Break:
    return lambda folder: edit_json(folder / file, lambda data: data.update(changes))


def config(**changes: Any) -> Break:
    return set_in("config.json", **changes)


def replaced(name: str, make: Callable[[Path], object]) -> Break:
    def broken(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return broken


def backend(change: Callable[[dict[str, Any]], Any]) -> Break:
    return lambda folder: edit_json(folder / "tokenizer.json", change)


def template(text: str) -> Break:
    return put("chat_template.jinja", text)


def sharded(change: Callable[[Path, dict[str, Any]], Any]) -> Break:
    """Splits the weights into two shards, then changes them or their index."""

    def broken(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / MODEL)
        (folder / MODEL).unlink()
        names = sorted(tensors)
        index: dict[str, Any] = {"metadata": {"total_size": 1}, "weight_map": {}}
        for number, part in enumerate((names[::2], names[1::2]), 1):
            file = f"model-0000{number}-of-00002.safetensors"
            save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
            index["weight_map"] |= dict.fromkeys(part, file)
        change(folder, index)
        (folder / INDEX).write_text(json.dumps(index))

    return broken


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def replace_pattern(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def also_in_first(folder: Path, index: dict[str, Any]) -> None:
    import torch

    edit_weights(
        folder / "model-00001-of-00002.safetensors",
        lambda tensors: tensors.update({sorted(index["weight_map"])[1]: torch.zeros(2)}),
    )


ASK = "{{ messages[0].content }}"
LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
WITH_A_WORD = "{% if 'has' in messages[0].content %}"
DOUBLE = "{% set n=namespace(s='a') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}"
FILES: Cases = {
    "header longer than the file": (length(1 << 40), "header"),
    "header of no bytes": (length(0), "header"),
    "header a little short": (length(100), "header"),
    "header a list": (header(MODEL, lambda said: "[]"), "header"),
    "header nested": (header(MODEL, lambda said: nested(90_000)), "header"),
    "header with NaN": (header(MODEL, lambda said: '{"a": NaN}'), "header"),
    "a name twice": (
        header(MODEL, lambda said: json.dumps(said)[:-1] + f', "{NORM}": {json.dumps(said[NORM])}}}'),
        "stands twice",
    ),
    "overlapping": (moved(-4), "begins after another tensor's bytes"),
    "a hole": (moved(+4), "begins after a gap"),
    "offsets beyond the file": (moved(1 << 30), "begins after"),
    "offsets beyond all": (moved(1 << 80), "whole numbers"),
    "negative offsets": (tensor(data_offsets=[-128, 0]), "whole numbers"),
    "offsets that are floats": (tensor(data_offsets=[0.0, 128.0]), "whole numbers"),
    "offsets backwards": (tensor(data_offsets=[128, 0]), "bytes for"),
    "one offset": (tensor(data_offsets=[0]), "header"),
    "no offsets": (header(MODEL, lambda said: said[NORM].pop("data_offsets")), "header"),
    "tensor a number": (header(MODEL, lambda said: said.update({NORM: 5})), "header"),
    "dtype unknown": (tensor(dtype="F12"), "unknown type 'F12'"),
    "dtype a list": (tensor(dtype=["F32"]), "unknown type"),
    "dtype of four bits": (tensor(dtype="F4", shape=[256]), "by config.json"),
    "dtype of six bits": (tensor(dtype="F6_E2M3"), "bytes for"),
    "shape against bytes": (tensor(shape=[33]), "bytes for"),
    "shape that overflows": (tensor(shape=[1 << 40, 1 << 40, 1 << 40]), "bytes for"),
    "shape of nothing and all": (tensor(shape=[0, 1 << 62]), "whole numbers"),
    "shape negative": (tensor(shape=[-32]), "whole numbers"),
    "shape of bools": (tensor(shape=[True, 32]), "whole numbers"),
    "shape a text": (tensor(shape="32"), "whole numbers"),
    "shape transposed": (weights(lambda t: t.update({UP: t[UP].T.contiguous()})), "by config.json"),
    "metadata a number": (header(MODEL, lambda said: said.update(__metadata__={"a": 5})), "__metadata__"),
    "metadata a list": (header(MODEL, lambda said: said.update(__metadata__=[1])), "__metadata__"),
    "metadata null": (header(MODEL, lambda said: said.update(__metadata__=None)), "__metadata__"),
    "metadata missing": (header(MODEL, lambda said: said.pop("__metadata__", None) and None), None),
    "of another framework": (header(MODEL, lambda said: said.update(__metadata__={"format": "tf"})), "'tf'"),
    "bytes behind the end": (lambda f: (f / MODEL).open("ab").write(b"x"), "not a safetensors file"),
    "zeros": (put(MODEL, bytes(4096)), "header"),
    "a link to itself": (replaced(MODEL, lambda path: path.symlink_to(path.name)), "no file"),
    "a folder of that name": (replaced(MODEL, lambda path: path.mkdir()), "no file"),
    "a pipe of that name": (replaced(MODEL, os.mkfifo), "no file"),
    "a pipe for its card": (replaced("README.md", os.mkfifo), "no file"),
    "a pipe for its tokenizer": (replaced("tokenizer.json", os.mkfifo), "no file"),
    "a pipe for its template": (replaced("chat_template.jinja", os.mkfifo), "no file"),
    "a card that is a bomb": (put("README.md", "---\na: &a [x,x]\n" + "b: [*a,*a]\n" * 9 + "---\n"), None),
    "two good shards": (sharded(lambda f, i: None), None),
    "a tensor in two shards": (sharded(also_in_first), "is also in"),
    "an index into other files": (
        sharded(lambda f, i: i["weight_map"].update({NORM: "/etc/passwd"})), "beside",
    ),
    "an index of numbers": (sharded(lambda f, i: i.update(weight_map={NORM: 5})), "weight_map"),
    "an index that mixes up": (
        sharded(lambda f, i: i.update(weight_map=dict.fromkeys(i["weight_map"], i["weight_map"][NORM]))),
        "no shard has",
    ),
    "an index without metadata": (sharded(lambda f, i: i.pop("metadata")), "metadata"),
    "an index of a million bytes": (sharded(lambda f, i: i["metadata"].update(total_size=-1)), None),
    "whole numbers": (cast("int64"), "I64"),
    "one tensor of whole numbers": (cast("int32", lambda name: name == UP), "I32"),
    "true and false": (cast("bool", lambda name: name == NORM), "BOOL"),
    "complex numbers": (cast("complex64", lambda name: name == NORM), "C64"),
    "bytes without scales": (cast("float8_e4m3fn"), "F8_E4M3"),
    "double precision": (cast("float64"), None),
    # Large before the head, so that the sum overflows whatever the hidden state is.
    "numbers that overflow": (
        weights(lambda t: (t[NORM].fill_(1e6), t["lm_head.weight"].fill_(3e38))), "number"
    ),
    "layers that are not used": (config(num_hidden_layers=1), "fewer layers"),
}  # fmt: skip
CONFIG: Cases = {
    "missing": (lambda f: (f / "config.json").unlink(), "config.json"),
    "a list": (put("config.json", "[]"), "keys and values"),
    "nested": (put("config.json", nested(90_000)), "levels"),
    "nested a little": (config(a=json.loads(nested(100))), "levels"),
    "no text": (put("config.json", b"\xff\xfe\x00"), "config.json"),
    "a million layers": (config(num_hidden_layers=10**6), "speaks of more than"),
    "a thousand million layers": (config(num_hidden_layers=10**9), "speaks of more than"),
    "no layers": (config(num_hidden_layers=0), "fewer layers"),
    "negative layers": (config(num_hidden_layers=-1), "config.json"),
    "layers in words": (config(num_hidden_layers="2"), "config.json"),
    "layers as a float": (config(num_hidden_layers=1e9), "config.json"),
    "no width": (config(hidden_size=0), "config.json"),
    "a huge width": (config(hidden_size=1 << 40, head_dim=None), "config.json"),
    "heads that do not divide": (config(num_attention_heads=3), "config.json"),
    "no heads": (config(num_attention_heads=0), "config.json"),
    "a huge vocabulary": (config(vocab_size=10**12), "config.json"),
    "no activation": (config(hidden_act="snake"), "config.json"),
    "a list for the activation": (config(hidden_act=[]), "config.json"),
    "an epsilon of NaN": (config(rms_norm_eps=float("nan")), "NaN"),
    "RoPE of rubbish": (config(rope_parameters={"rope_type": "x"}), "config.json"),
    "RoPE a list": (config(rope_parameters=[1]), "context length"),
    "RoPE of infinity": (config(rope_scaling={"type": "linear", "factor": float("inf")}), "context length"),
    "RoPE theta of NaN": (config(rope_parameters={"rope_theta": float("nan")}), "NaN"),
    "dtype of rubbish": (config(dtype="float99", torch_dtype="float99"), "config.json"),
    "dtype a dict": (config(dtype={"a": 1}, torch_dtype={"a": 1}), "config.json"),
    "model_type a number": (config(model_type=5), "model_type"),
    "model_type missing": (config(model_type=""), "model_type"),
    "architectures a text": (config(architectures="LlamaForCausalLM"), "architectures"),
    "another architecture": (config(model_type="gpt2", architectures=None), "lack 28 tensors"),
    "own code for a known type": (config(auto_map={"AutoModelForCausalLM": "evil.Evil"}), None),
    "encoder and decoder": (config(is_encoder_decoder=True), "is_encoder_decoder"),
    "no room": (config(max_position_embeddings=0), "context"),
    "room in words": (config(max_position_embeddings="long"), "config"),
    "text_config a list": (config(text_config=[1]), "context length"),
    "tied, though it is not": (config(tie_word_embeddings=True), "tie_word_embeddings"),
    "quantised by nobody": (config(quantization_config={"quant_method": "bogus"}), "'bogus'"),
    "quantised in words": (config(quantization_config="int4"), "quantization_config"),
    "quantised, though it is not": (config(quantization_config={"quant_method": "gptq"}), "plain numbers"),
    "generation of rubbish": (put("generation_config.json", "{"), "generation_config.json"),
    "an end in words": (set_in("generation_config.json", eos_token_id="x"), "generation_config.json"),
    "ends of rubbish": (set_in("generation_config.json", eos_token_id=[[1]]), "generation_config.json"),
}  # fmt: skip
TOKENIZER: Cases = {
    "broken": (put("tokenizer.json", "{"), "tokenizer"),
    "a list": (put("tokenizer.json", "[]"), "tokenizer"),
    "nested": (put("tokenizer.json", nested(90_000)), "tokenizer"),
    "config broken": (put("tokenizer_config.json", "{"), "tokenizer"),
    "config a list": (put("tokenizer_config.json", "[]"), "tokenizer"),
    "eos a number": (set_in("tokenizer_config.json", eos_token=5), "token"),
    "eos a list": (set_in("tokenizer_config.json", eos_token=[1]), "token"),
    "eos that it lacks": (set_in("tokenizer_config.json", eos_token="<|end|>"), "258"),
    "no such class": (set_in("tokenizer_config.json", tokenizer_class="Evil"), None),
    "class a number": (set_in("tokenizer_config.json", tokenizer_class=5), "token"),
    "own code": (set_in("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]}), None),
    "auto_map a number": (set_in("tokenizer_config.json", auto_map=5), "token"),
    "a token beyond the embedding": (
        backend(lambda t: t["added_tokens"].append(
            {"id": 5000, "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True})),
        "embedding",
    ),
    "a pattern that tries all": (
        backend(lambda t: t.update(pre_tokenizer={
            "type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False})),
        "tokenizer",
    ),
    "a text that grows": (
        backend(lambda t: t.update(normalizer={
            "type": "Sequence", "normalizers": [replace_pattern("a", "aa") for _ in range(40)]})),
        "tokenizer",
    ),
    "a text that vanishes": (
        backend(lambda t: t.update(normalizer={
            "type": "Replace", "pattern": {"Regex": "."}, "content": ""})),
        "0 tokens",
    ),
    "no vocabulary": (backend(lambda t: t["model"].update(vocab={}, merges=[])), "token"),
    "special tokens of rubbish": (put("special_tokens_map.json", '{"eos_token": 5}'), "eos_token"),
}  # fmt: skip
TEMPLATE: Cases = {
    "loops": (template(LOOP + ASK), "takes more than 0.5 s"),
    "a huge range": (template("{% for i in range(10**9) %}{% endfor %}" + ASK), "Range too big"),
    "a huge text": (template('{{ "a"*10**10 }}' + ASK), "memory"),
    "a large text": (template('{{ "a"*10**7 }}' + ASK), "characters"),
    "a text that doubles": (template(DOUBLE + ASK), "takes more than"),  # of memory, or of time
    "a format that pads": (template("{{ '%9999999999d' % 1 }}" + ASK), "memory"),
    "a macro that calls itself": (template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), "recursion"),
    "looks at Python's insides": (template("{{ ''.__class__.__mro__ }}" + ASK), "unsafe"),
    "runs a command": (template("{{ cycler.__init__.__globals__.os.system('touch ran') }}" + ASK), "unsafe"),
    "refuses": (template("{{ raise_exception('no') }}"), "TemplateError: no"),
    "no template": (template("{% for %}"), "TemplateSyntaxError"),
    "leaves the question out": (template("Hello"), "leaves the question out"),
    "gives nothing": (template("{% if false %}x{% endif %}"), "leaves the question out"),
    "draws lots": (template(ASK + "{{ range(10**5)|random }}"), "another way each time"),
    "half a character": (template(ASK + "{{ '\\ud800' }}"), None),
    "writes the date": (template(ASK + "{{ strftime_now('%Y') }}"), None),
    "a number": (set_in("tokenizer_config.json", chat_template=5), "template"),
    "several, none the default": (
        set_in("tokenizer_config.json", chat_template=[{"name": "x", "template": ASK}]), "default",
    ),
    "several, one the default": (
        set_in("tokenizer_config.json", chat_template=[{"name": "default", "template": ASK}]), None,
    ),
    "several of rubbish": (set_in("tokenizer_config.json", chat_template=[{"a": 1}]), "tokenizer"),
    "loops over a word": (template(WITH_A_WORD + LOOP + "{% endif %}" + ASK), "takes more than 0.5 s"),
}  # fmt: skip


def adapter(**changes: Any) -> Break:
    return set_in("adapter_config.json", **changes)


def lora(change: Callable[[dict[str, Any], str], Any]) -> Break:
    """Changes an adapter's tensors, given the name of the first A."""
    return weights(lambda t: change(t, min(name for name in t if "lora_A" in name)), ADAPTER)


def _tensor(value: Any) -> Any:
    import torch

    return torch.tensor(value)


ADAPTERS: Cases = {
    "as it was": (lambda f: None, None),
    **{
        f"r {value!r}": (adapter(r=value), "r is")
        for value in (0, -1, "4", 4.0, True, None, [4])
    },
    "r huge": (adapter(r=10**9), "by adapter_config.json"),
    "r of another adapter": (adapter(r=8), "by adapter_config.json"),
    "alpha NaN": (adapter(lora_alpha=float("nan")), "lora_alpha"),
    "alpha in words": (adapter(lora_alpha="8"), "lora_alpha"),
    "alpha 0": (adapter(lora_alpha=0), "changes nothing"),
    "targets a number": (adapter(target_modules=5), "target_modules"),
    "no targets": (adapter(target_modules=[]), "target_modules"),
    "targets of numbers": (adapter(target_modules=[1]), "target_modules"),
    "targets that it has not": (adapter(target_modules=["nothing"]), "peft cannot build"),
    "targets that are no pattern": (adapter(target_modules="(("), "peft cannot build"),
    "other targets": (adapter(target_modules=["q_proj"]), "leaves out"),
    "more targets": (adapter(target_modules=["q_proj", "v_proj", "k_proj"]), "lack"),
    "all linear": (adapter(target_modules="all-linear"), "lack"),
    "another task": (adapter(task_type="SEQ_CLS"), "task_type"),
    "task a number": (adapter(task_type=5), "task_type"),
    "another kind": (adapter(peft_type="EVIL"), "peft_type"),
    "kind a list": (adapter(peft_type=[]), "peft_type"),
    "modules_to_save a number": (adapter(modules_to_save=5), "modules_to_save"),
    "modules_to_save that are not there": (adapter(modules_to_save=["lm_head"]), "lack"),
    "rank_pattern a list": (adapter(rank_pattern=[1]), "rank_pattern"),
    "rank_pattern in words": (adapter(rank_pattern={"q_proj": "8"}), "rank_pattern"),
    "rank_pattern of others": (adapter(rank_pattern={"q_proj": 2}), "by adapter_config.json"),
    "alpha_pattern NaN": (adapter(alpha_pattern={"q_proj": float("nan")}), "alpha_pattern"),
    "layers out of range": (adapter(layers_to_transform=[99]), "adapter"),
    "layers in words": (adapter(layers_to_transform="all"), "adapter"),
    "DoRA without magnitude": (adapter(use_dora=True), "lack"),
    "DoRA in words": (adapter(use_dora="yes"), "use_dora"),
    "bias of rubbish": (adapter(bias="some"), "bias"),
    "dropout of rubbish": (adapter(lora_dropout="x"), "adapter"),
    "code of Megatron": (adapter(megatron_config={"a": 1}, megatron_core="evil"), "megatron_config"),
    "a key that nobody knows": (adapter(evil=1), None),
    "config a list": (put("adapter_config.json", "[]"), "keys and values"),
    "config nested": (put("adapter_config.json", nested(90_000)), "levels"),
    "a scalar": (lora(lambda t, a: t.update({a: _tensor(1.0)})), "0 dimensions"),
    "three dimensions": (lora(lambda t, a: t.update({a: t[a][None].clone()})), "3 dimensions"),
    "an empty one": (lora(lambda t, a: t.update({a: t[a][:0].clone()})), "1 of 8 tensors are empty"),
    "A and B of different r": (lora(lambda t, a: t.update({a: t[a][:2].clone()})), "by adapter_config.json"),
    "A without B": (lora(lambda t, a: t.pop(a.replace("lora_A", "lora_B"))), "lack"),
    "nothing at all": (lora(lambda t, a: t.clear()), "no tensor"),
    "a tensor for no module": (
        lora(lambda t, a: t.update({a.replace("layers.0", "layers.9"): t[a].clone()})), "it has no",
    ),
    "NaN": (lora(lambda t, a: t[a].fill_(float("nan"))), "NaN"),
    "infinity": (lora(lambda t, a: t[a].fill_(float("inf"))), "NaN or infinity"),
    "whole numbers": (cast("int32", file=ADAPTER), "I32"),
    "of bytes": (cast("float8_e5m2", file=ADAPTER), "F8_E5M2"),
    "base itself": (adapter(base_model_name_or_path="."), "base"),
    "base a number": (adapter(base_model_name_or_path=5), "names no base"),
    "base a list": (adapter(base_model_name_or_path=["x"]), "names no base"),
    "base with a NUL": (adapter(base_model_name_or_path="a\0b"), "names no base"),
    "base of a long name": (adapter(base_model_name_or_path="x" * 5000), "base"),
    "base of an unknown user": (adapter(base_model_name_or_path="~nobody-here/x"), "base"),
}  # fmt: skip
