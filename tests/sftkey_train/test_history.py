"""What is shown of a step is what a naive look at the same step gives."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tiny import V, lora_model, state_of, tiny_model, train, with_settings

from sftkey_train.batches import BatchOrder
from sftkey_train.corpus import Corpus
from sftkey_train.loss import SegmentLosses
from sftkey_train.objectives import OBJECTIVES, Tokens
from sftkey_train.references import Lagging
from sftkey_train.segments import GROUPS, SEGMENTS
from sftkey_train.settings import TrainSettings
from sftkey_train.stages import StageNode

NodeOf = Callable[..., StageNode]
State = dict[str, torch.Tensor]


def examples_of(corpus: Corpus, node: StageNode, step: int) -> list[int]:
    """Examples of a step of the stage, counted from 0."""
    order = BatchOrder(corpus.lengths_E, node.settings.batch_size, node.seed)
    (batch,) = order.batches(node.first_step + step, 1)
    return batch.tolist()


def cross_entropies(
    model: torch.nn.Module, corpus: Corpus, examples: list[int]
) -> list[tuple[int, torch.Tensor]]:
    """(segment, −log p) of each predicted token of the examples, one after another."""
    found = []
    for index in examples:
        ids, segments = corpus[index].values()
        log_probs_TV = model(input_ids=torch.from_numpy(ids)[None], use_cache=False).logits[0].log_softmax(-1)
        found += [(int(segments[t]), -log_probs_TV[t - 1, int(ids[t])]) for t in range(1, len(ids))]
    return found


def mean_of(losses: list[tuple[int, torch.Tensor]], group: str) -> float:
    members = [loss.item() for segment, loss in losses if SEGMENTS[segment] in GROUPS[group]]
    return sum(members) / len(members)


def states_before_each_step(corpus: Corpus, node: StageNode, model: torch.nn.Module) -> list[State]:
    """Weights before each step and after the last."""
    states = [state_of(model)]
    node = with_settings(node, log_every=1)
    train(corpus, node, model, on_step=lambda _: states.append(state_of(model)))
    return states


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("variant", ["sft-tag", "key-tag", "dft", "prompt-loss-weight"])
def test_losses_of_the_parts_are_means_over_the_whole_step(
    variant: str, packing: bool, tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    """All micro-batches together, tokens without loss too, cross-entropy whatever the objective."""
    node = node_of(variant, replace(settings, epochs=2, micro_batch_size=2, packing=packing, log_every=3))
    states = states_before_each_step(tagged, node, tiny_model(V, initializer_range=0.3))
    model = tiny_model(V, initializer_range=0.3)
    _, result = train(tagged, node, model)
    assert [line.step for line in result.history] == [3, 6]
    for line in result.history:
        model.load_state_dict(states[line.step - 1])
        losses = cross_entropies(model, tagged, examples_of(tagged, node, line.step - 1))
        for group in GROUPS:
            assert getattr(line, f"loss_{group}") == pytest.approx(mean_of(losses, group), rel=1e-4)


def test_a_part_that_a_step_lacks_has_no_loss() -> None:
    losses = SegmentLosses()
    losses.add(torch.tensor([[-1.0, -3.0, 0.0]]), torch.tensor([[4, 4, -1]]))
    losses.add(torch.tensor([[-5.0]]), torch.tensor([[4]]))
    means = losses.means(lambda sums_G2: sums_G2)
    assert means["loss_answer"] == 3
    assert str(means["loss_thinking"]) == str(means["loss_tags"]) == "nan"


def naive_norms(model: torch.nn.Module, corpus: Corpus, node: StageNode, step: int) -> dict[str, float]:
    """Norm of the gradient of each group's part of the step's loss, and of the whole, by autograd."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    losses = cross_entropies(model, corpus, examples_of(corpus, node, step))
    weights = node.stage.weights
    total = sum(weights[segment] for segment, _ in losses)
    norms = {}
    for name, members in {**GROUPS, "all": SEGMENTS}.items():
        part = [weights[segment] * loss for segment, loss in losses if SEGMENTS[segment] in members]
        grads = torch.autograd.grad(sum(part) / total, trained, retain_graph=True, materialize_grads=True)
        norms[name] = float(torch.cat([grad.flatten() for grad in grads]).norm())
    return norms


