"""Variants as a graph of stages, addressed by content.

A stage's key is a hash of everything that decides its weights and of its parent's key. Two variants that
begin alike share the node, and a stage that an earlier run has made is found by its key.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sftkey_train.settings import TrainSettings
from sftkey_train.spans import Corpus
from sftkey_train.variants import SEGMENTS, Stage, Variant

TRAINER_VERSION = 1
"""Raised whenever the same inputs would train to other weights."""
_IN_THE_BUDGET = ("learning_rate", "second_learning_rate", "epochs", "second_epochs", "warmup_epochs")
"""Settings that decide weights only through what they come to for a stage."""


@dataclass(frozen=True)
class StageNode:
    """One stage to train, once, for all the variants that need it.

    Attributes:
        key: Content address: 16 hex digits.
        parent: Key of the stage it starts from; the base model where None.
        stage: Span weights and objective.
        tags: Name of the tag format.
        seed: Seed of data order and initialisation.
        learning_rate: Peak learning rate.
        num_steps: Optimiser steps.
        warmup_steps: Steps of linear warm-up.
        tokens_forward: Tokens that pass through the model.
        tokens_loss: Tokens that carry loss.
        variants: Names of the variants it serves.
    """

    key: str
    parent: str | None
    stage: Stage
    tags: str
    seed: int
    learning_rate: float
    num_steps: int
    warmup_steps: int
    tokens_forward: int
    tokens_loss: int
    variants: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a person calls this stage."""
        return f"{'+'.join(self.variants)} · {self.stage.name} · seed {self.seed}"


@dataclass(frozen=True)
class StageGraph:
    """All stages of a run, parents before children.

    Attributes:
        nodes: The stages by key.
        chains: (variant name, seed) -> keys of its stages, first to last.
    """

    nodes: Mapping[str, StageNode]
    chains: Mapping[tuple[str, int], tuple[str, ...]]


def build_graph(
    variants: Sequence[Variant],
    seeds: Sequence[int],
    settings: TrainSettings,
    base_digest: str,
    corpora: Mapping[str, Corpus],
    tags_of: Mapping[str, str],
) -> StageGraph:
    """Lays out the stages of variants × seeds, each distinct stage once.

    Args:
        variants: What to compare.
        seeds: One chain of stages for each variant and seed.
        settings: Shared by all variants.
        base_digest: Digest of the base model's weights.
        corpora: Tag format name -> encoded training data.
        tags_of: Variant name -> tag format name.
    """
    digests = {tags: corpus.digest() for tags, corpus in corpora.items()}
    nodes: dict[str, StageNode] = {}
    chains: dict[tuple[str, int], tuple[str, ...]] = {}
    for seed in seeds:
        for variant in variants:
            tags = tags_of[variant.name]
            parent: str | None = None
            chain: list[str] = []
            for position, stage in enumerate(variant.stages):
                budget = _budget(stage, position, settings, corpora[tags])
                key = _key(parent or base_digest, digests[tags], stage, budget, seed, settings)
                earlier = nodes[key].variants if key in nodes else ()
                nodes[key] = StageNode(
                    key, parent, stage, tags, seed, *budget, variants=(*earlier, variant.name)
                )
                chain.append(key)
                parent = key
            chains[variant.name, seed] = tuple(chain)
    return StageGraph(nodes, chains)


def _budget(
    stage: Stage, position: int, settings: TrainSettings, corpus: Corpus
) -> tuple[float, int, int, int, int]:
    """(learning rate, steps, warm-up steps, tokens forward, tokens with loss) of a stage."""
    first = position == 0
    learning_rate = stage.learning_rate or (
        settings.learning_rate if first else settings.second_learning_rate
    )
    epochs = stage.epochs or (settings.epochs if first else settings.second_epochs)
    steps_per_epoch = math.ceil(len(corpus) / settings.batch_size)
    num_steps = max(1, round(epochs * steps_per_epoch))
    warmup_steps = min(round(settings.warmup_epochs * steps_per_epoch), num_steps // 2)
    passes = num_steps / steps_per_epoch
    by_segment = corpus.tokens_by_segment()
    tokens_loss = sum(
        by_segment[name] for name, weight in zip(SEGMENTS, stage.weights, strict=True) if weight
    )
    return (
        learning_rate,
        num_steps,
        warmup_steps,
        round(passes * len(corpus.ids_N)),
        round(passes * tokens_loss),
    )


def _key(
    parent: str,
    corpus_digest: str,
    stage: Stage,
    budget: tuple[float, int, int, int, int],
    seed: int,
    settings: TrainSettings,
) -> str:
    shared = asdict(settings)
    for name in _IN_THE_BUDGET:
        del shared[name]
    del shared["log_every"]
    content = {
        "version": TRAINER_VERSION,
        "parent": parent,
        "corpus": corpus_digest,
        "weights": stage.weights,
        "objective": stage.objective,
        "budget": budget[:3],
        "seed": seed,
        "settings": shared,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
