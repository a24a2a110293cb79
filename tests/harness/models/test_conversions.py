"""Weights in other forms: GGUF is de-quantised, and names that a wrapper has changed are their own again."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoints import copied, edit_json, edit_weights, save_adapter, save_model

from harness.models.checkpoint import merged, whole_model, with_adapter
from harness.models.conversions import origin
from harness.models.inspection import Question, find_folders, inspect
from harness.models.locate import locate, locate_model, model_name
from tasks.errors import InputError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def refusal(take: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        take()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_gguf(path: Path, leave_out: str = "nothing") -> Path:
    """A llama of one layer whose matrices are of the kind Q4_1, with a byte-level tokenizer."""
    import gguf
    import numpy as np
    from tokenizers import pre_tokenizers

    tokens = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab"]
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in {
        "name": "tiny", "context_length": 512, "embedding_length": 64, "block_count": 1, "head_count": 2,
        "feed_forward_length": 96, "head_count_kv": 2, "layer_norm_rms_eps": 1e-5, "rope_dimension_count": 32,
        "vocab_size": len(tokens), "file_type": gguf.LlamaFileType.MOSTLY_Q4_1,
        "tokenizer_model": "gpt2", "token_list": tokens, "token_merges": ["a b"],
        "token_types": [3, 3, *[1] * 257], "bos_token_id": 0, "eos_token_id": 1,
    }.items():  # fmt: skip
        getattr(writer, f"add_{key}")(value)
    numbers = np.random.default_rng(0)
    for name, shape in {
        "token_embd": (len(tokens), 64), "output_norm": (64,), "output": (len(tokens), 64),
        **{f"blk.0.{name}": (64, 64) for name in ("attn_q", "attn_k", "attn_v", "attn_output")},
        "blk.0.ffn_gate": (96, 64), "blk.0.ffn_up": (96, 64), "blk.0.ffn_down": (64, 96),
        "blk.0.attn_norm": (64,), "blk.0.ffn_norm": (64,),
    }.items():  # fmt: skip
        values = numbers.standard_normal(shape).astype(np.float32) / 8
        kind = gguf.GGMLQuantizationType.Q4_1 if len(shape) == 2 else gguf.GGMLQuantizationType.F32
        if name != leave_out:
            writer.add_tensor(f"{name}.weight", gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_is_taken_by_its_name_or_its_folder_s_and_says_from_what(tmp_path: Path) -> None:
    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    folder = tmp_path / "gguf"
    folder.mkdir()
    file = write_gguf(folder / "tiny.Q4_1.gguf")
    taken = locate_model(str(file))
    assert taken == locate_model(str(folder)), "made once"
    assert model_name(str(file), taken) == "tiny.Q4_1"
    assert origin(taken) == "de-quantised from Q4_1"
    [stored] = [one for one in gguf.GGUFReader(file).tensors if one.name == "blk.0.ffn_up.weight"]
    expected = gguf.dequantize(stored.data, stored.tensor_type)
    found = load_file(taken / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]
    assert np.array_equal(found, expected)
    whole_model(taken)
    seen = inspect(find_folders(str(file)), Question())
    assert not seen.refused
    assert any("de-quantised from Q4_1, in eval too" in line for line in seen.warnings)


def _counts(tensors: int, values: int) -> Callable[[bytes], bytes]:
    """Says in the header that there are so many."""
    return lambda content: content[:8] + struct.pack("<QQ", tensors, values) + content[24:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda content: b"",
    "a truncated header": lambda content: content[:300],
    "truncated weights": lambda content: content[:-2000],
    "another kind of file": lambda content: b"GGML" + content[4:],
    "more tensors than there are": _counts(1 << 60, 20),
    "more values than there are": _counts(12, 1 << 60),
    "layers without end": lambda content: content.replace(
        b"llama.block_count\x04\0\0\0\x01\0\0\0", b"llama.block_count\x04\0\0\0\xff\xff\xff\x7f"
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_gguf_is_one_line(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.models.conversions._SECONDS", 4)
    file = write_gguf(tmp_path / "tiny.gguf")
    content = file.read_bytes()
    file.write_bytes(DAMAGES[what](content))
    assert file.read_bytes() != content
    line = refusal(lambda: locate(str(file)))
    assert str(file) in line
    assert "cannot be de-quantised" in line
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_what_a_gguf_lacks_is_said_and_not_filled_in(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", leave_out="blk.0.ffn_down")
    assert "lacks 1 tensors, such as model.layers.0.mlp.down_proj.weight" in refusal(
        lambda: locate(str(file))
    )


def test_of_several_gguf_files_one_must_be_named(tmp_path: Path) -> None:
    for name in ("a.Q4_0.gguf", "a.Q8_0.gguf"):
        (tmp_path / name).touch()
    assert "2 GGUF files; name one, such as" in refusal(lambda: locate(str(tmp_path)))
    assert "nor to be had from the Hub" in refusal(lambda: locate("org/model@v1:a.Q4_0.gguf"))


WRAPPED: dict[str, Callable[[str], str]] = {
    "torch.compile": lambda name: f"_orig_mod.{name}",
    "data parallelism": lambda name: f"module.{name}",
    "both": lambda name: f"module._orig_mod.{name}",
    "both, the other way round": lambda name: f"_orig_mod.module.{name}",
    "each layer compiled": lambda name: name.replace(".0.", ".0._orig_mod.").replace(".1.", ".1._orig_mod."),
    "FSDP": lambda name: name.replace("model.", "_fsdp_wrapped_module.model._fsdp_wrapped_module.", 1),
}


def _renamed(rename: Callable[[str], str]) -> Callable[[dict], object]:
    def change(tensors: dict) -> None:
        for name in list(tensors):
            tensors[rename(name)] = tensors.pop(name)

    return change


@pytest.mark.parametrize("what", WRAPPED)
@pytest.mark.parametrize("shards", [1, 3])
def test_names_that_a_wrapper_has_changed_are_their_own_again(what: str, shards: int, tmp_path: Path) -> None:
    own = save_model(tmp_path / "own", shards=shards)
    folder = copied(own, tmp_path / "wrapped")
    for file in folder.glob("*.safetensors"):
        edit_weights(file, _renamed(WRAPPED[what]))
    if shards > 1:
        edit_json(
            folder / "model.safetensors.index.json",
            lambda index: _renamed(WRAPPED[what])(index["weight_map"]),
        )
    refusal(lambda: whole_model(folder))
    taken = locate_model(str(folder))
    assert taken.name == "wrapped"
    assert whole_model(taken).digest == whole_model(own).digest
    assert any(
        "before weights' names" in line for line in inspect(find_folders(str(folder)), Question()).warnings
    )


def test_an_adapter_of_a_compiled_model_is_taken(tmp_path: Path) -> None:
    base = save_model(tmp_path / "base")
    own = save_adapter(tmp_path / "own", base)
    folder = copied(own, tmp_path / "compiled")
    rename = _renamed(lambda name: name.replace("base_model.model.", "base_model.model._orig_mod."))
    edit_weights(folder / "adapter_model.safetensors", rename)
    taken = with_adapter(whole_model(base), folder)
    assert taken.digest == with_adapter(whole_model(base), own).digest
    with merged(taken, tmp_path / "scratch") as made:
        assert (made() / "model.safetensors").is_file()


def test_names_that_would_meet_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "both")
    edit_weights(
        folder / "model.safetensors",
        lambda tensors: tensors.update({"_orig_mod.lm_head.weight": tensors["lm_head.weight"] + 1}),
    )
    line = refusal(lambda: locate_model(str(folder)))
    assert "holds _orig_mod.lm_head.weight and lm_head.weight" in line
