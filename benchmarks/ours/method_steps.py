"""One process of `methods`: `python -m benchmarks.ours.method_steps SPECIFICATION`."""

from __future__ import annotations

import hashlib
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from benchmarks.measure.children import answer
from benchmarks.measure.gsm8k import TAGGED, training_records
from benchmarks.measure.steps import peak_bytes
from sftkey_train.model import load_for_training
from sftkey_train.settings import TrainSettings
from sftkey_train.spans import encode
from sftkey_train.stages import build_graph
from sftkey_train.text import TextPath, load_tokenizer
from sftkey_train.trainer import train_stage
from sftkey_train.variants import load_variant


def method_steps(told: dict[str, Any]) -> dict[str, Any]:
    """Trains for the steps that were asked for."""
    if torch.cuda.is_available() and not told["bf16"]:
        torch.cuda.is_bf16_supported = lambda *_: False  # the trainer asks no setting for its precision
    records, _ = training_records(Path(told["data_dir"]), 7473)
    wanted = told["steps"] * told["batch_size"]
    corpus = encode(records[:wanted], TAGGED, TextPath.of(load_tokenizer(told["model"]), "plain"), 1024)
    settings = TrainSettings(
        method=told["method"],
        learning_rate=1e-3 if told["method"] != "full" else 3e-4,
        batch_size=told["batch_size"],
        weight_decay=0.0,
        log_every=1,
    )
    variant = load_variant("sft-tag")
    graph = build_graph([variant], [0], settings, "random", {"tags": corpus}, {variant.name: "tags"})
    node = graph.nodes[graph.chains[variant.name, 0][0]]
    set_seed(0)
    model = load_for_training(told["model"], None, settings)
    with tempfile.TemporaryDirectory() as scratch:
        result = train_stage(model, corpus, node, lambda _: None, scratch=Path(scratch))
    digest = hashlib.sha256()
    for weights in model.parameters():
        if weights.requires_grad:
            digest.update(weights.detach().float().cpu().numpy().tobytes())
    times = [metrics.wall_seconds for metrics in result.history]
    return {
        "losses": [metrics.loss for metrics in result.history],
        "seconds": [after - before for before, after in pairwise(times[1:])],
        "peak_bytes": peak_bytes(),
        "digest": digest.hexdigest(),
    }


if __name__ == "__main__":
    answer(method_steps)
