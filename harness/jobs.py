"""Train what a plan needs and the store lacks: base model, stages, and what reference models say of the data.

What is done stays done: a stage is in the store the moment it is finished, and within a long stage a save is
made every few minutes, so that the same command after an interruption goes on from there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import EMBEDDED
from harness.models import Checkpoint, Weights, cache_dir, whole_model, with_adapter
from harness.plan import UNTAGGED, Plan
from harness.progress import StageReporter
from harness.provenance import package_versions
from leaderboards.results.schema import TrainingCost
from sftkey_train import distributed
from sftkey_train.settings import TrainSettings
from sftkey_train.stages import BASE
from sftkey_train.stored import StageCost, read_cost, read_history, read_manifest, save_stage

if TYPE_CHECKING:
    import torch

    from sftkey_train.references import ReferenceData
    from sftkey_train.stages import StageNode


def ensure_base(plan: Plan, reporter: StageReporter) -> None:
    """Builds the embedded base model where the cache lacks it."""
    if plan.config.model != EMBEDDED or plan.base.path.is_dir():
        return
    from sftkey_train.embedded import build_embedded_base

    with distributed.alone(), reporter.stage("base model", 0) as progress:
        build_embedded_base(cache_dir(), progress.update)


def train_node(plan: Plan, node: StageNode, reporter: StageReporter) -> None:
    """Trains one stage, whose parent and reference are in the store, and puts it there."""
    from transformers import set_seed

    from harness.probe import validation_probe
    from sftkey_train.trainer import train_stage

    reference = _reference_data(plan, node, reporter)
    set_seed(node.seed)  # decides how adapters begin
    model = _load(plan, node.parent, node)
    scratch = plan.config.store_dir / "partial" / node.key
    scratch.mkdir(parents=True, exist_ok=True)
    with reporter.stage(node.label, node.num_steps) as progress, _tracking(plan, node):
        result = train_stage(
            model,
            plan.corpora[node.tags],
            node,
            progress.update,
            scratch=scratch,
            reference=reference,
            probe=validation_probe(plan, node),
        )
    manifest = {
        "base": plan.base.name,
        "base_digest": plan.base.digest,
        "stage": asdict(node),
        "data": {"records": dict(plan.records.counts), "digest": plan.corpora[node.tags].digest()},
        "packages": package_versions(),
        "processes": distributed.count(),
    }
    if distributed.is_first():
        tokenizer = plan.paths[node.tags].tokenizer
        directory = plan.stage_dir / node.key
        save_stage(model, tokenizer, directory, manifest, result.history, result.cost, result.state_dict)
        shutil.rmtree(scratch)
    distributed.wait()


def _load(plan: Plan, weights: str | None, node: StageNode) -> torch.nn.Module:
    """The model as a stage left it, or the base model, ready to be trained as the node says."""
    from sftkey_train.model import load_for_training

    parent = plan.stage_dir / weights if weights else None
    vocabulary_size = len(plan.paths[node.tags].tokenizer) if node.settings.tag_tokens else 0
    return load_for_training(str(plan.base.path), parent, node.settings, vocabulary_size)


def _reference_data(plan: Plan, node: StageNode, reporter: StageReporter) -> ReferenceData:
    """What the stage's objective needs of its reference model, from the store or made now."""
    from sftkey_train.model import output_head
    from sftkey_train.objectives import OBJECTIVES
    from sftkey_train.references import (
        NO_REFERENCE,
        ReferenceData,
        cleaning_rank,
        read_hidden,
        read_log_probs,
    )

    needs = OBJECTIVES[node.stage.objective].needs
    if node.reference is None:
        return NO_REFERENCE
    if "reference_kl" in needs:
        directory = _scored(plan, node, node.reference, reporter, hidden=True)
        model = _reference_model(plan, node, node.reference)
        return ReferenceData({"reference_hidden": read_hidden(directory)}, output_head(model))
    reference_N = read_log_probs(_scored(plan, node, node.reference, reporter))
    if "cleaning_rank" in needs:
        base_N = read_log_probs(_scored(plan, node, BASE, reporter))
        rank_N = cleaning_rank(base_N, reference_N, plan.corpora[node.tags], node.stage.weights)
        return ReferenceData({"cleaning_rank": rank_N})
    return ReferenceData({"reference_log_probs": reference_N})


def _scored(
    plan: Plan, node: StageNode, weights: str, reporter: StageReporter, *, hidden: bool = False
) -> Path:
    """Folder of a reference model's view of the node's corpus."""
    directory = _reference_dir(plan, node, weights, hidden=hidden)
    with distributed.first_goes_ahead():
        if not directory.is_dir():
            from sftkey_train.references import score_corpus

            name = "the base" if weights == BASE else plan.graph.nodes[weights].label
            reporter.line(f"  reference model for {node.label}: {name} reads the training data once")
            model = _reference_model(plan, node, weights)
            score_corpus(model, plan.corpora[node.tags], directory, hidden=hidden)
    return directory


