"""Configurations that must give the same numbers, and faults that must be loud."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import corpus_of, equal_states, largest_difference, state_of, tiny_model

from sftkey_train import trainer as trainer_module
from sftkey_train.objectives import OBJECTIVES
from sftkey_train.settings import TrainSettings
from sftkey_train.spans import Corpus
from sftkey_train.stages import StageNode
from sftkey_train.trainer import SpanTrainer, StageResult, train_stage
from sftkey_train.variants import SEGMENTS
from tasks.errors import InputError

NodeOf = Callable[..., StageNode]
State = dict[str, torch.Tensor]
V = 50


def train(corpus: Corpus, node: StageNode, settings: TrainSettings, model=None) -> tuple[State, StageResult]:
    """Weights after training a fresh model, and the result."""
    model = model or tiny_model(max(V, int(corpus.ids_N.max()) + 1))
    result = train_stage(model, corpus, node, settings, lambda metrics: None)
    return state_of(model), result


def random_corpus(lengths: list[tuple[int, int, int]], *, seed: int = 0) -> Corpus:
    """Examples from (prompt, thinking, answer) lengths, each with an end."""
    rng = np.random.default_rng(seed)
    examples = []
    for num_prompt, num_thinking, num_answer in lengths:
        names = ["prompt"] * num_prompt + ["thinking"] * num_thinking + ["answer"] * num_answer + ["end"]
        examples.append((rng.integers(0, V, len(names)).tolist(), names))
    return corpus_of(examples)


def with_weights(node: StageNode, **weights: float) -> StageNode:
    by_segment = tuple(float(weights.get(name, 0)) for name in SEGMENTS)
    return replace(node, stage=replace(node.stage, weights=by_segment))


@pytest.mark.parametrize("micro", [1, 4])
@pytest.mark.parametrize("variant", ["sft-tag", "key-tag"])
def test_accumulation_changes_nothing(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings, variant: str, micro: int
) -> None:
    """24 examples in batches of 10: the last batch is short, and so is its last micro-batch."""
    settings = replace(settings, batch_size=8 if micro == 4 else 10, epochs=2)
    node = node_of(variant, settings)
    whole, result = train(corpus, node, settings)
    parts, accumulated = train(corpus, node, replace(settings, micro_batch_size=micro))
    assert largest_difference(whole, parts) < 1e-4
    assert largest_difference(whole, state_of(tiny_model(whole["lm_head.weight"].shape[0]))) > 1e-2
    assert accumulated.history[-1].loss == pytest.approx(result.history[-1].loss, rel=1e-4)
    assert accumulated.tokens_forward == result.tokens_forward


def test_accumulation_changes_nothing_for_a_model_that_takes_no_loss_arguments(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    """Transformers divides the loss of such a model by the number of micro-batches."""
    node, losses = node_of("sft-tag", settings), []
    for micro in (None, 2):
        model = tiny_model(600)
        model.accepts_loss_kwargs = False
        _, result = train(corpus, node, replace(settings, micro_batch_size=micro, log_every=1), model)
        losses.append(result.history[0].loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_micro_batch_that_does_not_divide_the_batch_is_refused(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    with pytest.raises(InputError, match=r"batch_size \(8\) is no multiple of train.micro_batch_size \(3\)"):
        train(corpus, node_of("sft", settings), replace(settings, micro_batch_size=3))


def test_a_longer_neighbour_changes_no_loss(
    node_of: NodeOf, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The losses of an example are the same alone and padded to a longer one's length."""
    short, both = random_corpus([(3, 4, 2)]), random_corpus([(3, 4, 2), (9, 20, 5)])
    seen: list[torch.Tensor] = []

    def recording(logits_NV: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
        seen.append(losses_N := OBJECTIVES["original"](logits_NV, targets_N))
        return losses_N

    monkeypatch.setitem(OBJECTIVES, "original", OBJECTIVES["cross-entropy"])
    monkeypatch.setitem(OBJECTIVES, "cross-entropy", recording)
    for corpus in (short, both):
        train(corpus, node_of("sft", replace(settings, epochs=1), data=corpus), settings)
    alone, padded = (losses.detach() for losses in seen)
    assert len(alone) == 7
    torch.testing.assert_close(padded[:7], alone, rtol=1e-5, atol=1e-6)


def test_the_seed_decides_all(corpus: Corpus, node_of: NodeOf, settings: TrainSettings) -> None:
    first, _ = train(corpus, node_of("sft-tag", settings), settings)
    again, _ = train(corpus, node_of("sft-tag", settings), settings)
    other, _ = train(corpus, node_of("sft-tag", settings, seed=2), settings)
    assert equal_states(first, again)
    assert not equal_states(first, other)


def test_the_loss_is_divided_by_the_weight_of_the_step(node_of: NodeOf, settings: TrainSettings) -> None:
    """Σ wₜ·ℓₜ / Σ wₜ over all micro-batches, by the definition, with weights 1 and 3 and uneven examples."""
    corpus = random_corpus([(2, 9, 1), (3, 1, 4), (4, 3, 2), (1, 6, 1)])
    settings = replace(settings, batch_size=4, micro_batch_size=2)
    node = with_weights(node_of("sft", settings, data=corpus), thinking=1, answer=3)
    model = tiny_model(V)
    total = weight = 0.0
    for index in range(len(corpus)):
        ids = torch.from_numpy(corpus[index]["input_ids"])
        log_probs = model(input_ids=ids[None]).logits[0].detach().double().log_softmax(-1)
        for position, segment in enumerate(corpus[index]["segments"]):
            w = node.stage.weights[segment]
            total -= w * float(log_probs[position - 1, ids[position]]) if w else 0
            weight += w
    _, result = train(corpus, node, settings)
    assert result.history[0].loss == pytest.approx(total / weight, rel=1e-5)


def test_only_the_ratio_of_weights_matters(node_of: NodeOf, settings: TrainSettings) -> None:
    corpus = random_corpus([(2, 9, 1), (3, 1, 4), (4, 3, 2), (1, 6, 1)])
    node = node_of("sft", settings, data=corpus)
    light, _ = train(corpus, with_weights(node, thinking=1, answer=3), settings)
    heavy, _ = train(corpus, with_weights(node, thinking=2, answer=6), settings)
    even, _ = train(corpus, with_weights(node, thinking=1, answer=1), settings)
    assert largest_difference(light, heavy) < 1e-6
    assert largest_difference(light, even) > 1e-4


def test_a_target_without_weight_is_not_learnt_but_still_read(
    node_of: NodeOf, settings: TrainSettings
) -> None:
    """One step with weight on the answer alone: the token 4, read after 1, 2 and 3."""
    start = state_of(tiny_model(V))

    def change(ids: list[int]) -> State:
        corpus = corpus_of([(ids, ["prompt", "thinking", "thinking", "answer", "end"])] * 8)
        node = with_weights(node_of("sft", settings, data=corpus), answer=1)
        after, _ = train(corpus, node, settings)
        return {name: after[name] - start[name] for name in start}

    changes = change([1, 2, 3, 4, 5])
    # The head learns towards the answer, and away from thinking and end as from any token that never comes.
    towards = torch.sign(changes["lm_head.weight"])
    assert torch.equal(towards[4], -towards[10])
    for token in (2, 3, 5):
        assert torch.equal(towards[token], towards[10])
    # The thinking is read: gradients reach its embeddings, not those of what was not in the context.
    read = changes["model.embed_tokens.weight"].abs().sum(dim=1)
    assert min(read[token] for token in (1, 2, 3)) > 10 * max(read[token] for token in (4, 5, 10))
    assert largest_difference(changes, change([1, 2, 3, 4, 9])) == 0
    assert largest_difference(changes, change([1, 2, 9, 4, 5])) > 0


@pytest.mark.parametrize("log_every", [1, 3, 100])
def test_a_loss_that_is_not_a_number_stops_the_stage(
    corpus: Corpus,
    node_of: NodeOf,
    settings: TrainSettings,
    monkeypatch: pytest.MonkeyPatch,
    log_every: int,
) -> None:
    """Also where it first appears after a good step, which transformers would hide behind an average."""
    calls = iter(range(99))

    def breaks(logits_NV: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
        return logits_NV.sum(dim=1) * (float("nan") if next(calls) == 1 else 0.0)

    monkeypatch.setitem(OBJECTIVES, "cross-entropy", breaks)
    with pytest.raises(FloatingPointError, match=r"sft-tag · sft · seed 1: the loss is nan at step \d"):
        train(corpus, node_of("sft-tag", settings), replace(settings, log_every=log_every))


@pytest.mark.parametrize("log_every", [1, 2, 100])
@pytest.mark.parametrize("variant", ["sft-tag", "key-tag"])
def test_the_history_ends_with_the_last_step_and_has_both_losses(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings, variant: str, log_every: int
) -> None:
    node, shown = node_of(variant, settings), []
    result = train_stage(tiny_model(600), corpus, node, replace(settings, log_every=log_every), shown.append)
    steps = [metrics.step for metrics in result.history]
    assert steps == sorted({*range(log_every, node.num_steps + 1, log_every), node.num_steps})
    assert tuple(shown) == result.history
    for metrics in result.history:
        assert 0 < metrics.loss_thinking < 20
        assert 0 < metrics.loss_answer < 20
        assert metrics.num_steps == node.num_steps == 3
    assert result.history[-1].tokens == result.tokens_forward


@pytest.mark.parametrize("method", ["full", "lora with dropout"])
def test_how_often_one_looks_changes_nothing(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings, method: str
) -> None:
    """`log_every` is not part of a stage's key, so it must not be part of its weights."""
    node, states = node_of("key-tag", settings), []
    for log_every in (1, 100):
        model = tiny_model(600)
        if method != "full":
            from peft import LoraConfig, get_peft_model

            lora = LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", r=2, lora_dropout=0.3)
            model = get_peft_model(model, lora)
        states.append(train(corpus, node, replace(settings, log_every=log_every), model)[0])
    assert equal_states(*states)


@pytest.mark.parametrize("variant", ["sft-tag", "key-tag"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_the_tokens_counted_are_those_of_the_plan(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings, variant: str, epochs: int
) -> None:
    settings = replace(settings, epochs=epochs, batch_size=10)
    node = node_of(variant, settings)
    state, result = train(corpus, node, settings)
    assert (result.tokens_forward, result.tokens_loss) == (node.tokens_forward, node.tokens_loss)
    assert node.tokens_forward == epochs * len(corpus.ids_N)
    num_parameters = sum(tensor.numel() for tensor in state.values())
    assert result.flops == 6 * num_parameters * result.tokens_forward


def batches_seen(
    corpus: Corpus, node: StageNode, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> list[list[list[int]]]:
    seen: list[list[list[int]]] = []
    with monkeypatch.context() as patch:
        own = SpanTrainer.compute_loss

        def recording(self, model, inputs, *args, **kwargs):
            seen.append(inputs["input_ids"].tolist())
            return own(self, model, inputs, *args, **kwargs)

        patch.setattr(SpanTrainer, "compute_loss", recording)
        train(corpus, node, settings)
    return seen


def test_each_epoch_has_an_order_of_its_own(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, epochs=2, batch_size=4)
    seen = batches_seen(corpus, node_of("sft-tag", settings), settings, monkeypatch)
    first, second = seen[:6], seen[6:]
    assert len(second) == 6
    assert first != second
    examples = [
        sorted([token for token in row if token] for batch in epoch for row in batch)  # 0 is the padding
        for epoch in (first, second)
    ]
    assert examples[0] == examples[1]


def test_the_control_sees_the_batches_of_the_key_stage(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, second_epochs=2)
    key, control = (
        batches_seen(corpus, node_of(name, settings), settings, monkeypatch)
        for name in ("sftkey-tag", "sft-tag-x2")
    )
    assert len(key) == 6
    assert key == control


def test_the_learning_rate_warms_up_and_falls(
    corpus: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    settings = replace(settings, epochs=4, batch_size=6, warmup_epochs=1, log_every=1)
    node = node_of("sft-tag", settings)
    assert (node.num_steps, node.warmup_steps) == (16, 4)
    _, result = train(corpus, node, settings)
    rates = [metrics.learning_rate / settings.learning_rate for metrics in result.history]
    assert rates[:5] == pytest.approx([0, 1 / 4, 2 / 4, 3 / 4, 1])
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_one_process_trains_on_one_device(settings: TrainSettings, node_of: NodeOf, tmp_path: Path) -> None:
    arguments = trainer_module._arguments(node_of("sft", settings), settings, tmp_path)
    assert arguments.n_gpu <= 1
    assert arguments.train_batch_size * arguments.gradient_accumulation_steps == settings.batch_size
