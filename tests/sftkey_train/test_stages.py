"""Stages are shared where they are the same, and only there."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny import equal_states, records_of, state_of, tiny_model

from sftkey_train.checkpoint import save_checkpoint
from sftkey_train.model import load_for_training
from sftkey_train.settings import TrainSettings
from sftkey_train.spans import Corpus, encode
from sftkey_train.stages import StageGraph, StageNode, build_graph
from sftkey_train.text import TextPath
from sftkey_train.trainer import train_stage
from sftkey_train.variants import SEGMENTS, load_variant
from tasks.records import Record
from tasks.tags import get_tag_format

TAGGED = ("sft-tag", "sftkey-tag", "sft-tag-x2", "key-tag")


def graph_of(corpus: Corpus, settings: TrainSettings, *, names=TAGGED, seeds=(1,), base="base") -> StageGraph:
    variants = [load_variant(name) for name in names]
    return build_graph(variants, seeds, settings, base, {"t": corpus}, dict.fromkeys(names, "t"))


def key_of(corpus: Corpus, settings: TrainSettings, **changes) -> str:
    graph = graph_of(corpus, settings, names=("sftkey-tag",), **changes)
    return next(iter(graph.chains.values()))[-1]


def test_variants_that_begin_alike_share_their_first_stage(corpus: Corpus, settings: TrainSettings) -> None:
    graph = graph_of(corpus, settings, seeds=(1, 2))
    first = {name: graph.chains[name, 1][0] for name in TAGGED}
    assert first["sft-tag"] == first["sftkey-tag"] == first["sft-tag-x2"] != first["key-tag"]
    assert graph.nodes[first["sft-tag"]].variants == ("sft-tag", "sftkey-tag", "sft-tag-x2")
    assert len(graph.nodes) == 2 * 4
    assert graph.chains["sft-tag", 1] != graph.chains["sft-tag", 2]


def test_parents_come_before_children(corpus: Corpus, settings: TrainSettings) -> None:
    done: set[str | None] = {None}
    for key, node in graph_of(corpus, settings).nodes.items():
        assert node.parent in done
        assert node.key == key
        done.add(key)


@pytest.mark.parametrize("second_epochs", [0.4, 1, 2.5])
def test_the_control_has_the_steps_tokens_and_rate_of_the_key_stage(
    corpus: Corpus, settings: TrainSettings, second_epochs: float
) -> None:
    graph = graph_of(corpus, replace(settings, second_epochs=second_epochs, epochs=3))
    key, control = (graph.nodes[graph.chains[name, 1][1]] for name in ("sftkey-tag", "sft-tag-x2"))
    for field in ("num_steps", "warmup_steps", "tokens_forward", "learning_rate", "parent", "seed", "tags"):
        assert getattr(key, field) == getattr(control, field)
    assert key.learning_rate == settings.second_learning_rate
    assert key.tokens_loss < control.tokens_loss
    assert key.key != control.key


def test_the_budget_of_a_stage(corpus: Corpus, settings: TrainSettings) -> None:
    settings = replace(settings, batch_size=10, epochs=2, warmup_epochs=0.5)
    node = next(iter(graph_of(corpus, settings, names=("key-tag",)).nodes.values()))
    by_segment = corpus.tokens_by_segment()
    assert (node.num_steps, node.warmup_steps) == (6, 2)
    assert node.tokens_forward == 2 * len(corpus.ids_N)
    assert node.tokens_loss == 2 * sum(by_segment[name] for name in ("answer_tag", "answer", "end"))
    tiny = next(iter(graph_of(corpus, replace(settings, epochs=0.01), names=("key-tag",)).nodes.values()))
    assert (tiny.num_steps, tiny.warmup_steps) == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.02}, {"second_learning_rate": 0.02}, {"epochs": 2}, {"second_epochs": 2},
        {"batch_size": 4}, {"micro_batch_size": 2}, {"warmup_epochs": 0.1}, {"schedule": "cosine"},
        {"weight_decay": 0.0}, {"max_grad_norm": 2.0}, {"method": "lora"}, {"lora_rank": 4},
        {"lora_alpha": 4}, {"lora_dropout": 0.1},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_setting_that_decides_weights_decides_the_key(
    corpus: Corpus, settings: TrainSettings, change: dict[str, object]
) -> None:
    assert key_of(corpus, settings) != key_of(corpus, replace(settings, **change))


def test_whatever_else_decides_weights_decides_the_key(
    corpus: Corpus, settings: TrainSettings, records: list[Record], paths: dict[str, TextPath]
) -> None:
    def encoded(data: list[Record], tags: str = "thinking-answer", kind: str = "byte-level") -> Corpus:
        return encode(data, get_tag_format(tags), paths[kind], 512)

    weights = replace(load_variant("sft-tag").stages[0], weights=(0, 1, 1, 1, 2, 1))
    heavier = replace(load_variant("sft-tag"), stages=(weights,))
    keys = [
        key_of(corpus, settings),
        key_of(corpus, settings, base="another"),
        key_of(corpus, settings, seeds=(2,)),
        key_of(encoded(records[:-1]), settings),
        key_of(encoded(records[::-1]), settings),
        key_of(encoded(records, "think-answer"), settings),
        key_of(encoded(records, kind="gpt2"), settings),
        graph_of(corpus, settings).chains["sft-tag", 1][0],
        next(iter(build_graph([heavier], [1], settings, "base", {"t": corpus}, {"sft-tag": "t"}).nodes)),
    ]
    assert len(set(keys)) == len(keys)


def test_a_moved_segment_border_decides_the_key(corpus: Corpus, settings: TrainSettings) -> None:
    segments_N = corpus.segments_N.copy()
    segments_N[segments_N == SEGMENTS.index("answer_tag")] = SEGMENTS.index("answer")
    assert key_of(corpus, settings) != key_of(replace(corpus, segments_N=segments_N), settings)


def test_names_and_logging_do_not_decide_the_key(corpus: Corpus, settings: TrainSettings) -> None:
    assert key_of(corpus, settings) == key_of(corpus, replace(settings, log_every=1))
    variant = load_variant("sftkey-tag")
    stages = tuple(replace(stage, name=f"{stage.name}-2") for stage in variant.stages)
    renamed = replace(variant, name="other", description="x", source="y", stages=stages)
    graph = build_graph([renamed], [1], settings, "base", {"u": corpus}, {"other": "u"})
    assert graph.chains["other", 1][-1] == key_of(corpus, settings)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_shared_stage_is_a_separate_stage(
    tmp_path: Path, path: TextPath, settings: TrainSettings, method: str
) -> None:
    """`sftkey-tag` alone and after `sft-tag` and the control come to the same weights, bit for bit."""
    from transformers import set_seed

    corpus = encode(records_of(16), get_tag_format("thinking-answer"), path, 512)
    settings = replace(settings, method=method, lora_rank=2)
    tiny_model(len(path.tokenizer)).save_pretrained(tmp_path / "base")

    def train(node: StageNode, store: Path) -> dict:
        set_seed(node.seed)
        parent = store / node.parent if node.parent else None
        model = load_for_training(str(tmp_path / "base"), parent, settings)
        train_stage(model, corpus, node, settings, lambda metrics: None)
        save_checkpoint(model, path.tokenizer, store / node.key, {}, [])
        return state_of(model)

    shared = {
        key: train(node, tmp_path / "shared")
        for key, node in graph_of(corpus, settings, names=TAGGED[:3]).nodes.items()
    }
    alone = graph_of(corpus, settings, names=("sftkey-tag",))
    for key, node in alone.nodes.items():
        assert equal_states(train(node, tmp_path / "alone"), shared[key])
    first, second = alone.chains["sftkey-tag", 1]
    assert not equal_states(shared[first], shared[second])