def _reference_dir(plan: Plan, node: StageNode, weights: str, *, hidden: bool) -> Path:
    from sftkey_train.references import reference_key

    corpus = plan.corpora[node.tags]
    source = weights
    if weights == BASE:  # the embeddings of added tokens are drawn by the seed
        source = plan.base.digest + (f" seed {node.seed}" if node.settings.tag_tokens else "")
    key = reference_key(source, corpus, hidden=hidden)
    return plan.config.store_dir / "references" / key


def _reference_model(plan: Plan, node: StageNode, weights: str) -> torch.nn.Module:
    import torch
    from transformers import set_seed

    set_seed(node.seed)
    model = _load(plan, None if weights == BASE else weights, node)
    return model.requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def _tracking(plan: Plan, node: StageNode) -> Iterator[None]:
    """Trackers write to the run's folder; else they would write to the scratch folder that is deleted."""
    directory = plan.config.out.resolve() / "tracking"
    wanted = {
        "TENSORBOARD_LOGGING_DIR": str(directory / f"{node.label} {node.key}".replace("/", "-")),
        "WANDB_DIR": str(directory),
        "WANDB_PROJECT": plan.config.out.name,
        "TRACKIO_PROJECT": plan.config.out.name,
    }
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def checkpoints(plan: Plan) -> list[Checkpoint]:
    """The untrained base and every variant × seed, as evaluation wants them."""
    base = whole_model(plan.base.path)
    found = [Checkpoint("base", "base", plan.base.name, None, UNTAGGED, None, str(plan.base.path), base)]
    for (name, seed), chain in plan.graph.chains.items():
        directory = plan.stage_dir / chain[-1]
        adapted = plan.config.train.method != "full"
        weights = (
            with_adapter(base, directory)
            if adapted
            else Weights(directory, None, read_manifest(directory)["weights_digest"])
        )
        found.append(
            Checkpoint(
                name=name,
                role="trained",
                model=plan.base.name,
                seed=seed,
                tags=plan.tags_of[name],
                method=plan.config.train.method,
                shown_path=str(directory),
                weights=weights,
                training=cost(plan, chain),
            )
        )
    return found


def cost(plan: Plan, chain: Sequence[str]) -> TrainingCost:
    """All that a variant's chain of stages took, shared stages and reference models in full."""
    nodes = [plan.graph.nodes[key] for key in chain]
    costs = [asdict(read_cost(plan.stage_dir / key)) for key in chain]
    references = [item for node in nodes for item in _reference_costs(plan, node)]
    return TrainingCost(
        **{name: sum(cost[name] for cost in costs) for name in costs[0]},
        stages=tuple(node.stage.name for node in nodes),
        reference_tokens=sum(cost.tokens_forward for cost in references),
        reference_flops=sum(cost.flops for cost in references),
        budget=_budget_in_words(nodes[0].settings),
    )


def _budget_in_words(settings: TrainSettings) -> str:
    """What is equal between variants, and how much of it there is."""
    whose = "in all" if settings.budget_of == "variant" else "in the first stage"
    if settings.amount is not None:
        return f"{settings.amount:,.10g} {settings.budget} {whose}"
    size = f"{settings.epochs:g} epoch{'s' if settings.epochs != 1 else ''} {whose}"
    return size if settings.budget == "epochs" else f"the {settings.budget} of {size}"


def curves(plan: Plan) -> list[dict[str, object]]:
    """The training history of every variant and seed, its stages one after another; rows as stored."""
    points: list[dict[str, object]] = []
    for (name, seed), chain in plan.graph.chains.items():
        steps = tokens = 0
        seconds = 0.0
        for number, key in enumerate(chain, 1):
            cost = read_cost(plan.stage_dir / key)
            for metrics in read_history(plan.stage_dir / key):
                points.append(
                    {
                        **asdict(metrics),
                        "entry": name,
                        "model": plan.base.name,
                        "seed": seed,
                        "stage": number,
                        "stage_name": plan.graph.nodes[key].stage.name,
                        "step": steps + metrics.step,
                        "tokens": tokens + metrics.tokens,
                        "wall_seconds": seconds + metrics.wall_seconds,
                    }
                )
            steps, tokens = steps + cost.steps, tokens + cost.tokens_forward
            seconds += cost.wall_seconds
    return points


def _reference_costs(plan: Plan, node: StageNode) -> list[StageCost]:
    """What a stage's reference models took: their training, and reading the data."""
    if node.reference is None:
        return []
    from sftkey_train.objectives import OBJECTIVES
    from sftkey_train.references import read_scoring_cost

    needs = OBJECTIVES[node.stage.objective].needs
    readers = [node.reference, *([BASE] if "cleaning_rank" in needs else [])]
    hidden = "reference_kl" in needs
    costs = [read_scoring_cost(_reference_dir(plan, node, weights, hidden=hidden)) for weights in readers]
    key: str | None = node.reference if node.reference != BASE else None
    while key is not None:
        costs.append(read_cost(plan.stage_dir / key))
        key = plan.graph.nodes[key].parent
    return costs
