"""Checkpoints made elsewhere: what is taken, and what is refused with one line."""

import json
import shutil
from pathlib import Path

import pytest

from harness.intake import locate_model, merged, whole_model, with_adapter
from tasks.errors import InputError


def test_an_adapter_is_merged_into_its_base(
    foreign_gpt2: Path, foreign_adapter: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.arange(5, 15)[None]
    base = AutoModelForCausalLM.from_pretrained(foreign_gpt2)
    without = base(input_ids=ids).logits
    expected = PeftModel.from_pretrained(base, foreign_adapter)(input_ids=ids).logits
    with merged(with_adapter(whole_model(foreign_gpt2), foreign_adapter), tmp_path) as folder:
        found = AutoModelForCausalLM.from_pretrained(folder())(input_ids=ids).logits
        assert (folder() / "tokenizer.json").is_file()
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, without, atol=1e-2)
    assert not any(tmp_path.iterdir())


def test_an_adapter_that_changes_nothing_is_refused(foreign_gpt2: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(foreign_gpt2)
    untrained = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", target_modules=["c_attn"]))
    untrained.save_pretrained(tmp_path / "untrained")
    checkpoint = with_adapter(whole_model(foreign_gpt2), tmp_path / "untrained")
    with (
        merged(checkpoint, tmp_path / "scratch") as folder,
        pytest.raises(InputError, match="changes nothing"),
    ):
        folder()


def test_an_adapter_of_another_base_is_refused(
    tiny_base: Path, foreign_adapter: Path, tmp_path: Path
) -> None:
    checkpoint = with_adapter(whole_model(tiny_base), foreign_adapter)
    with merged(checkpoint, tmp_path) as folder, pytest.raises(InputError, match="does not fit"):
        folder()


def test_weights_that_are_pickled_are_refused(foreign_gpt2: Path, tmp_path: Path) -> None:
    import torch

    folder = tmp_path / "pickled"
    folder.mkdir()
    shutil.copy(foreign_gpt2 / "config.json", folder)
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no \.safetensors"):
        whole_model(folder)


def test_an_adapter_named_as_a_model_is_told_apart(foreign_adapter: Path) -> None:
    with pytest.raises(InputError, match="--adapter"):
        locate_model(str(foreign_adapter))


@pytest.mark.parametrize("name", ["./missing", "/no/such/model", "no_such_org/no_such_model"])
def test_a_model_that_is_nowhere_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError) as caught:
        locate_model(name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_digest_follows_weights_tokenizer_and_adapter(
    foreign_gpt2: Path, foreign_adapter: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(foreign_gpt2, copy)
    base = whole_model(foreign_gpt2)
    assert whole_model(copy).digest == base.digest
    assert with_adapter(base, foreign_adapter).digest != base.digest
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["added_tokens"][0]["content"] = "<other>"
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert whole_model(copy).digest != base.digest
