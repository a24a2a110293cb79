"""Variants as a graph of stages, addressed by content.

A stage's key is a hash of everything that decides its weights and of its parent's key. Two variants that
begin alike share the node, and a stage that an earlier run has made is found by its key.

Whatever a variant does is paid for out of its budget. A forward pass costs a third of a step of training on
the same tokens: n steps come to 3·n·(batch size) responses drawn; a step that asks a reference model costs
4/3 of a plain one, and one that draws its own responses as much again. That is reckoned with the lengths of
the training data; what it took is known later, and stands on the board.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sftkey_train.batches import BatchOrder
from sftkey_train.corpus import Corpus
from sftkey_train.segments import LOSS_PRESETS, by_segment
from sftkey_train.settings import MOST_STEPS, NOT_IN_THE_WEIGHTS, TrainSettings
from sftkey_train.variants import BY_TRL, FROM_SAMPLES, ONLINE, Stage, Variant
from tasks.errors import InputError
from tasks.seals import content_digest

TRL_VERSION = "1.16.0"
"""Pinned: some of what its trainers are made to do here is not public in it."""
TRAINER_VERSION = 2
"""Raised whenever the same inputs would train to other weights."""
BASE = "base"
"""In the place of a stage's key: the run's base model."""
_IN_THE_BUDGET = (
    *("learning_rate", "second_learning_rate", "budget", "epochs", "amount", "budget_of"),
    *("stage2_share", "stage2_data", "warmup_epochs"),
)
"""Settings that decide weights only through what they come to for a stage."""


@dataclass(frozen=True)
class StageNode:
    """One stage to train, once, for all the variants that need it.

    Attributes:
        key: Content address: 16 hex digits.
        parent: Key of the stage it starts from; the base model where None.
        data: Key of the stage whose samples it trains on; the training records where None.
        reference: Key of the stage whose weights are its reference model, or `BASE`; None without one.
        stage: Span weights and objective.
        tags: Name of the tag format.
        seed: Seed of data order and initialisation.
        settings: Of the run, with what is the variant's own.
        learning_rate: Peak learning rate.
        first_step: Where it begins in the seed's order of batches.
        num_steps: Optimiser steps; none of a stage that draws.
        num_questions: Training questions to which it draws responses, over all its steps.
        warmup_steps: Steps of linear warm-up.
        tokens_forward: Tokens that pass through the model; with samples, about so many.
        tokens_loss: Tokens that carry loss; with samples 0, since it is not known yet.
        variants: Names of the variants it is a stage of; none where it is a reference model alone.
    """

    key: str
    parent: str | None
    data: str | None
    reference: str | None
    stage: Stage
    tags: str
    seed: int
    settings: TrainSettings
    learning_rate: float
    first_step: int
    num_steps: int
    num_questions: int
    warmup_steps: int
    tokens_forward: int
    tokens_loss: int
    variants: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a person calls this stage."""
        return f"{', '.join(self.variants) or 'reference'} · {self.stage.name} · seed {self.seed}"

    @property
    def needs(self) -> set[str | None]:
        """Keys of the stages that must be done before it."""
        return {self.parent, self.data, self.reference}

    @property
    def draws(self) -> bool:
        """Whether it draws samples, and trains nothing."""
        return self.stage.kind == "sample"

    @property
    def is_by_trl(self) -> bool:
        """Whether TRL trains it."""
        return self.stage.kind in BY_TRL

    @property
    def responses_per_step(self) -> int:
        """Responses that an optimiser step learns from; those that it draws itself in a stage that does."""
        return _responses_per_step(self.stage, self.settings)


