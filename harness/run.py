"""Carry a plan out: train what the store lacks, evaluate every checkpoint, write results and report.

What is done stays done: stages and completions are in the store the moment they are finished, so that the
same command after an interruption goes on from there and comes to the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import EMBEDDED, Config, dump_config
from harness.evaluate import Candidate, Evaluator
from harness.generations import GenerationStore
from harness.intake import Checkpoint, cache_dir, locate_model, model_name, whole_model, with_adapter
from harness.plan import UNTAGGED, Plan
from harness.progress import Reporter
from harness.provenance import package_versions, provenance
from leaderboards.results import Entry, SampleRow, TrainingCost, write_results
from sftkey_train.checkpoint import read_manifest, save_checkpoint
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError

if TYPE_CHECKING:
    from sftkey_train.stages import StageNode


def ensure_base(plan: Plan, reporter: Reporter) -> None:
    """Builds the embedded base model where the cache lacks it."""
    if plan.config.model != EMBEDDED or plan.base.path.is_dir():
        return
    from sftkey_train.embedded import build_embedded_base

    with reporter.stage("base model", 0) as progress:
        build_embedded_base(cache_dir(), progress.update)


def train(plan: Plan, reporter: Reporter) -> None:
    """Trains every stage of the plan that is not in the store."""
    ensure_base(plan, reporter)
    todo = [node for node in plan.graph.nodes.values() if not plan.is_trained(node.key)]
    reporter.line(f"training {len(todo)} of {len(plan.graph.nodes)} stages; the others are in the store")
    for node in todo:
        _train_stage(plan, node, reporter)


def _train_stage(plan: Plan, node: StageNode, reporter: Reporter) -> None:
    from transformers import set_seed

    from sftkey_train.model import load_for_training, load_tokenizer
    from sftkey_train.trainer import train_stage

    set_seed(node.seed)  # decides how adapters begin
    settings = plan.config.train
    parent = plan.stage_dir / node.parent if node.parent else None
    model = load_for_training(str(plan.base.path), parent, settings)
    with reporter.stage(node.label, node.num_steps) as progress:
        result = train_stage(model, plan.corpora[node.tags], node, settings, progress.update)
    manifest = {
        "base": plan.base.name,
        "base_digest": plan.base.digest,
        "stage": asdict(node),
        "train": asdict(settings),
        "data": {"records": dict(plan.train_records), "digest": plan.corpora[node.tags].digest()},
        "packages": package_versions(),
        "cost": {
            "steps": node.num_steps,
            "tokens_forward": result.tokens_forward,
            "tokens_loss": result.tokens_loss,
            "flops": result.flops,
            "wall_seconds": result.wall_seconds,
        },
    }
    tokenizer = load_tokenizer(str(plan.base.path))
    history = [asdict(metrics) for metrics in result.history]
    save_checkpoint(model, tokenizer, plan.stage_dir / node.key, manifest, history)


def candidates(plan: Plan) -> list[Candidate]:
    """The untrained base and every variant × seed, as evaluation wants them."""
    base = whole_model(plan.base.path)
    found = [Candidate("base", "base", plan.base.name, None, UNTAGGED, None, str(plan.base.path), base)]
    for (name, seed), chain in plan.graph.chains.items():
        directory = plan.stage_dir / chain[-1]
        lora = plan.config.train.method == "lora"
        checkpoint = (
            with_adapter(base, directory)
            if lora
            else Checkpoint(directory, None, read_manifest(directory)["weights_digest"])
        )
        found.append(
            Candidate(
                name=name,
                role="trained",
                model=plan.base.name,
                seed=seed,
                tags=plan.tags_of[name],
                method=plan.config.train.method,
                shown_path=str(directory),
                checkpoint=checkpoint,
                training=_cost(plan, chain),
            )
        )
    return found


def _cost(plan: Plan, chain: Sequence[str]) -> TrainingCost:
    """All that a variant's chain of stages took, shared stages in full."""
    manifests = [read_manifest(plan.stage_dir / key) for key in chain]
    costs = [manifest["cost"] for manifest in manifests]
    return TrainingCost(
        steps=sum(cost["steps"] for cost in costs),
        tokens_forward=sum(cost["tokens_forward"] for cost in costs),
        tokens_loss=sum(cost["tokens_loss"] for cost in costs),
        flops=sum(cost["flops"] for cost in costs),
        wall_seconds=sum(cost["wall_seconds"] for cost in costs),
        stages=tuple(manifest["stage"]["stage"]["name"] for manifest in manifests),
    )


def evaluate(
    config: Config, benchmarks: Sequence[Benchmark], wanted: Sequence[Candidate], reporter: Reporter
) -> None:
    """Evaluates candidates and writes `results.json` and `samples.parquet` under `config.out`."""
    reporter.line(f"evaluating {len(wanted)} checkpoints on {', '.join(b.name for b in benchmarks)}")
    entries: list[Entry] = []
    rows: list[SampleRow] = []
    with GenerationStore(config.store_dir / "generations.sqlite") as store:
        evaluator = Evaluator(config, benchmarks, store, reporter)
        try:
            for candidate in wanted:
                entry, samples = evaluator.evaluate(candidate)
                entries.append(entry)
                rows += samples
        finally:
            evaluator.engine.close()
    write_results(config.out, provenance(dump_config(config)), entries, rows)


def external_candidates(config: Config, adapters: Sequence[Path], name: str | None) -> list[Candidate]:
    """A model trained elsewhere, or adapters on it, as evaluation wants them.

    Args:
        config: Its `model` is the checkpoint, or the adapters' base.
        adapters: PEFT adapter folders; the model itself is evaluated where there are none.
        name: As the leaderboard shows it; the folder's or Hub id's last part where None.

    Raises:
        InputError: A checkpoint cannot be found, or one name would stand for several adapters.
    """
    if name and len(adapters) > 1:
        raise InputError("--name can name one checkpoint; leave it out with several adapters")
    if config.model == EMBEDDED:
        raise InputError("name the checkpoint: harness eval --model ID|PATH")
    model_dir = locate_model(config.model)
    base = whole_model(model_dir)
    shown = model_name(config.model, model_dir)
    if not adapters:
        own = name or shown.rsplit("/", 1)[-1]
        return [Candidate(own, "external", shown, None, config.tags, None, config.model, base)]
    names = [name or path.resolve().name for path in adapters]
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{path.resolve().name}" for path in adapters]
    if len(set(names)) < len(names):
        raise InputError("two adapters have the same name; evaluate them one by one with --name")
    return [
        Candidate(own, "external", shown, None, config.tags, None, str(path), with_adapter(base, path))
        for own, path in zip(names, adapters, strict=True)
    ]


def resolve_benchmarks(config: Config) -> tuple[Benchmark, ...]:
    """The benchmarks of a configuration."""
    return tuple(load_benchmark(name) for name in config.benchmarks)


@contextmanager
def run_folder(config: Config) -> Iterator[None]:
    """Makes the run's folder, stores the configuration, and keeps a second process out of it.

    Raises:
        InputError: Another process works in it, or it cannot be written.
    """
    import fcntl

    try:
        config.out.mkdir(parents=True, exist_ok=True)
        lock = (config.out / ".lock").open("w")
    except OSError as error:
        raise InputError(f"{config.out}: cannot be written ({error.strerror}); use another --out") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{config.out}: another run works in this folder; wait for it or use --out"
            ) from error
        (config.out / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        yield
