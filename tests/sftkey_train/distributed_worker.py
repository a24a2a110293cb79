"""Trains the cases of `test_distributed.py` as one of several processes: `plain|sharded OUT CASE…`."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from tiny import V, corpus_of, lora_model, tiny_model

from sftkey_train import distributed
from sftkey_train.corpus import Corpus
from sftkey_train.references import ReferenceData
from sftkey_train.settings import TrainSettings
from sftkey_train.stages import StageNode, build_graph
from sftkey_train.stored import StageResult, save_stage
from sftkey_train.trainer import train_stage
from sftkey_train.variants import load_variant
from tasks.errors import InputError

SETTINGS = TrainSettings(
    learning_rate=1e-2, second_learning_rate=5e-3, epochs=2, warmup_epochs=0.3, batch_size=8,
    micro_batch_size=2, log_every=1,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        variant: Its last stage is trained.
        settings: That differ from `SETTINGS`.
        tied: Whether input and output embeddings are one.
        lora: Whether adapters are trained.
        stops: Steps after which it is stopped, to go on from its last save; not at all where 0.
        probe: Whether the model is looked at while it trains.
    """

    variant: str
    settings: dict[str, Any] = field(default_factory=dict)
    tied: bool = False
    lora: bool = False
    stops: int = 0
    probe: bool = False


CASES = {
    "sft": Case("sft-tag"),
    "key": Case("sftkey-tag"),
    "rho-1": Case("rho-1"),
    "psft": Case("psft"),
    "asft": Case("asft"),
    "tied": Case("sft-tag", tied=True),
    "lora": Case("sft-tag", lora=True),
    "packed": Case("sft-tag", {"packing": True}),
    "norms": Case("sft-tag", {"gradient_norms": True}),
    "probe": Case("sft-tag", {"validate_every": 2}, probe=True),
    "resumed": Case("sft-tag", {"save_minutes": 0}, stops=3),
    "resumed-tied": Case("sft-tag", {"save_minutes": 0}, stops=3, tied=True),
    "resumed-lora": Case("sft-tag", {"save_minutes": 0}, stops=3, lora=True),
}


def uneven_corpus() -> Corpus:
    """One example is several times as long as all others; some have no tags."""
    rng = np.random.default_rng(0)
    examples = []
    for number in range(24):
        thinking, answer = (150, 1) if number == 0 else (int(rng.integers(1, 6)), int(rng.integers(1, 9)))
        names = ["prompt"] * int(rng.integers(2, 6)) + ["thinking"] * thinking + ["answer"] * answer + ["end"]
        if number % 3:
            names[-1:-1] = ["answer_tag"]
        examples.append((rng.integers(0, V, len(names)).tolist(), names))
    return corpus_of(examples)


def node_of(case: Case, corpus: Corpus) -> StageNode:
    variant = load_variant(case.variant)
    settings = replace(SETTINGS, **case.settings)
    graph = build_graph([variant], [1], settings, "base", {"t": corpus}, {variant.name: "t"})
    return graph.nodes[graph.chains[variant.name, 1][-1]]


def model_of(case: Case) -> torch.nn.Module:
    model = tiny_model(V, num_hidden_layers=2, tie_word_embeddings=case.tied)
    return lora_model(model) if case.lora else model


@torch.no_grad()
def spoil(model: torch.nn.Module) -> None:
    """Makes the trained weights useless: what is right afterwards has been read from a save."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.add_(1.0)


def reference_of(case: Case, corpus: Corpus) -> ReferenceData:
    rng, size = np.random.default_rng(3), len(corpus.ids_N)
    if case.variant == "asft":
        head = tiny_model(V, seed=9).lm_head.requires_grad_(False)
        return ReferenceData({"reference_hidden": rng.normal(size=(size, 16)).astype(np.float32)}, head)
    if case.variant == "rho-1":
        return ReferenceData({"reference_log_probs": -rng.exponential(4, size).astype(np.float32)})
    return ReferenceData()


def look(model: torch.nn.Module) -> dict[str, float]:
    """Greedy continuation of a fixed prompt, as one number."""
    ids = model.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=5, do_sample=False)
    return {"accuracy": float(ids.sum()), "format_valid": float(model.training)}


def train(case: Case, scratch: Path) -> tuple[torch.nn.Module, StageResult]:
    corpus = uneven_corpus()
    node, model = node_of(case, corpus), model_of(case)
    arguments: dict[str, Any] = {
        "on_step": lambda metrics: None,
        "scratch": scratch,
        "reference": reference_of(case, corpus),
        "probe": look if case.probe else None,
    }
    if case.stops:
        train_stage(model, corpus, node, **arguments, stop_when=lambda history: len(history) == case.stops)
        model = model_of(case)
        spoil(model)
    return model, train_stage(model, corpus, node, **arguments)


def train_and_save(name: str, out: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    scratch = out / "partial" / name
    scratch.mkdir(parents=True, exist_ok=True)
    case = CASES[name]
    try:
        model, result = train(case, scratch)
    except InputError as error:
        (out / f"{name}.refused").write_text(str(error), encoding="utf-8")
        return
    if distributed.is_first():
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, "a")))
        manifest = {
            "tokens": [result.cost.tokens_forward, result.cost.tokens_loss],
            "flops": result.cost.flops,
            "sharded": result.state_dict is not None,
        }
        save_stage(model, tokenizer, out / name, manifest, result.history, state_dict=result.state_dict)


@contextmanager
def sharding_on_cpu() -> Iterator[None]:
    """Accelerate shards on accelerators alone: here it takes the CPU for one, over gloo."""
    from accelerate import DistributedType, PartialState
    from accelerate.state import AcceleratorState

    def takes_no_cpu(own: Any) -> Any:
        return lambda self, *args, **options: own(self, *args, **{**options, "cpu": False})

    backend = ("gloo", DistributedType.MULTI_GPU)
    with (
        patch.object(PartialState, "_prepare_backend", lambda self, *args: backend),
        patch.object(PartialState, "__init__", takes_no_cpu(PartialState.__init__)),
        patch.object(AcceleratorState, "__init__", takes_no_cpu(AcceleratorState.__init__)),
    ):
        yield


if __name__ == "__main__":
    kind, folder, *cases = sys.argv[1:]
    with sharding_on_cpu() if kind == "sharded" else ExitStack():
        for case_name in cases:
            train_and_save(case_name, Path(folder))
        distributed.leave()
