"""Each method of fine-tuning trains what it should, is saved as what it is, and goes on in a second stage."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import V, equal_states, state_of, tiny_model, train

from sftkey_train.corpus import Corpus
from sftkey_train.model import load_base, load_for_training
from sftkey_train.settings import TrainSettings, check_method
from sftkey_train.spans import encode
from sftkey_train.stages import StageNode
from sftkey_train.stored import save_stage
from sftkey_train.text import TextPath
from tasks.errors import InputError
from tasks.records import Record
from tasks.tags import get_tag_format

NodeOf = Callable[..., StageNode]
IDS = torch.arange(12)[None]
every_adapter = pytest.mark.parametrize("method", ["lora", "dora", "rslora"])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, path: TextPath) -> Path:
    """A base model on disk, with room for the tokenizer's vocabulary."""
    folder = tmp_path_factory.mktemp("base")
    tiny_model(len(path.tokenizer), initializer_range=0.3).save_pretrained(folder)
    return folder


def with_method(settings: TrainSettings, method: str) -> TrainSettings:
    return replace(settings, method=method, lora_rank=2, lora_alpha=6, lora_dropout=0.1)


def logits_of(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


@every_adapter
def test_an_adapter_trains_and_the_base_under_it_stays(
    method: str, base: Path, tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    settings = with_method(settings, method)
    model = load_for_training(str(base), None, settings)
    before, frozen = state_of(model), {n for n, p in model.named_parameters() if not p.requires_grad}
    assert torch.allclose(logits_of(model), logits_of(load_base(str(base))), atol=1e-4)
    after, result = train(tagged, node_of("sft-tag", settings), model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert moved == trained
    assert all("lora_" in name for name in moved)
    assert {name.rpartition(".base_layer.")[0] for name in frozen if "proj" in name} == {
        name.partition(".lora_")[0] for name in moved
    }
    assert len(frozen) == len(load_base(str(base)).state_dict())
    assert not torch.allclose(logits_of(model), logits_of(load_base(str(base))), atol=1e-4)
    assert result.history[-1].loss > 0


@every_adapter
def test_an_adapter_is_saved_as_one_and_a_second_stage_goes_on_with_it(
    method: str,
    base: Path,
    tagged: Corpus,
    node_of: NodeOf,
    settings: TrainSettings,
    path: TextPath,
    tmp_path: Path,
) -> None:
    settings = with_method(settings, method)
    model = load_for_training(str(base), None, settings)
    first, _ = train(tagged, node_of("sft-tag", settings), model)
    save_stage(model, path.tokenizer, tmp_path / "first", {}, [])
    config = json.loads((tmp_path / "first" / "adapter_config.json").read_text())
    assert (config["use_dora"], config["use_rslora"]) == (method == "dora", method == "rslora")
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (2, 6, 0.1)
    assert (tmp_path / "first" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "first" / "model.safetensors").exists()

    again = load_for_training(str(base), tmp_path / "first", settings)
    assert equal_states(state_of(again), first)
    assert torch.equal(logits_of(again), logits_of(model))
    trained = {name for name, parameter in again.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    second, _ = train(tagged, node_of("sftkey-tag", settings), again)
    assert {name for name in first if not torch.equal(first[name], second[name])} == trained
    save_stage(again, path.tokenizer, tmp_path / "second", {}, [])
    from peft import PeftModel

    loaded = PeftModel.from_pretrained(load_base(str(base)), tmp_path / "second")
    assert torch.equal(logits_of(loaded), logits_of(again))


def test_the_scale_of_rslora_is_its_own(base: Path, settings: TrainSettings) -> None:
    """alpha / √r in the place of alpha / r (arXiv 2312.03732)."""
    scales = {}
    for method in ("lora", "rslora"):
        model = load_for_training(str(base), None, with_method(settings, method))
        scales[method] = model.base_model.model.model.layers[0].mlp.up_proj.scaling["default"]
    assert scales == {"lora": 3.0, "rslora": pytest.approx(6 / 2**0.5)}


def test_full_fine_tuning_moves_every_weight(
    base: Path, corpus: Corpus, node_of: NodeOf, settings: TrainSettings, path: TextPath, tmp_path: Path
) -> None:
    model = load_for_training(str(base), None, settings)
    before = state_of(model)
    after, _ = train(corpus, node_of("sft-tag", settings, data=corpus), model)
    assert not [name for name in before if torch.equal(before[name], after[name])]
    save_stage(model, path.tokenizer, tmp_path / "c", {}, [])
    assert equal_states(state_of(load_for_training(str(base), tmp_path / "c", settings)), after)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_frozen_weights_stay_frozen(
    method: str, base: Path, tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    settings = with_method(settings, method)
    model = load_for_training(str(base), None, settings)
    frozen = [name for name, _ in model.named_parameters() if "mlp" in name or "lm_head" in name]
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)
    before = state_of(model)
    after, _ = train(tagged, node_of("sft-tag", settings), model)
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not equal_states(before, after)


@pytest.mark.skipif(torch.cuda.is_available(), reason="here there is what qlora needs")
def test_qlora_without_cuda_is_one_clear_line(base: Path, settings: TrainSettings) -> None:
    for refused in (
        lambda: check_method("qlora"),
        lambda: load_for_training(str(base), None, with_method(settings, "qlora")),
    ):
        with pytest.raises(
            InputError, match="qlora needs a CUDA GPU for its 4-bit base; use lora here"
        ) as raised:
            refused()
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("method", ["full", "lora", "dora", "rslora"])
def test_the_other_methods_need_nothing(method: str) -> None:
    check_method(method)


def test_tags_may_be_tokens_of_the_vocabulary(
    base: Path, records: list[Record], node_of: NodeOf, settings: TrainSettings, tmp_path: Path
) -> None:
    """The embeddings grow, the new ones are trained, saved, and there for the second stage."""
    from tiny import train_tokenizer

    settings = replace(settings, tag_tokens=True)
    tokenizer = train_tokenizer("byte-level")
    old_size = len(tokenizer)
    tags = ["<Thinking>", "</Thinking>", "<Answer>", "</Answer>"]
    tokenizer.add_tokens(tags)
    path = TextPath.of(tokenizer)
    corpus = encode(records, get_tag_format("thinking-answer"), path, 512)
    assert set(corpus.ids_N[corpus.segments_N == 1]) >= set(range(old_size, old_size + 2))

    model = load_for_training(str(base), None, settings, len(tokenizer))
    assert model.get_input_embeddings().num_embeddings == old_size + 4 == model.config.vocab_size
    before = state_of(model)
    old = load_base(str(base)).state_dict()["model.embed_tokens.weight"]
    assert torch.equal(before["model.embed_tokens.weight"][:old_size], old)
    after, _ = train(corpus, node_of("sft-tag", settings, data=corpus), model)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert (after[name][old_size:] != before[name][old_size:]).any(dim=1).all()
    save_stage(model, tokenizer, tmp_path / "c", {}, [])
    again = load_for_training(str(base), tmp_path / "c", settings, len(tokenizer))
    assert equal_states(state_of(again), after)


def test_a_vocabulary_with_room_is_left_alone(base: Path, settings: TrainSettings) -> None:
    """Many models have more embeddings than their tokenizer has tokens."""
    model = load_for_training(str(base), None, settings, V)
    assert equal_states(state_of(model), load_base(str(base)).state_dict())
