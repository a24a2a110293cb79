"""Checkpoints made elsewhere: what is taken, and what is refused with one line before any engine starts."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoints import (
    CHAT_TEMPLATE,
    FAMILIES,
    copied,
    edit_json,
    edit_weights,
    save_adapter,
    save_model,
    save_tokenizer,
)

from harness.models.adapters import joined
from harness.models.architecture import check_context, context_length
from harness.models.checkpoint import merged, whole_model, with_adapter
from harness.models.locate import base_of, locate_base, locate_model, split_revision
from tasks.errors import InputError

Break = Callable[[Path], object]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A model of a family, or `sharded`; made once."""
    root = tmp_path_factory.mktemp("made")

    def make(family: str) -> Path:
        folder = root / family
        if not folder.is_dir():
            save_model(
                folder, "llama" if family == "sharded" else family, shards=3 if family == "sharded" else 1
            )
        return folder

    return make


@pytest.fixture(scope="session")
def adapters(made: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """An adapter on a model of a family; made once for each kind."""
    root = tmp_path_factory.mktemp("adapters")

    def make(family: str = "llama", **changes: object) -> Path:
        folder = root / f"{family}-{'-'.join(changes)}"
        return folder if folder.is_dir() else save_adapter(folder, made(family), **changes)

    return make


def refusal(take: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        take()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is taken


@pytest.mark.parametrize("family", [*FAMILIES, "sharded"])
def test_a_model_of_a_known_family_is_taken_as_transformers_saves_it(
    family: str, made: Callable[[str], Path]
) -> None:
    checkpoint = whole_model(made(family))
    assert len(checkpoint.digest) == 64
    assert checkpoint.adapter_dir is None


def test_bfloat16_and_a_padded_embedding_are_fine(tmp_path: Path) -> None:
    import torch

    whole_model(save_model(tmp_path / "m", rows=320, dtype=torch.bfloat16))


@pytest.mark.parametrize("kind", ["lora", "use_dora", "use_rslora"])
def test_an_adapter_is_merged_into_its_base(
    kind: str, made: Callable[[str], Path], adapters: Callable[..., Path], tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base_dir, adapter = made("qwen3"), adapters("qwen3", **({} if kind == "lora" else {kind: True}))
    ids = torch.arange(5, 15)[None]
    base = AutoModelForCausalLM.from_pretrained(base_dir)
    without = base(input_ids=ids).logits
    expected = PeftModel.from_pretrained(base, adapter)(input_ids=ids).logits
    with merged(with_adapter(whole_model(base_dir), adapter), tmp_path / "scratch") as folder:
        found = AutoModelForCausalLM.from_pretrained(folder())(input_ids=ids).logits
        assert (folder() / "tokenizer.json").is_file()
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, without, atol=1e-2)
    assert not any((tmp_path / "scratch").iterdir())


TIED: dict[str, tuple[dict[str, object], bool]] = {
    "LoRA on the head": ({"target_modules": ["lm_head", "q_proj"]}, False),
    "LoRA on the embedding": ({"target_modules": ["embed_tokens"]}, False),
    "LoRA on both": ({"target_modules": ["embed_tokens", "lm_head"]}, False),
    "one LoRA for both": ({"target_modules": ["embed_tokens"], "ensure_weight_tying": True}, True),
    "DoRA on the head": ({"target_modules": ["lm_head"], "use_dora": True}, False),
    "a pattern that reaches the head": ({"target_modules": ".*(lm_head|v_proj)"}, False),
    "a head of its own": ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, False),
    "an embedding of its own": ({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}, False),
    "tokens": ({"target_modules": ["q_proj"], "trainable_token_indices": [5, 6, 90]}, True),
    "tokens of the head": (
        {"target_modules": ["q_proj"], "trainable_token_indices": {"lm_head": [5, 6, 90]}}, False,
    ),
    "the layers alone": ({"target_modules": ["q_proj", "down_proj"]}, True),
}  # fmt: skip
"""What is trained on a base whose head is its embedding -> how, and whether they are one when merged."""


@pytest.mark.parametrize("what", TIED)
def test_an_adapter_on_a_tied_base_says_merged_what_it_says_unmerged(what: str, tmp_path: Path) -> None:
    """peft issue 2018: what is merged into the head would change the embedding too."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    shape, tied = TIED[what]
    base = save_model(tmp_path / "base", tie_word_embeddings=True, initializer_range=0.3)
    adapter = save_adapter(tmp_path / "adapter", base, std=0.5, **shape)
    ids = torch.arange(5, 17).reshape(4, 3)
    how = {"do_sample": False, "max_new_tokens": 8, "pad_token_id": 1}
    unmerged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
    with merged(with_adapter(whole_model(base), adapter), tmp_path / "scratch") as folder:
        found = AutoModelForCausalLM.from_pretrained(folder())
    assert found.config.tie_word_embeddings is tied
    assert torch.allclose(found(ids).logits, unmerged(input_ids=ids).logits, atol=1e-3)
    assert torch.equal(found.generate(ids, **how), unmerged.generate(input_ids=ids, **how))


def test_an_adapter_that_says_something_else_when_it_is_merged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = save_model(tmp_path / "base", tie_word_embeddings=True, initializer_range=0.3)
    adapter = save_adapter(tmp_path / "adapter", base, target_modules=["lm_head"])
    monkeypatch.setattr("harness.models.adapters._merged", lambda adapted, _: adapted.merge_and_unload())
    line = refusal(lambda: joined(base, adapter))
    assert "merged, it differs from PEFT's own unmerged: logits by up to" in line
    assert "% of the likeliest tokens are the same" in line


def test_an_adapter_with_tokens_of_its_own_brings_tokenizer_and_embedding(
    made: Callable[[str], Path], tmp_path: Path
) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = tmp_path / "adapter"
    size = save_tokenizer(adapter, extra=["<think>", "</think>"], chat_template=CHAT_TEMPLATE)
    model = AutoModelForCausalLM.from_pretrained(made("llama"))
    model.resize_token_embeddings(size)
    trained = ["embed_tokens", "lm_head"]
    lora = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=trained, init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(adapter)
    checkpoint = with_adapter(whole_model(made("llama")), adapter)
    assert checkpoint.tokenizer_dir == adapter
    with merged(checkpoint, tmp_path / "scratch") as folder:
        assert AutoModelForCausalLM.from_pretrained(folder()).get_input_embeddings().num_embeddings == size
        tokenizer = AutoTokenizer.from_pretrained(folder())
        assert len(tokenizer("<think>", add_special_tokens=False)["input_ids"]) == 1
        assert tokenizer.chat_template == CHAT_TEMPLATE
        assert torch.isfinite(
            AutoModelForCausalLM.from_pretrained(folder())(torch.tensor([[size - 1]])).logits
        ).all()


GROWN: dict[str, tuple[list[str], bool, str | None]] = {
    "the embedding alone": (["embed_tokens"], False, "[260, 0] rows of ['model.embed_tokens.weight', "),
    "the head alone": (["lm_head"], False, "[0, 260] rows of "),
    "both": (["embed_tokens", "lm_head"], False, None),
    "the embedding, on a tied base": (["embed_tokens"], True, "[260, 0] rows of "),
    "both, on a tied base": (["embed_tokens", "lm_head"], True, None),
}
"""What an adapter holds whole, and larger than its base -> whether that is tied, and why it is refused."""


@pytest.mark.parametrize("what", GROWN)
def test_rows_that_only_training_had_are_not_made_up(what: str, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    held, tied, why = GROWN[what]
    base, adapter = save_model(tmp_path / "base", tie_word_embeddings=tied), tmp_path / "adapter"
    model = AutoModelForCausalLM.from_pretrained(base)
    model.resize_token_embeddings(save_tokenizer(adapter, extra=["<think>", "</think>"]))
    lora = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=held, init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(adapter, save_embedding_layers=False)
    edit_weights(  # peft keeps more of what has grown than it was told to
        adapter / "adapter_model.safetensors",
        lambda tensors: [
            tensors.pop(name)
            for name in list(tensors)
            if "original_module" in name or not {"layers", *held} & set(name.split("."))
        ],
    )
    if why:
        line = refusal(lambda: with_adapter(whole_model(base), adapter))
        assert f"has {why}" in line
        assert "its base 258" in line
        return
    ids = torch.tensor([[5, 258, 259]])
    one, other = (joined(base, adapter)[0](ids).logits for _ in range(2))
    assert torch.equal(one, other)
    with_adapter(whole_model(base), adapter)


def test_an_adapter_is_looked_at_on_the_cpu_also_where_there_is_a_gpu(
    made: Callable[[str], Path], adapters: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in a fork, and a fork of a process that has trained on the GPU cannot use it."""
    import torch

    adapter, base = adapters(), made("llama")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # here nothing can be put there
    assert joined(base, adapter)[0].device == torch.device("cpu")


def test_a_folder_with_whole_weights_and_an_adapter_is_taken_as_the_whole_model(
    made: Callable[[str], Path], adapters: Callable[..., Path], tmp_path: Path
) -> None:
    """transformers alone would load the adapter onto its base, and vLLM all files there are."""
    from sftkey_train.model import load_base

    both = copied(made("llama"), tmp_path / "both")
    for file in adapters().iterdir():
        shutil.copy(file, both)
    taken = locate_model(str(both))
    assert taken.name == "both"
    assert whole_model(taken).digest == whole_model(made("llama")).digest
    assert not list(taken.glob("adapter*"))
    assert load_base(str(taken)).num_parameters() == load_base(str(made("llama"))).num_parameters()


def test_a_second_copy_of_the_weights_in_another_form_is_left_out(
    made: Callable[[str], Path], tmp_path: Path
) -> None:
    both = copied(made("sharded"), tmp_path / "both")
    shutil.copy(made("llama") / "model.safetensors", both / "consolidated.safetensors")
    assert whole_model(locate_model(str(both))).digest == whole_model(made("sharded")).digest


def test_the_digest_follows_weights_tokenizer_and_adapter(
    made: Callable[[str], Path], adapters: Callable[..., Path], tmp_path: Path
) -> None:
    base, copy = whole_model(made("gpt2")), copied(made("gpt2"), tmp_path / "copy")
    assert whole_model(copy).digest == base.digest
    assert with_adapter(base, adapters("gpt2")).digest != base.digest
    edit_json(copy / "tokenizer_config.json", lambda config: config.update(clean_up_tokenization_spaces=True))
    assert whole_model(copy).digest != base.digest


def test_what_has_been_looked_at_is_not_read_again(
    made: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import harness.models.checkpoint as module

    copy = copied(made("llama"), tmp_path / "copy")
    digest = whole_model(copy).digest
    read: list[Path] = []
    own = module.weights_digest
    monkeypatch.setattr(module, "weights_digest", lambda folder: (read.append(folder), own(folder))[1])
    assert whole_model(copy).digest == digest
    assert not read
    stat = (copy / "model.safetensors").stat()
    edit_weights(copy / "model.safetensors", lambda tensors: tensors["lm_head.weight"].add_(1))
    os.utime(copy / "model.safetensors", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert whole_model(copy).digest != digest, "also where the time of writing was set back"


# What is refused: the whole model


def _weights(change: Callable[[dict], object]) -> Break:
    return lambda folder: edit_weights(folder / "model.safetensors", change)


def _config(**changes: object) -> Break:
    return lambda folder: edit_json(folder / "config.json", lambda config: config.update(changes))


def _truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _pickle(folder: Path) -> None:
    import torch

    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def _put(name: str, content: bytes | str) -> Break:
    return lambda folder: (folder / name).write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def _poison(value: float) -> Break:
    return _weights(lambda tensors: tensors["model.norm.weight"].__setitem__(7, value))


def _no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def _foreign_tokenizer(folder: Path) -> None:
    _no_tokenizer(folder)
    config = {"auto_map": {"AutoTokenizer": ["tok.Own", None]}, "tokenizer_class": "Own"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _slow_tokenizer(folder: Path) -> None:
    from transformers import ByT5Tokenizer

    _no_tokenizer(folder)
    ByT5Tokenizer(extra_ids=0).save_pretrained(folder)


REFUSED: dict[str, tuple[Break, list[str]]] = {
    "pickled weights": (_pickle, ["pytorch_model.bin", "run code", "convert"]),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), ["no .safetensors weights"]),
    "remote code": (
        _config(model_type="my_own", auto_map={"AutoModelForCausalLM": "own.Own"}, architectures=["Own"]),
        ["my_own", "auto_map", "never run"],
    ),
    "unknown architecture": (_config(model_type="lama"), ["'lama'", "did you mean 'llama'?"]),
    "no causal model": (_config(model_type="t5", architectures=["T5Model"]), ["T5Model", "no causal"]),
    "a classifier": (
        _config(architectures=["LlamaForSequenceClassification"]),
        ["LlamaForSequenceClassification is no causal language model"],
    ),
    "a config that is no JSON": (_put("config.json", "{"), ["config.json: cannot be read"]),
    "a config that builds nothing": (_config(hidden_size="wide"), ["cannot build"]),
    "truncated weights": (_truncate, ["model.safetensors", "truncated", "again"]),
    "an empty file": (_put("model.safetensors", b""), ["0 bytes", "header"]),
    "a header of rubbish": (_put("model.safetensors", b"\x08" + 7 * b"\0" + b"not json"), ["header"]),
    "a Git LFS pointer": (
        _put("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        ["git lfs pull"],
    ),
    "a missing tensor": (
        _weights(lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight")),
        ["lack 1 tensors", "model.layers.1.mlp.up_proj.weight"],
    ),
    "an empty tensor": (
        _weights(lambda tensors: tensors.update({"lm_head.weight": tensors["lm_head.weight"][:0]})),
        ["1 of 21 tensors are empty, such as lm_head.weight of shape [0, 32]", "zero_to_fp32.py"],
    ),
    "nothing but empty tensors": (
        _weights(lambda tensors: tensors.update({name: one.new_empty(0) for name, one in tensors.items()})),
        ["21 of 21 tensors are empty", "ZeRO-3", "stage3_gather_16bit_weights_on_model_save"],
    ),
    "a tensor without dimensions": (
        _weights(lambda tensors: tensors.update({"lm_head.weight": tensors["lm_head.weight"][0, 0].clone()})),
        ["lm_head.weight has the shape []", "ZeRO-3"],
    ),
    "weights of another shape": (_config(intermediate_size=64), ["mlp", "[48, 32]", "[64, 32]"]),
    "no tokenizer": (_no_tokenizer, ["no tokenizer"]),
    "a tokenizer without a fast form": (_slow_tokenizer, ["fast tokenizer"]),
    "a tokenizer with code of its own": (
        _foreign_tokenizer,
        ["tokenizer_config.json", "auto_map", "never run"],
    ),
    "no end of sequence": (lambda f: save_tokenizer(f, eos_token=None), ["no end-of-sequence token"]),
    "a tokenizer larger than the embedding": (
        lambda f: save_tokenizer(f, extra=["<think>"]),
        ["up to 258 ('<think>')", "258 rows"],
    ),
    "NaN": (_poison(float("nan")), ["model.norm.weight holds NaN or infinity"]),
    "infinity": (_poison(float("-inf")), ["model.norm.weight holds NaN or infinity"]),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused_with_one_line(what: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    broken, expected = REFUSED[what]
    folder = copied(made("llama"), tmp_path / "broken")
    broken(folder)
    line = refusal(lambda: whole_model(folder))
    assert str(folder) in line
    for text in expected:
        assert text in line


def _drop_shard(folder: Path) -> None:
    sorted(folder.glob("*.safetensors"))[1].unlink()


def _drop_from_shard(folder: Path) -> None:
    edit_weights(sorted(folder.glob("*.safetensors"))[0], lambda tensors: tensors.popitem())


SHARDS: dict[str, tuple[Break, list[str]]] = {
    "a missing shard": (_drop_shard, ["names 4 shards, 3 are there", "model-00002-of-00004.safetensors"]),
    "a missing index": (lambda f: next(f.glob("*.index.json")).unlink(), ["no model.safetensors.index"]),
    "a shard that lacks a tensor": (_drop_from_shard, ["names 1 tensors that no shard has"]),
    "an index of rubbish": (_put("model.safetensors.index.json", "[]"), ["no readable index"]),
    "an index that leaves the folder": (
        _put("model.safetensors.index.json", '{"weight_map": {"a": "../../etc/x.safetensors"}}'),
        ["must lie beside it"],
    ),
    "shards beside a whole": (
        lambda f: shutil.copy(sorted(f.glob("*.safetensors"))[0], f / "model.safetensors"),
        ["both model.safetensors and shards"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SHARDS)
def test_shards_are_refused_with_one_line(what: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    broken, expected = SHARDS[what]
    folder = copied(made("sharded"), tmp_path / "broken")
    broken(folder)
    line = refusal(lambda: whole_model(folder))
    for text in expected:
        assert text in line


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
)
def test_what_is_not_finite_is_found_in_every_type_of_number(dtype: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from harness.models.shards import check_finite

    kind = getattr(torch, dtype)
    values = torch.linspace(-200, 200, 5001).to(kind)
    values[0], values[1] = torch.finfo(kind).max, torch.finfo(kind).min
    save_file({"a": values, "counts": torch.tensor([2**31 - 1, -1])}, tmp_path / "model.safetensors")
    check_finite(tmp_path)
    spoiled = values.clone().float()
    spoiled[-1] = float("nan")
    save_file({"a": values, "b": spoiled.to(kind)}, tmp_path / "model.safetensors")
    assert "b holds NaN" in refusal(lambda: check_finite(tmp_path))


def test_weights_are_read_in_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    import torch
    from safetensors.torch import save_file

    from harness.models.shards import check_finite

    save_file({"a": torch.ones(2**24)}, tmp_path / "model.safetensors")  # 64 MiB
    tracemalloc.start()
    check_finite(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20


# What is refused: adapters


def _truncate_adapter(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def _adapter_config(**changes: object) -> Break:
    return lambda folder: edit_json(folder / "adapter_config.json", lambda config: config.update(changes))


ADAPTERS: dict[str, tuple[Break, list[str]]] = {
    "another kind of adapter": (_adapter_config(peft_type="PREFIX_TUNING"), ["PREFIX_TUNING", "LoRA"]),
    "pickled weights": (
        lambda f: (f / "adapter_model.safetensors").rename(f / "adapter_model.bin"),
        ["adapter_model.bin", "pickled"],
    ),
    "truncated weights": (_truncate_adapter, ["truncated"]),
    "NaN": (
        lambda f: edit_weights(
            f / "adapter_model.safetensors", lambda tensors: next(iter(tensors.values())).fill_(float("nan"))
        ),
        ["NaN"],
    ),
    "an empty matrix": (
        lambda f: edit_weights(
            f / "adapter_model.safetensors",
            lambda tensors: tensors.update({name: one[:0].clone() for name, one in tensors.items()}),
        ),
        ["tensors are empty", "ZeRO-3"],
    ),
    "a tokenizer with more tokens": (lambda f: save_tokenizer(f, extra=["<think>"]), ["<think>", "258 rows"]),
}  # fmt: skip


@pytest.mark.parametrize("what", ADAPTERS)
def test_an_adapter_is_refused_with_one_line(
    what: str, made: Callable[[str], Path], adapters: Callable[..., Path], tmp_path: Path
) -> None:
    broken, expected = ADAPTERS[what]
    folder = copied(adapters(), tmp_path / "broken")
    broken(folder)
    line = refusal(lambda: with_adapter(whole_model(made("llama")), folder))
    for text in expected:
        assert text in line


def test_an_adapter_of_another_base_is_refused(
    made: Callable[[str], Path], adapters: Callable[..., Path], tmp_path: Path
) -> None:
    wider = save_model(tmp_path / "wider", "llama", intermediate_size=64)
    line = refusal(lambda: with_adapter(whole_model(wider), adapters()))
    assert "does not fit" in line
    assert "64 wide, where the adapter's is 48" in line
    assert str(made("llama")) in line, "it names the base that it was trained on"
    assert "it has no " in refusal(lambda: with_adapter(whole_model(made("gpt2")), adapters()))


def test_an_adapter_that_changes_nothing_is_refused(
    made: Callable[[str], Path], adapters: Callable[..., Path]
) -> None:
    untrained = adapters("llama", init_lora_weights=True)
    assert "changes nothing" in refusal(lambda: with_adapter(whole_model(made("llama")), untrained))


def test_an_adapter_named_as_a_model_is_told_apart(adapters: Callable[..., Path]) -> None:
    assert "--adapter" in refusal(lambda: locate_model(str(adapters())))


# Where a base is found


def test_the_base_is_found_where_the_adapter_says_and_the_user_may_say_otherwise(
    made: Callable[[str], Path], adapters: Callable[..., Path], tmp_path: Path
) -> None:
    assert locate_base(adapters(), None) == (made("llama"), "llama")
    moved = copied(adapters(), tmp_path / "run" / "adapter")
    copied(made("llama"), tmp_path / "run" / "base")
    edit_json(moved / "adapter_config.json", lambda config: config.update(base_model_name_or_path="base"))
    assert locate_base(moved, None)[0] == tmp_path / "run" / "base", "a folder beside the adapter"
    edit_json(moved / "adapter_config.json", lambda config: config.update(base_model_name_or_path="/gone"))
    assert "/gone: no such folder; name it with --base" in refusal(lambda: locate_base(moved, None))
    assert locate_base(moved, str(made("llama")))[0] == made("llama")
    edit_json(moved / "adapter_config.json", lambda config: config.pop("base_model_name_or_path"))
    assert "names no base" in refusal(lambda: locate_base(moved, None))


def test_the_revision_that_an_adapter_was_trained_on_is_kept(
    adapters: Callable[..., Path], tmp_path: Path
) -> None:
    copy = copied(adapters(), tmp_path / "copy")
    _adapter_config(base_model_name_or_path="org/model", revision="abc")(copy)
    assert base_of(copy) == "org/model@abc"


def test_a_revision_is_pinned_behind_an_at_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert split_revision("org/model@v1") == ("org/model", "v1")
    assert split_revision("org/model") == ("org/model", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine@home").mkdir()
    assert split_revision("mine@home") == ("mine@home", None), "a folder may be called so"


@pytest.mark.parametrize("name", ["./missing", "/no/such/model", "no_such_org/no_such_model", "org/x@main"])
def test_a_model_that_is_nowhere_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert name in refusal(lambda: locate_model(name))


# How long a prompt may be


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"n_positions": 1024, "n_ctx": 1024}, 1024),
        ({"max_position_embeddings": 4096, "sliding_window": 512}, 4096),
        ({"max_position_embeddings": 2048, "rope_scaling": {"type": "linear", "factor": 4.0}}, 8192),
        ({"max_position_embeddings": 2048, "rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, 4096),
        ({"max_position_embeddings": 32768, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, 32768),
        (
            {
                "max_position_embeddings": 8192,
                "rope_parameters": {
                    "full_attention": {"rope_type": "linear", "factor": 8.0},
                    "sliding_attention": {"rope_type": "default"},
                },
            },
            65536,
        ),
        ({"text_config": {"max_position_embeddings": 4096}}, 4096),
        ({"model_type": "mamba"}, None),
    ],
)
def test_the_context_is_what_config_json_says(config: dict, expected: int | None) -> None:
    assert context_length(config) == expected


def test_a_context_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 100}))
    check_context(tmp_path, 100)
    assert "context of 100 tokens is too short" in refusal(lambda: check_context(tmp_path, 101))
    assert "max_model_len" in refusal(lambda: check_context(tmp_path, 60, max_model_len=50))
