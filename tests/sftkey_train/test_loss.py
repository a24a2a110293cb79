"""The loss of chosen rows, chunk by chunk, is the loss of full logits; so are all its gradients."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from tiny import V, lora_model, tagged_corpus, tiny_model

from sftkey_train import loss as loss_module
from sftkey_train.batches import Collator
from sftkey_train.loss import Loss, log_probs
from sftkey_train.model import head_replaced
from sftkey_train.objectives import OBJECTIVES, Tokens

WEIGHTS = [0.0, 1.0, 0.5, 1.0, 2.0, 0.7]
WITH_PROMPT = [0.3, *WEIGHTS[1:]]
every_objective = pytest.mark.parametrize("name", OBJECTIVES)
chunks = pytest.mark.parametrize("rows_per_chunk", [1, 7, 10**6])
Batch = Mapping[str, torch.Tensor]


@pytest.fixture(scope="module", params=["padded", "packed"])
def batch(request: pytest.FixtureRequest) -> Batch:
    """Six examples, with all that an objective may ask for."""
    corpus, rng = tagged_corpus(6), np.random.default_rng(1)
    examples = [
        {
            **corpus[i],
            "reference_log_probs": rng.uniform(-6, -0.1, len(corpus[i]["input_ids"])).astype(np.float32),
            "old_log_probs": rng.uniform(-4.2, -3.2, len(corpus[i]["input_ids"])).astype(np.float32),
            "cleaning_rank": rng.random(len(corpus[i]["input_ids"])).astype(np.float32),
            "reference_hidden": rng.normal(size=(len(corpus[i]["input_ids"]), 16)).astype(np.float32),
        }
        for i in range(6)
    ]
    return Collator(WITH_PROMPT, packing=request.param == "packed")(examples)


def head_of(*, bias: bool = False, seed: int = 0) -> torch.nn.Linear:
    """A head that is sure of some tokens."""
    torch.manual_seed(seed)
    head = torch.nn.Linear(16, V, bias=bias)
    torch.nn.init.normal_(head.weight, std=0.7)
    return head


def hidden_of(batch: Batch) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(*batch["input_ids"].shape, 16, generator=generator).requires_grad_()


def step_weight(batch: Batch) -> torch.Tensor:
    """Of a step that holds other micro-batches too."""
    by_segment = torch.zeros(7).index_add_(0, batch["segments"].flatten() + 1, batch["weights"].flatten())
    return 2 * by_segment[1:] + 1


def loss_of(name: str, batch: Batch, *, reference: torch.nn.Module | None = None, **more: object) -> Loss:
    """The loss, given only the fields that its objective asks for."""
    needs = OBJECTIVES[name].needs
    extra = {"reference_log_probs", "old_log_probs", "cleaning_rank", "reference_hidden"}
    wanted = needs | ({"reference_hidden"} if "reference_kl" in needs else set())
    given = {field: values for field, values in batch.items() if field not in extra - wanted}
    reference = (reference or head_of(bias=True, seed=7)) if "reference_kl" in needs else None
    return Loss(OBJECTIVES[name], OBJECTIVES[name].options, given, step_weight(batch), reference, **more)


def dense(loss: Loss, logits_BTV: torch.Tensor) -> torch.Tensor:
    """The loss from full logits in float64 by autograd, without a line of the module under test."""
    batch, needs = loss.batch, loss.objective.needs
    rows_BT = batch["weights"] > 0
    log_probs_NV = logits_BTV.double()[rows_BT].log_softmax(-1)
    given = {
        f"{need}_N": batch[need][rows_BT].double()
        for need in needs & {"reference_log_probs", "old_log_probs", "cleaning_rank"}
    }
    if "reference_kl" in needs:
        reference_NV = loss.reference_head(batch["reference_hidden"][rows_BT]).double().log_softmax(-1)
        given["reference_kl_N"] = (reference_NV.exp() * (reference_NV - log_probs_NV)).sum(-1)
    if "top_entropy" in needs:
        top_NK = log_probs_NV.exp().topk(20).values
        top_NK = top_NK / top_NK.sum(-1, keepdim=True)
        given["top_entropy_N"] = -(top_NK * top_NK.log()).sum(-1) / np.log(20)
    tokens = Tokens(
        log_probs_N=log_probs_NV[torch.arange(len(log_probs_NV)), batch["targets"][rows_BT]],
        weights_N=batch["weights"][rows_BT].double(),
        segments_N=batch["segments"][rows_BT],
        examples_N=batch["examples"][rows_BT],
        step_weight_S=loss.step_weight_S.double(),
        **given,
    )
    losses_N = loss.objective.losses(tokens, loss.options) * tokens.weights_N
    if loss.only is not None:
        losses_N = losses_N * loss.only[rows_BT]
    return losses_N.sum() / tokens.step_weight_S.sum()


@chunks
@pytest.mark.parametrize("bias", [False, True])
@every_objective
def test_the_chunked_loss_is_the_dense_one_and_so_are_its_gradients(
    name: str, bias: bool, rows_per_chunk: int, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_module, "LOGITS_PER_CHUNK", rows_per_chunk * V)
    loss, head, hidden_BTH = loss_of(name, batch), head_of(bias=bias), hidden_of(batch)
    trained = [hidden_BTH, *head.parameters()]
    want = dense(loss, head(hidden_BTH))
    got = loss(hidden_BTH, head)
    assert got.item() == pytest.approx(want.item(), rel=1e-5)
    want_grads, got_grads = (torch.autograd.grad(value, trained) for value in (want, got))
    for got_grad, want_grad in zip(got_grads, want_grads, strict=True):
        scale = float(want_grad.abs().max())
        assert scale > 1e-5
        torch.testing.assert_close(got_grad, want_grad, rtol=1e-3, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["cross-entropy", "asft", "sft-go"])
def test_a_part_of_the_loss_is_the_dense_part(name: str, batch: Batch) -> None:
    only_BT = (batch["segments"] == 4).float()
    loss, head, hidden_BTH = loss_of(name, batch, only=only_BT), head_of(), hidden_of(batch)
    trained = [hidden_BTH, head.weight]
    want, got = dense(loss, head(hidden_BTH)), loss(hidden_BTH, head)
    assert got.item() == pytest.approx(want.item(), rel=1e-5)
    for got_grad, want_grad in zip(
        torch.autograd.grad(got, trained), torch.autograd.grad(want, trained), strict=True
    ):
        torch.testing.assert_close(got_grad, want_grad, rtol=1e-3, atol=1e-7)


def model_of(kind: str) -> torch.nn.Module:
    if kind == "lora":
        return lora_model(tiny_model(V, num_hidden_layers=2)).eval()
    if kind == "bias":
        from transformers import PhiConfig, PhiForCausalLM

        torch.manual_seed(0)
        shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = PhiForCausalLM(PhiConfig(vocab_size=V, **shape)).eval()
        torch.nn.init.normal_(model.lm_head.bias)
        return model
    return tiny_model(V, num_hidden_layers=2, tie_word_embeddings=kind == "tied").eval()


@pytest.mark.parametrize("name", ["cross-entropy", "asft", "rho-1"])
@pytest.mark.parametrize("kind", ["untied", "tied", "bias", "lora"])
def test_through_a_model_every_weight_gets_its_dense_gradient(
    kind: str, name: str, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_module, "LOGITS_PER_CHUNK", 7 * V)
    model, loss = model_of(kind), loss_of(name, batch)
    inputs = {field: batch[field] for field in ("input_ids", "position_ids") if field in batch}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    want = dense(loss, model(**inputs, use_cache=False).logits)
    with head_replaced(model, loss):
        got = model(**inputs, use_cache=False).logits
    assert got.item() == pytest.approx(want.item(), rel=1e-5)
    want_grads, got_grads = (torch.autograd.grad(value, trained) for value in (want, got))
    largest = max(float(grad.abs().max()) for grad in want_grads)
    for got_grad, want_grad in zip(got_grads, want_grads, strict=True):
        torch.testing.assert_close(got_grad, want_grad, rtol=1e-3, atol=1e-5 * largest)


def test_no_more_logits_are_made_than_asked_for(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only positions with weight go through the head, once, and never more of them at a time."""
    sizes: list[int] = []
    own = loss_module._logits

    def counting(hidden_NH: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        sizes.append(len(hidden_NH))
        return own(hidden_NH, *others)

    monkeypatch.setattr(loss_module, "_logits", counting)
    monkeypatch.setattr(loss_module, "LOGITS_PER_CHUNK", 9 * V)
    loss_of("cross-entropy", batch)(hidden_of(batch), head_of()).backward()
    assert sum(sizes) == int((batch["weights"] > 0).sum())
    assert max(sizes) == 9


@every_objective
def test_a_micro_batch_without_weight_costs_nothing_and_moves_nothing(name: str, batch: Batch) -> None:
    empty = {**batch, "weights": torch.zeros_like(batch["weights"])}
    loss, head, hidden_BTH = loss_of(name, batch), head_of(bias=True), hidden_of(batch)
    loss = Loss(loss.objective, loss.options, empty, loss.step_weight_S, loss.reference_head)
    value = loss(hidden_BTH, head)
    value.backward()
    assert value.item() == 0
    assert all(float(leaf.grad.abs().max()) == 0 for leaf in (hidden_BTH, head.weight, head.bias))


def test_a_frozen_head_gets_no_gradient(batch: Batch) -> None:
    head, hidden_BTH = head_of(bias=True).requires_grad_(False), hidden_of(batch)
    loss_of("cross-entropy", batch)(hidden_BTH, head).backward()
    assert head.weight.grad is None
    assert float(hidden_BTH.grad.abs().max()) > 0


def test_in_half_precision_it_stays_close_and_gradients_keep_their_types(batch: Batch) -> None:
    head, hidden_BTH = head_of(bias=True), hidden_of(batch)
    exact = loss_of("cross-entropy", batch)(hidden_BTH, head)
    exact_grads = torch.autograd.grad(exact, [hidden_BTH, head.weight, head.bias])
    with torch.autocast("cpu", torch.bfloat16):
        half = loss_of("cross-entropy", batch)(hidden_BTH, head)
    half_grads = torch.autograd.grad(half, [hidden_BTH, head.weight, head.bias])
    assert half.item() == pytest.approx(exact.item(), rel=1e-2)
    for half_grad, exact_grad in zip(half_grads, exact_grads, strict=True):
        assert half_grad.dtype == torch.float32
        assert float((half_grad - exact_grad).norm() / exact_grad.norm()) < 0.03


@chunks
def test_log_probs_are_those_of_a_dense_softmax(
    rows_per_chunk: int, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_module, "LOGITS_PER_CHUNK", rows_per_chunk * V)
    rows_BT, head, hidden_BTH = batch["weights"] > 0, head_of(bias=True), hidden_of(batch)
    targets_N = batch["targets"][rows_BT]
    want_N = head(hidden_BTH[rows_BT]).double().log_softmax(-1)[torch.arange(len(targets_N)), targets_N]
    got_N = log_probs(hidden_BTH[rows_BT], head, targets_N)
    torch.testing.assert_close(got_N.double(), want_N, rtol=1e-5, atol=1e-6)
    assert not got_N.requires_grad
    loss = loss_of("cross-entropy", batch)
    loss(hidden_BTH, head)
    assert torch.equal(loss.log_probs_BT[0][rows_BT], got_N)
    assert torch.equal(loss.log_probs_BT[0] != 0, rows_BT)
