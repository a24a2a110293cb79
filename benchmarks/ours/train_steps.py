"""Our side of `training_speed`: `python -m benchmarks.ours.train_steps SPECIFICATION`."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure.children import answer
from benchmarks.measure.shapes import Shape, random_model
from benchmarks.measure.steps import matmul_peak, peak_bytes, time_steps
from sftkey_train.corpus import Corpus
from sftkey_train.settings import TrainSettings
from sftkey_train.stages import StageNode, build_graph
from sftkey_train.trainer import train_stage
from sftkey_train.variants import load_variant

PASSES = 100
"""More than are timed, so that neither stage ends while it is."""


def stage_node(corpus: Corpus, told: dict[str, Any]) -> StageNode:
    """The first or second stage of sftkey-tag, each beginning with a new pass over the examples."""
    batch_size = int(told["batch_size"])
    settings = TrainSettings(
        learning_rate=told["learning_rate"],
        second_learning_rate=told["learning_rate"],
        epochs=2 * PASSES,
        batch_size=batch_size,
        schedule="constant",
        warmup_epochs=0.0,
        weight_decay=0.0,
        log_every=int(told["log_every"]),
        **told.get("settings", {}),
    )
    variant = load_variant("sftkey-tag")
    graph = build_graph([variant], [0], settings, "random", {"tags": corpus}, {variant.name: "tags"})
    return graph.nodes[graph.chains[variant.name, 0][int(told["stage"]) - 1]]


def train_steps(told: dict[str, Any]) -> dict[str, Any]:
    """Times optimiser steps on the examples of the specification."""
    corpus: Corpus = pickle.loads(Path(told["corpus"]).read_bytes())
    shape = Shape(**told["shape"])
    model = random_model(shape, use_cache=False, attn_implementation="sdpa")
    node = stage_node(corpus, told)
    with tempfile.TemporaryDirectory() as scratch:
        seconds = time_steps(
            lambda: train_stage(model, corpus, node, lambda _: None, scratch=Path(scratch)), told["num_steps"]
        )
    peak = peak_bytes()
    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return {"seconds": seconds, "peak_bytes": peak, "matmul_peak": matmul_peak(shape.matmuls, dtype)}


if __name__ == "__main__":
    answer(train_steps)
