"""Train what a plan needs and the store lacks: base model, stages, and what reference models say of the data.

What is done stays done: a stage is in the store the moment it is finished, and within a long stage a save is
made every few minutes, so that the same command after an interruption goes on from there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engines.api import EngineSettings, Request, Sampling
from harness.files import PARTIAL, REFERENCES
from harness.models.checkpoint import Checkpoint, Weights, whole_model, with_adapter
from harness.plan import UNTAGGED, Plan
from harness.progress import Reporter, StageReporter
from harness.provenance import package_versions
from harness.sampling import draw_all, examples
from leaderboards.results.schema import TrainingCost
from sftkey_train import distributed
from sftkey_train.corpus import Corpus
from sftkey_train.settings import TrainSettings
from sftkey_train.spans import encode
from sftkey_train.stages import BASE
from sftkey_train.stored import StageCost, read_cost, read_history, read_manifest, save_stage
from sftkey_train.text import TextPath
from tasks.errors import InputError
from tasks.files import remove
from tasks.leases import lease
from tasks.records import Record, render_prompt
from tasks.scoring import Item, score
from tasks.seals import kept, lock_of, usable
from tasks.tags import TagFormat, get_tag_format

if TYPE_CHECKING:
    import torch

    from sftkey_train.by_trl import Pair, Questions
    from sftkey_train.references import ReferenceData
    from sftkey_train.stages import StageNode
    from sftkey_train.trainer import Probe


def train_node(plan: Plan, node: StageNode, reporter: StageReporter) -> None:
    """Trains one stage, whose parent and reference are in the store, and puts it there.

    Where another run has it in hand, waits for that one's.
    """
    directory, first = plan.stage_dir / node.key, distributed.is_first()
    with lease(lock_of(directory), node.label) if first else nullcontext():
        if not distributed.agreed(first and usable(directory, node.label)):
            _train(plan, node, reporter)


def _train(plan: Plan, node: StageNode, reporter: StageReporter) -> None:
    from transformers import set_seed

    from sftkey_train.by_trl import train_by_trl
    from sftkey_train.trainer import train_stage

    learns_from = _learns_from(plan, node)
    reference = _reference_data(plan, node, reporter)
    set_seed(node.seed)  # decides how adapters begin
    model = _load(plan, node.parent, node)
    parent = plan.stage_dir / node.parent if node.parent else None
    scratch = plan.config.store_dir / PARTIAL / node.key
    scratch.mkdir(parents=True, exist_ok=True)
    tokenizer = plan.paths[node.tags].tokenizer
    with reporter.stage(node.label, node.num_steps) as show, _tracking(plan, node):
        if not isinstance(learns_from, Corpus):
            result = train_by_trl(model, tokenizer, learns_from, node, show, scratch=scratch)
        else:
            probe = validation_probe(plan, node)
            result = train_stage(
                model,
                learns_from,
                node,
                show,
                scratch=scratch,
                reference=reference,
                probe=probe,
                parent=parent,
            )
    if node.stage.method is not None:
        model = model.merge_and_unload()  # the stages around it train, and leave, whole weights
    manifest = {
        "base": plan.base.name,
        "base_digest": plan.base.digest,
        "stage": asdict(node),
        "data": {
            "records": plan.records.counts,
            "samples": node.data,
            "digest": learns_from.digest() if isinstance(learns_from, Corpus) else None,
        },
        "packages": package_versions(),
        "processes": distributed.count(),
    }
    if distributed.is_first():
        directory = plan.stage_dir / node.key
        save_stage(
            model,
            tokenizer,
            directory,
            manifest,
            result.history,
            result.cost,
            result.state_dict,
            result.moments,
        )
        remove(scratch)
    distributed.wait()


def _learns_from(plan: Plan, node: StageNode) -> Corpus | Questions | list[Pair]:
    """What the stage trains on: the training records, what it makes of samples, or questions."""
    if node.is_by_trl:
        from harness.rollouts import asked_of, pairs_of

        return pairs_of(plan, node) if node.data else asked_of(plan, node)
    if node.data is None:
        return plan.corpora[node.tags]
    records = examples(plan.stage_dir / node.data, node.stage.kind, node.label)
    return encode(records, get_tag_format(node.tags), plan.paths[node.tags], node.settings.max_length)


def _load(plan: Plan, weights: str | None, node: StageNode) -> torch.nn.Module:
    """The model as a stage left it, or the base model, ready to be trained as the node says."""
    from sftkey_train.model import load_for_training

    parent = plan.stage_dir / weights if weights else None
    vocabulary_size = len(plan.paths[node.tags].tokenizer) if node.settings.tag_tokens else 0
    layers = node.stage.last_layers
    return load_for_training(str(plan.base.path), parent, node.settings, vocabulary_size, layers)


def _reference_data(plan: Plan, node: StageNode, reporter: StageReporter) -> ReferenceData:
    """What the stage's objective needs of its reference model, from the store or made now."""
    from sftkey_train import references
    from sftkey_train.model import output_head

    if node.reference is None:
        return references.NO_REFERENCE
    needs = _needs(node)
    if "reference_kl" in needs:
        directory = _scored(plan, node, node.reference, reporter)
        head = output_head(_reference_model(plan, node, node.reference))
        return references.ReferenceData({"reference_hidden": references.read_hidden(directory)}, head)
    reference_N = references.read_log_probs(_scored(plan, node, node.reference, reporter))
    if "cleaning_rank" in needs:
        base_N = references.read_log_probs(_scored(plan, node, BASE, reporter))
        corpus, weights = plan.corpora[node.tags], node.stage.weights
        rank_N = references.cleaning_rank(base_N, reference_N, corpus, weights)
        return references.ReferenceData({"cleaning_rank": rank_N})
    return references.ReferenceData({"reference_log_probs": reference_N})


