"""A trained stage is an ordinary folder that other tools load, whole or not there at all."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny import lora_model, tiny_model, train_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from sftkey_train.stored import (
    HISTORY,
    MANIFEST,
    StageCost,
    StepMetrics,
    read_cost,
    read_history,
    read_manifest,
    save_stage,
    weights_digest,
)
from sftkey_train.text import TextPath
from tasks.errors import InputError

IDS = torch.arange(12)[None]
STAGE = {"base": "tiny", "stage": {"name": "sft"}}


def line_of(step: int, loss: float = 0.5) -> StepMetrics:
    return StepMetrics(step, 9, loss, 0.1, 0.2, 0.3, 1e-3, 77, 1.5)


def save(directory: Path, path: TextPath, model=None, history=()) -> Path:
    save_stage(model or tiny_model(len(path.tokenizer)), path.tokenizer, directory, STAGE, history)
    return directory


def test_transformers_loads_it_and_computes_the_same(tmp_path: Path, path: TextPath) -> None:
    model = tiny_model(len(path.tokenizer)).eval()
    model.config.use_cache = False
    folder = save(tmp_path / "c", path, model)
    loaded = AutoModelForCausalLM.from_pretrained(folder).eval()
    assert torch.equal(loaded(IDS).logits, model(IDS).logits)
    assert loaded.config.use_cache
    text = "Question: 2 + 3?\n🙂"
    assert AutoTokenizer.from_pretrained(folder)(text).input_ids == path.tokenizer(text).input_ids


def test_peft_loads_an_adapter_and_computes_the_same(tmp_path: Path, path: TextPath) -> None:
    from peft import PeftModel

    base = tiny_model(len(path.tokenizer))
    base.save_pretrained(tmp_path / "base")
    plain = base.eval()(IDS).logits
    model = lora_model(AutoModelForCausalLM.from_pretrained(tmp_path / "base")).eval()
    folder = save(tmp_path / "adapter", path, model)
    assert not (folder / "model.safetensors").exists()
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), folder).eval()
    assert torch.equal(loaded(IDS).logits, model(IDS).logits)
    assert not torch.allclose(plain, model(IDS).logits)


def test_it_says_what_it_was_made_from_and_how_it_went(tmp_path: Path, path: TextPath) -> None:
    folder = save(tmp_path / "deep" / "c", path, history=[line_of(1), line_of(2)])
    assert read_manifest(folder) == {**STAGE, "weights_digest": weights_digest(folder)}
    lines = (folder / HISTORY).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["c"]


def test_the_history_is_read_as_it_was_written(tmp_path: Path, path: TextPath) -> None:
    """A loss that was not measured is null on disk, because JSON has no NaN, and not-a-number when read."""
    history = [line_of(1, 0.1 + 0.2), line_of(2, float("nan"))]
    folder = save(tmp_path / "c", path, history=history)
    assert '"loss": null' in (folder / HISTORY).read_text()
    assert str(read_history(folder)) == str(history)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"step": 1}'])
def test_a_damaged_history_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / HISTORY).write_text(content)
    with pytest.raises(InputError, match="no readable history; delete the folder and run again"):
        read_history(tmp_path)


def test_where_another_process_was_faster_its_folder_stays(tmp_path: Path, path: TextPath) -> None:
    folder = save(tmp_path / "c", path)
    before = (folder / MANIFEST).stat().st_mtime_ns
    save(folder, path, tiny_model(len(path.tokenizer), seed=9))
    assert (folder / MANIFEST).stat().st_mtime_ns == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


def test_a_place_that_cannot_be_filled_is_an_error(tmp_path: Path, path: TextPath) -> None:
    (tmp_path / "place").write_text("a file")
    with pytest.raises(OSError, match="place"):
        save(tmp_path / "place", path)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_damaged_manifest_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(InputError, match="delete the folder and run again"):
        read_manifest(tmp_path)


def test_the_cost_is_read_as_it_was_written(tmp_path: Path, path: TextPath) -> None:
    cost = StageCost(3, 77, 33, 1e9 / 3, 0.1 + 0.2)
    save_stage(tiny_model(len(path.tokenizer)), path.tokenizer, tmp_path / "c", STAGE, [], cost)
    assert read_cost(tmp_path / "c") == cost
    assert list(read_manifest(tmp_path / "c")) == [*STAGE, "cost", "weights_digest"]


@pytest.mark.parametrize("content", ["{}", '{"cost": 3}', '{"cost": {"steps": 1}}'])
def test_a_manifest_without_a_cost_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(InputError, match="no cost; delete the folder and run again"):
        read_cost(tmp_path)


def test_a_folder_without_safetensors_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.safetensors weights"):
        weights_digest(tmp_path)


def test_the_digest_changes_with_what_decides_the_output(tmp_path: Path, path: TextPath) -> None:
    folder = save(tmp_path / "same", path)
    other_weight = tiny_model(len(path.tokenizer))
    other_weight.lm_head.weight.data[0, 0] += 1e-3
    other_eos = train_tokenizer("byte-level")
    other_eos.eos_token = "<|end|>"
    digests = [
        weights_digest(folder),
        weights_digest(save(tmp_path / "weight", path, other_weight)),
        weights_digest(save(tmp_path / "tokenizer", TextPath.of(train_tokenizer("gpt2")))),
        weights_digest(save(tmp_path / "eos", TextPath.of(other_eos))),
        weights_digest(save(tmp_path / "shape", path, tiny_model(len(path.tokenizer), rope_theta=5e5))),
    ]
    assert len(set(digests)) == len(digests)
    assert weights_digest(save(tmp_path / "again", path)) == digests[0]


def test_the_digest_of_an_adapter_changes_with_its_scale(tmp_path: Path, path: TextPath) -> None:
    digests = [
        weights_digest(save(tmp_path / f"a{alpha}", path, lora_model(tiny_model(600), lora_alpha=alpha)))
        for alpha in (4, 8)
    ]
    assert digests[0] != digests[1]


def test_the_digest_stays_when_folders_move(tmp_path: Path, path: TextPath) -> None:
    digests = set()
    for place in ("here", "there"):
        base = save(tmp_path / place / "base", path)
        adapter = lora_model(AutoModelForCausalLM.from_pretrained(base))
        tokenizer = TextPath.of(AutoTokenizer.from_pretrained(base))
        folder = save(tmp_path / place / "adapter", tokenizer, adapter)
        shutil.copytree(base, tmp_path / place / "copy")
        assert weights_digest(tmp_path / place / "copy") == weights_digest(base)
        digests.add((weights_digest(base), weights_digest(folder)))
    assert len(digests) == 1
