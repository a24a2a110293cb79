"""Losses in chunks of rows are the losses of all rows at once."""

import pytest
import torch
from torch.nn import functional

from sftkey_train import objectives
from sftkey_train.objectives import OBJECTIVES, chunked_losses, cross_entropy

N, H, V = 23, 8, 37


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states, head weight, targets and weights."""
    torch.manual_seed(0)
    return torch.randn(N, H), torch.randn(V, H), torch.randint(0, V, (N,)), torch.rand(N)


def dense(hidden, weight, targets, weights):
    """Loss and gradients from the definition, in float64."""
    hidden, weight = hidden.double().requires_grad_(), weight.double().requires_grad_()
    log_probs = (hidden @ weight.T).log_softmax(dim=1)
    losses = torch.stack([-log_probs[i, target] for i, target in enumerate(targets)])
    (losses * weights).sum().backward()
    return losses, hidden.grad, weight.grad


@pytest.mark.parametrize("rows_per_chunk", [1, 2, 5, 22, 23, 24, 1000])
def test_chunks_change_neither_losses_nor_gradients(rows, monkeypatch, rows_per_chunk: int) -> None:
    monkeypatch.setattr(objectives, "LOGITS_PER_CHUNK", rows_per_chunk * V)
    hidden, weight, targets, weights = rows
    head = torch.nn.Linear(H, V, bias=False)
    head.weight.data.copy_(weight)
    hidden_own = hidden.clone().requires_grad_()
    sizes: list[int] = []
    losses = chunked_losses(
        hidden_own, head, targets, lambda logits, t: (sizes.append(len(t)), cross_entropy(logits, t))[1]
    )
    assert max(sizes) <= rows_per_chunk
    (losses * weights).sum().backward()
    expected, hidden_grad, weight_grad = dense(*rows)
    torch.testing.assert_close(losses.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(hidden_own.grad.double(), hidden_grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(head.weight.grad.double(), weight_grad, rtol=1e-4, atol=1e-5)


def test_a_head_that_shows_no_weight_is_taken_for_a_large_one(rows, monkeypatch) -> None:
    hidden, weight, targets, _ = rows
    sizes: list[int] = []
    monkeypatch.setattr(objectives, "LOGITS_PER_CHUNK", 4 * 2**17)
    losses = chunked_losses(
        hidden, lambda h: h @ weight.T, targets, lambda x, t: (sizes.append(len(t)), cross_entropy(x, t))[1]
    )
    assert max(sizes) == 4
    torch.testing.assert_close(losses, functional.cross_entropy(hidden @ weight.T, targets, reduction="none"))


def test_half_precision_logits_are_judged_in_float32(rows) -> None:
    hidden, weight, targets, _ = rows
    losses = chunked_losses(hidden, lambda h: (h @ weight.T).bfloat16(), targets, OBJECTIVES["cross-entropy"])
    assert losses.dtype == torch.float32


def test_no_rows_give_no_losses(rows) -> None:
    hidden, weight, targets, _ = rows
    losses = chunked_losses(hidden[:0], lambda h: h @ weight.T, targets[:0], cross_entropy)
    assert losses.shape == (0,)