def _needs(node: StageNode) -> Collection[str]:
    """What the stage's objective needs of a reference model."""
    from sftkey_train.objectives import OBJECTIVES

    return OBJECTIVES[node.stage.objective].needs


def _scored(plan: Plan, node: StageNode, weights: str, reporter: StageReporter) -> Path:
    """Folder of a reference model's view of the node's corpus, made now where the store lacks it."""
    directory = _reference_dir(plan, node, weights)

    def make() -> None:
        from sftkey_train.references import score_corpus

        name = "the base" if weights == BASE else plan.graph.nodes[weights].label
        reporter.line(f"  reference model for {node.label}: {name} reads the training data once")
        model, hidden = _reference_model(plan, node, weights), "reference_kl" in _needs(node)
        score_corpus(model, plan.corpora[node.tags], directory, hidden=hidden)

    with distributed.first_goes_ahead():
        return kept(directory, make, f"what a reference model says for {node.label}")


def _reference_dir(plan: Plan, node: StageNode, weights: str) -> Path:
    from sftkey_train.references import reference_key

    source = weights
    if weights == BASE:  # the embeddings of added tokens are drawn by the seed
        source = plan.base.digest + (f" seed {node.seed}" if node.settings.tag_tokens else "")
    key = reference_key(source, plan.corpora[node.tags], hidden="reference_kl" in _needs(node))
    return plan.config.store_dir / REFERENCES / key


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
        "TENSORBOARD_LOGGING_DIR": str(directory / f"{node.label[:60]} {node.key}".replace("/", "-")),
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
    base, model = whole_model(plan.base.path), plan.base.name
    found = [Checkpoint("base", "base", model, None, UNTAGGED, None, plan.config.model, base)]
    for (name, seed), chain in plan.graph.chains.items():
        found.append(_checkpoint(plan, chain[-1], name, plan.tags_of[name], seed, _cost(plan, chain)))
    return found


def _checkpoint(
    plan: Plan, key: str, name: str, tags: str, seed: int, training: TrainingCost | None = None
) -> Checkpoint:
    """A trained stage, as engines want it."""
    directory, method = plan.stage_dir / key, plan.config.train.method
    if method == "full":
        weights = Weights(directory, None, read_manifest(directory)["weights_digest"])
    else:
        weights = with_adapter(whole_model(plan.base.path), directory)
    model = plan.base.name
    return Checkpoint(name, "trained", model, seed, tags, method, str(directory), weights, training=training)


def draw(plan: Plan, nodes: Sequence[StageNode], reporter: Reporter) -> None:
    """Draws the samples of these stages, whose parents are in the store, and puts them there."""
    todo = []
    for node in nodes:
        parent = plan.graph.nodes[str(node.parent)]
        name = f"{', '.join(parent.variants)} · {parent.stage.name}"
        todo.append((node, _checkpoint(plan, parent.key, name, parent.tags, parent.seed)))
    draw_all(plan, todo, reporter)


def _cost(plan: Plan, chain: Sequence[str]) -> TrainingCost:
    """All that a variant's chain of stages took, shared stages and reference models in full."""
    nodes = [plan.graph.nodes[key] for key in chain]
    costs = [asdict(read_cost(plan.stage_dir / node.key)) for node in nodes]
    costs += [_as_reference(item) for node in nodes for item in _reference_costs(plan, node)]
    return TrainingCost(
        **{name: sum(cost.get(name, 0) for cost in costs) for name in costs[0]},
        stages=tuple(node.stage.name for node in nodes),
        budget=_budget_in_words(nodes[0].settings),
    )