@pytest.mark.parametrize("kind", ["full", "lora"])
@pytest.mark.parametrize("variant", ["sft-tag", "key-tag"])
def test_gradient_norms_of_the_parts_are_those_of_autograd(
    variant: str, kind: str, tagged: Corpus, node_of: NodeOf, settings: TrainSettings
) -> None:
    """And the norm of the whole gradient, before it is clipped to a hundredth."""
    settings = replace(settings, micro_batch_size=2, gradient_norms=True, log_every=2, max_grad_norm=0.01)
    node = node_of(variant, settings)

    def fresh() -> torch.nn.Module:
        model = tiny_model(V, initializer_range=0.3)
        return lora_model(model) if kind == "lora" else model

    states = states_before_each_step(tagged, node, fresh())
    _, result = train(tagged, node, fresh())
    assert [line.step for line in result.history] == [2, 3]
    model = fresh()
    for line in result.history:
        model.load_state_dict(states[line.step - 1])
        norms = naive_norms(model, tagged, node, line.step - 1)
        assert line.gradient_norm == pytest.approx(norms["all"], rel=1e-3)
        for group in GROUPS:
            assert getattr(line, f"gradient_norm_{group}") == pytest.approx(norms[group], rel=1e-3, abs=1e-7)
        assert (line.gradient_norm_thinking == 0) == (variant == "key-tag")
        assert line.gradient_norm > 0.01


def test_without_asking_there_are_no_norms_of_the_parts(tagged: Corpus, node_of: NodeOf) -> None:
    (line,) = train(tagged, node_of("sft-tag"))[1].history
    assert {str(getattr(line, f"gradient_norm_{group}")) for group in GROUPS} == {"nan"}
    assert line.gradient_norm > 0


@pytest.mark.parametrize("refresh", [1, 3, 8])
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_the_old_model_of_psft_is_the_model_of_the_last_renewal(
    kind: str,
    refresh: int,
    tagged: Corpus,
    node_of: NodeOf,
    settings: TrainSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In step 5 of a stage that renews it every 3 steps: the weights before step 3."""
    seen: list[Tokens] = []

    def recording(tokens: Tokens, epsilon: float = 0.28, refresh: float = 8.0) -> torch.Tensor:
        seen.append(tokens)
        return -tokens.log_probs_N

    monkeypatch.setitem(OBJECTIVES, "psft", replace(OBJECTIVES["psft"], function=recording))
    node = node_of("psft", replace(settings, epochs=3, micro_batch_size=4))
    options = (("epsilon", 0.28), ("refresh", float(refresh)))
    node = replace(node, stage=replace(node.stage, options=options))

    def fresh() -> torch.nn.Module:
        return lora_model(lora_dropout=0.4) if kind == "lora" else tiny_model(V, initializer_range=0.3)

    states = states_before_each_step(tagged, node, fresh())
    assert (len(states), len(seen)) == (10, 18)
    model = fresh().eval()
    for step in range(9):
        old = torch.cat([tokens.need("old_log_probs") for tokens in seen[2 * step : 2 * step + 2]])
        if step % refresh == 0:
            own = torch.cat([tokens.log_probs_N for tokens in seen[2 * step : 2 * step + 2]])
            assert torch.equal(old, own.detach())
            continue
        model.load_state_dict(states[step - step % refresh])
        losses = cross_entropies(model, tagged, examples_of(tagged, node, step))
        expected = [-loss.item() for segment, loss in losses if segment]
        assert old.tolist() == pytest.approx(expected, rel=1e-4)


def test_psft_renews_its_old_model_every_8_steps_where_nothing_is_said(node_of: NodeOf) -> None:
    lagging = Lagging(node_of("psft"))
    assert [step for step in range(20) if lagging.is_due(step)] == [0, 8, 16]


def test_with_a_group_for_each_part_every_response_token_but_the_end_is_watched() -> None:
    watched = [segment for group in GROUPS.values() for segment in group]
    assert sorted(watched) == sorted(set(SEGMENTS) - {"prompt", "end"})