@dataclass(frozen=True)
class StageGraph:
    """All stages of a run, parents and references before those that need them.

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
    own_settings: Mapping[str, TrainSettings] | None = None,
    drawn_by: str = "",
) -> StageGraph:
    """Lays out the stages of variants × seeds, each distinct stage once.

    Args:
        variants: What to compare.
        seeds: One chain of stages for each variant and seed.
        settings: Shared by all variants.
        base_digest: Digest of the base model's weights.
        corpora: Tag format name -> encoded training data.
        tags_of: Variant name -> tag format name.
        own_settings: Settings of the variants that do not take the shared ones, by name.
        drawn_by: Digest of all that decides samples, beside the checkpoint, the questions and the seed.
    """
    builder = _Builder(base_digest, corpora, drawn_by)
    chains = {}
    for seed in seeds:
        for variant in variants:
            own = (own_settings or {}).get(variant.name, settings)
            chain = builder.chain(variant, tags_of[variant.name], seed, own, served=(variant.name,))
            chains[variant.name, seed] = chain
    return StageGraph(builder.nodes, chains)


def rounds(todo: Sequence[StageNode]) -> Iterator[tuple[list[StageNode], list[StageNode]]]:
    """Stages to train, and those to draw after them, until all are done: samples are drawn together.

    Args:
        todo: Stages that are not done, parents before children.
    """
    while todo:
        now, drawing, later = list[StageNode](), list[StageNode](), list[StageNode]()
        for node in todo:
            waits = node.needs & {other.key for other in (*drawing, *later)}
            (later if waits else drawing if node.draws else now).append(node)
        yield now, drawing
        todo = later


@dataclass
class _Builder:
    """The nodes so far, and what they are laid out over."""

    base_digest: str
    corpora: Mapping[str, Corpus]
    drawn_by: str = ""
    nodes: dict[str, StageNode] = field(default_factory=dict)
    _counts: dict[tuple[str, tuple[float, ...]], NDArray[np.int64]] = field(default_factory=dict)

    def chain(
        self, variant: Variant, tags: str, seed: int, settings: TrainSettings, served: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Adds a variant's stages; returns their keys."""
        _check_order(variant)
        order = BatchOrder(self.corpora[tags].lengths_E, settings.batch_size, seed)
        chain: list[str] = []
        trained: str | None = None
        samples: str | None = None
        parts = _parts(variant, tags, settings, order, self.corpora)
        for stage, part in zip(variant.stages, parts, strict=True):
            own = _own_settings(variant, stage, settings)
            from_records = stage.kind == "sft"
            first = part.first if from_records and settings.stage2_data == "next" else 0
            rate = settings.second_learning_rate if trained else settings.learning_rate
            loss = self._tokens_loss(tags, stage, order, first, part.num_steps) if from_records else 0
            node = StageNode(
                key="",
                parent=trained,
                data=samples if stage.kind in FROM_SAMPLES else None,
                reference=self._reference(variant, stage, tags, seed, settings),
                stage=stage,
                tags=tags,
                seed=seed,
                settings=own,
                learning_rate=0.0 if stage.kind == "sample" else stage.learning_rate or rate,
                first_step=first,
                num_steps=part.num_steps,
                num_questions=part.num_questions,
                warmup_steps=min(round(settings.warmup_epochs * order.batches_per_pass), part.num_steps // 2),
                tokens_forward=self._tokens(tags, stage, order, first, part),
                tokens_loss=loss,
                variants=(),
            )
            key = self._key(node)
            earlier = self.nodes[key].variants if key in self.nodes else ()
            self.nodes[key] = replace(node, key=key, variants=tuple(dict.fromkeys(earlier + served)))
            chain.append(key)
            trained, samples = (trained, key) if node.draws else (key, samples)
        return tuple(chain)

    def _reference(
        self, variant: Variant, stage: Stage, tags: str, seed: int, settings: TrainSettings
    ) -> str | None:
        """The reference model's key; plain SFT is shared with the variant that is just that."""
        if stage.reference != "sft":
            return stage.reference
        plain = Variant("sft", "", "", variant.tagged, (Stage("sft", by_segment(LOSS_PRESETS["response"])),))
        return self.chain(plain, tags, seed, settings, served=())[-1]

    def _tokens_loss(self, tags: str, stage: Stage, order: BatchOrder, first: int, count: int) -> int:
        if (tags, stage.weights) not in self._counts:
            self._counts[tags, stage.weights] = _weighted_tokens(self.corpora[tags], stage.weights)
        counts_E = self._counts[tags, stage.weights]
        return int(sum(counts_E[batch].sum() for batch in order.batches(first, count)))

    def _tokens(self, tags: str, stage: Stage, order: BatchOrder, first: int, part: _Part) -> int:
        if not part.num_questions:
            return order.tokens(first, part.num_steps)
        lengths_E = self.corpora[tags].lengths_E
        return round(part.num_questions * dict(stage.options)["samples"] * float(lengths_E.mean()))

    def _key(self, node: StageNode) -> str:
        shared = asdict(node.settings)  # a setting that is added belongs to the key unless it is named here
        for name in (*_IN_THE_BUDGET, *NOT_IN_THE_WEIGHTS):
            del shared[name]
        content = {
            "version": TRAINER_VERSION,
            "parent": node.parent or self.base_digest,
            "reference": node.reference,
            "base": self.base_digest if node.reference else None,
            "corpus": node.data or self.corpora[node.tags].digest(),
            "weights": node.stage.weights,
            "objective": (node.stage.objective, node.stage.options),
            "budget": (node.learning_rate, node.first_step, node.num_steps, node.warmup_steps),
            "seed": node.seed,
            "settings": shared,
        }
        if node.stage.kind != "sft":  # what was trained before there were others keeps its key
            content |= {"kind": node.stage.kind, "rewards": node.stage.rewards}
        if node.stage.last_layers is not None:
            content["last_layers"] = node.stage.last_layers
        if node.stage.method is not None:
            content["merged"] = True
        if node.num_questions:
            content |= {"questions": node.num_questions, "drawn_by": self.drawn_by}
        if node.is_by_trl:
            content |= {"trl": TRL_VERSION}
        return content_digest(content)[:16]


class _Part(NamedTuple):
    """What a stage has of its variant's budget: steps from `first` on, and questions to draw responses to."""

    first: int
    num_steps: int
    num_questions: int = 0


def _own_settings(variant: Variant, stage: Stage, settings: TrainSettings) -> TrainSettings:
    """The run's settings with the stage's own method; InputError where it trains adapters in any case."""
    if stage.method is None and stage.last_layers is None:
        return settings
    if settings.method != "full":
        what = "method" if stage.method else "last_layers"
        raise InputError(
            f"{variant.name}: {stage.name} has a {what} of its own, which goes with --method full alone"
        )
    return replace(settings, method=stage.method or "full")


def _check_order(variant: Variant) -> None:
    """Refuses (InputError) samples that nobody draws, of no model, or that nothing learns from."""
    kinds = [stage.kind for stage in variant.stages]
    for stage, before in zip(variant.stages, (kinds[:number] for number in range(len(kinds))), strict=True):
        if stage.kind in ("sample", *ONLINE) and set(before) <= {"sample"}:
            raise InputError(
                f"{variant.name}: draws samples of the model that the stage before has trained, and there is "
                f"none; put it after another variant, as in sft-tag+{variant.name}"
            )
        if stage.kind in FROM_SAMPLES and "sample" not in before:
            raise InputError(f"{variant.name}: {stage.name} needs a stage of kind sample before it")
        if stage.kind == "dpo" and _samples_before(variant, stage) < 2:
            raise InputError(
                f"{variant.name}: {stage.name} needs samples in pairs; draw at least 2 to a question"
            )
    if kinds[-1] == "sample":
        raise InputError(f"{variant.name}: ends with samples that nothing learns from; add a stage")


def _samples_before(variant: Variant, stage: Stage) -> float:
    before = variant.stages[: variant.stages.index(stage)]
    return next(dict(one.options)["samples"] for one in reversed(before) if one.kind == "sample")


def _responses_per_step(stage: Stage, settings: TrainSettings) -> int:
    options = dict(stage.options)
    return int(options["samples"] * options["questions"]) if stage.kind in ONLINE else settings.batch_size


def _cost_of_step(stage: Stage, settings: TrainSettings) -> float:
    """What a step of a stage that TRL trains costs, in steps of plain training on a batch of records."""
    forward = 1 / 3
    passes = 1 + forward * (stage.kind in ONLINE) + forward * (dict(stage.options)["beta"] > 0)
    return passes * _responses_per_step(stage, settings) / settings.batch_size


def _parts(
    variant: Variant,
    tags: str,
    settings: TrainSettings,
    order: BatchOrder,
    corpora: Mapping[str, Corpus],
) -> list[_Part]:
    """What each stage of a variant has of the budget."""
    total = _budget_steps(settings, order, corpora)
    shares = _shares(variant, settings)
    if settings.budget_of == "stage":
        total = round(total / shares[0])
    if total > MOST_STEPS:
        raise InputError(f"a budget of {total:.10g} steps is more than {MOST_STEPS:,}; lower train.epochs")
    if total < len(shares):
        raise InputError(
            f"a budget of {total} step{'s' if total != 1 else ''} is too small for the {len(shares)} stages "
            f"of {variant.name}; raise train.epochs or lower train.batch_size"
        )
    # Where stages end is rounded, not how long they are: the budget comes out exact whatever the shares.
    ends = [0]
    for i in range(1, len(shares) + 1):
        wanted = round(total * sum(shares[:i]) / sum(shares))
        ends.append(min(max(wanted, ends[-1] + 1), total - (len(shares) - i)))  # at least a step for each
    parts: list[_Part] = []
    left = 0  # steps that a stage cannot use go to the one after it
    for stage, (first, end) in zip(variant.stages, pairwise(ends), strict=True):
        steps, questions, left = end - first + left, 0, 0
        if stage.kind in BY_TRL:
            cost = _cost_of_step(stage, settings)
            whole = int(steps / cost)
            if not whole:
                raise InputError(
                    f"{variant.name}: its {steps} steps are too few for one of {stage.name}, which costs "
                    f"{math.ceil(cost)} of them; raise train.epochs, or lower its samples and questions"
                )
            left = int(steps - whole * cost)
            steps, questions = whole, int(whole * dict(stage.options).get("questions", 0))
        if stage.kind == "sample":
            responses = dict(stage.options)["samples"]
            wanted = max(1, round(3 * steps * settings.batch_size / responses))
            questions = min(wanted, len(corpora[tags]))
            left = steps - math.ceil(questions * responses / (3 * settings.batch_size))
            steps, left = 0, max(0, left)
        parts.append(_Part(first, steps, questions))
    return parts


def _budget_steps(settings: TrainSettings, order: BatchOrder, corpora: Mapping[str, Corpus]) -> int:
    """Optimiser steps of the whole budget on one variant's data."""
    if settings.budget == "tokens":
        largest = max(len(corpus.ids_N) for corpus in corpora.values())
        tokens = settings.amount or settings.epochs * largest
        mean = order.tokens(0, order.batches_per_pass) / order.batches_per_pass
        return order.steps_for_tokens(tokens) if tokens < MOST_STEPS * mean else round(tokens / mean)
    if settings.budget == "epochs":
        return max(1, round((settings.amount or settings.epochs) * order.batches_per_pass))
    most = max(len(corpus) for corpus in corpora.values())
    return max(1, round(settings.amount or settings.epochs * max(1, most // settings.batch_size)))


def _shares(variant: Variant, settings: TrainSettings) -> list[float]:
    """Share of the budget of each stage."""
    if own := [stage.share for stage in variant.stages if stage.share is not None]:
        return own
    later = len(variant.stages) - 1
    return [1.0 - settings.stage2_share, *[settings.stage2_share / later] * later] if later else [1.0]


def _weighted_tokens(corpus: Corpus, weights: Sequence[float]) -> NDArray[np.int64]:
    """Tokens with loss of each example; its first token is never predicted."""
    has_weight = np.array(weights) > 0
    counts_E = np.empty(len(corpus), np.int64)
    starts_E = corpus.starts_E
    for start in range(0, len(corpus), 4096):  # so many examples at a time: arrays may be mapped from disk
        stop = min(start + 4096, len(corpus))
        part = has_weight[corpus.segments_N[starts_E[start] : starts_E[stop]]]
        first = starts_E[start:stop] - starts_E[start]
        counts_E[start:stop] = np.add.reduceat(part, first, dtype=np.int64) - part[first]
    return counts_E