def _as_reference(cost: StageCost) -> dict[str, float]:
    return {"reference_tokens": cost.tokens_forward, "reference_flops": cost.flops}


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
        trained = [key for key in chain if not plan.graph.nodes[key].draws]
        for number, key in enumerate(trained, 1):
            cost = read_cost(plan.stage_dir / key)
            whose = {"entry": name, "model": plan.base.name, "seed": seed, "stage": number}
            whose["stage_name"] = plan.graph.nodes[key].stage.name
            for metrics in read_history(plan.stage_dir / key):
                passed = {
                    "step": steps + metrics.step,
                    "tokens": tokens + metrics.tokens,
                    "wall_seconds": seconds + metrics.wall_seconds,
                }
                parts = {"rewards": json.dumps(metrics.rewards) if metrics.rewards else None}
                points.append({**asdict(metrics), **parts, **whose, **passed})
            steps, tokens = steps + cost.steps, tokens + cost.tokens_forward
            seconds += cost.wall_seconds
    return points


def ensure_references(plan: Plan, reporter: StageReporter) -> None:
    """Makes again what reference models of trained stages say of the data, where it is damaged or has gone.

    The board's costs are read from it, also where no stage needs it any more.
    """
    for node in plan.graph.nodes.values():
        for weights in _readers(node):
            _scored(plan, node, weights, reporter)


def _readers(node: StageNode) -> list[str]:
    """The reference models that read the data for a stage."""
    if node.reference is None:
        return []
    return [node.reference, *([BASE] if "cleaning_rank" in _needs(node) else [])]


def _reference_costs(plan: Plan, node: StageNode) -> list[StageCost]:
    """What a stage's reference models took: their training, and reading the data."""
    if node.reference is None:
        return []
    from sftkey_train.references import read_scoring_cost

    costs = [read_scoring_cost(_reference_dir(plan, node, weights)) for weights in _readers(node)]
    key: str | None = node.reference if node.reference != BASE else None
    while key is not None:
        costs.append(read_cost(plan.stage_dir / key))
        key = plan.graph.nodes[key].parent
    return costs


@dataclass(frozen=True)
class ValidationProbe:
    """Answers validation records with the model as it stands, by transformers' generate.

    Attributes:
        path: The model's text path.
        tag_format: How its outputs are parsed.
        records: What it is asked.
        sampling: How it answers each record.
    """

    path: TextPath
    tag_format: TagFormat
    records: tuple[Record, ...]
    sampling: tuple[Sampling, ...]

    def __call__(self, model: torch.nn.Module) -> Mapping[str, float]:
        """Share of the records answered right, and in the tag format."""
        from harness.engines.hf import HfEngine

        engine = HfEngine(EngineSettings())
        engine.adopt(model, self.path.tokenizer)
        prompts = [self.path.wrap(render_prompt(record)) for record in self.records]
        ids = self.path.ids(prompts)
        requests = [Request(tuple(one), how) for one, how in zip(ids, self.sampling, strict=True)]
        scores = []
        for index, (completion,) in engine.generate(requests):
            # As evaluation does: a prompt that ends in the opening tag has begun the reasoning.
            text, truncated = completion.text, completion.finish_reason == "length"
            record, prompt = self.records[index], prompts[index]
            scores.append(score(Item.of(record, text, self.tag_format, truncated=truncated, prompt=prompt)))
        return {
            "accuracy": sum(score.accuracy for score in scores) / len(scores),
            "format_valid": sum(score.format_valid for score in scores) / len(scores),
        }


def validation_probe(plan: Plan, node: StageNode) -> Probe | None:
    """The probe of a stage, where the settings ask for one.

    Raises:
        InputError: No benchmark has validation records; test questions are never looked at here.
    """
    if node.settings.validate_every is None:
        return None
    path, config = plan.paths[node.tags], plan.config
    records: list[Record] = []
    sampling: list[Sampling] = []
    for benchmark in filter(lambda one: one.has_validation, plan.benchmarks):
        available = benchmark.iter_records("validation", config.data_dir)
        found = list(islice(available, node.settings.validation_records))
        budget, stop = config.eval.max_new_tokens or benchmark.max_new_tokens, benchmark.stop
        how = Sampling(budget, stop=(*stop, *path.stop_strings), stop_ids=path.stop_ids)
        records, sampling = records + found, sampling + [how] * len(found)
    if not records:
        raise InputError(
            "train.validate_every needs a benchmark with validation or training records; leave it out"
        )
    return ValidationProbe(path, get_tag_format(node.tags), tuple(records), tuple(sampling))
