"""One way of `stage2_cost`: `python -m benchmarks.ours.stage2_steps SPECIFICATION`."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure.children import answer
from benchmarks.measure.shapes import Shape, random_model
from benchmarks.measure.steps import peak_bytes, time_steps
from benchmarks.ours.train_steps import stage_node
from sftkey_train.corpus import Corpus
from sftkey_train.stored import StepMetrics
from sftkey_train.trainer import SpanTrainer, train_stage

_FIRST = 16
"""Tokens that tell one random example from all others."""


def rows_alone(model: Any) -> None:
    """The last layer's MLP sees the positions with loss alone: nothing reads what it makes of the others."""
    mlp, compute_loss = model.model.layers[-1].mlp, SpanTrainer.compute_loss
    seen: dict[str, Tensor] = {}

    def with_mask(
        trainer: SpanTrainer, model: Any, inputs: dict[str, Tensor], *more: Any, **named: Any
    ) -> Any:
        seen["rows_BT"] = inputs["weights"] > 0
        return compute_loss(trainer, model, inputs, *more, **named)

    def forward(hidden_BTH: Tensor, whole: Callable[[Tensor], Tensor] = mlp.forward) -> Tensor:
        rows_BT = seen.get("rows_BT")
        if rows_BT is None:  # what the trainer looks at before the first step
            return whole(hidden_BTH)
        return torch.zeros_like(hidden_BTH).masked_scatter(rows_BT[..., None], whole(hidden_BTH[rows_BT]))

    SpanTrainer.compute_loss, mlp.forward = with_mask, forward  # type: ignore[method-assign]


def freeze(model: Any) -> int:
    """Leaves the embeddings (and a tied head) and the first half of the layers as they are; says how many."""
    count = len(model.model.layers) // 2
    for module in (model.model.embed_tokens, *model.model.layers[:count]):
        module.requires_grad_(False)
    return count


@torch.no_grad()
def cache(model: Any, corpus: Corpus, count: int) -> float:
    """Puts what the frozen layers make of each example in their place; gives the seconds that took once."""
    started, found = time.perf_counter(), {}
    trained = model.model.layers[count:]
    model.model.layers, norm, model.model.norm = (
        model.model.layers[:count],
        model.model.norm,
        torch.nn.Identity(),
    )
    for index in range(len(corpus)):
        ids = torch.from_numpy(corpus[index]["input_ids"]).long()
        hidden_TH = model.model(input_ids=ids[None], use_cache=False).last_hidden_state[0]
        found[tuple(ids[:_FIRST].tolist())] = hidden_TH
    model.model.layers, model.model.norm = trained, norm

    def looked_up(ids_BT: Tensor) -> Tensor:
        hidden_BTH = torch.zeros(*ids_BT.shape, model.config.hidden_size)
        for row, ids_T in enumerate(ids_BT.tolist()):
            at = 0
            while (known := found.get(tuple(ids_T[at : at + _FIRST]))) is not None:
                hidden_BTH[row, at : at + len(known)] = known[: ids_BT.shape[1] - at]
                at += len(known)
        return hidden_BTH

    model.model.embed_tokens.forward = looked_up
    return time.perf_counter() - started


def train(told: dict[str, Any]) -> dict[str, Any]:
    """Times optimiser steps of stage 2; gives the losses of its lines of history, too."""
    corpus: Corpus = pickle.loads(Path(told["corpus"]).read_bytes())
    model = random_model(Shape(**told["shape"]), use_cache=False, attn_implementation="sdpa")
    once = 0.0
    if told["way"] == "rows alone":
        rows_alone(model)
    elif told["way"] != "plain":
        count = freeze(model)
        if told["way"] == "cached":
            once = cache(model, corpus, count)
    losses: list[float] = []

    def keep(line: StepMetrics) -> None:
        losses.append(line.loss)

    with tempfile.TemporaryDirectory() as scratch:
        node = stage_node(corpus, told)
        seconds = time_steps(
            lambda: train_stage(model, corpus, node, keep, scratch=Path(scratch)), told["num_steps"]
        )
    return {"seconds": seconds, "peak_bytes": peak_bytes(), "losses": losses, "once": once}


if __name__ == "__main__":
    answer(train)
