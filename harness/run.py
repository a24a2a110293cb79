"""Evaluate checkpoints, those of a plan or trained elsewhere, and write results.

What is done stays done: completions are in the store the moment they are finished, so that the same command
after an interruption goes on from there and comes to the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.config import EMBEDDED, Config, dump_config
from harness.evaluate import Candidate, Evaluator
from harness.generations import GenerationStore
from harness.intake import Checkpoint, locate_model, model_name, whole_model, with_adapter
from harness.plan import UNTAGGED, Plan
from harness.progress import Reporter
from harness.provenance import provenance
from harness.training import cost, curves
from leaderboards.results import CurvePoint, Entry, SampleRow, write_results
from sftkey_train import processes
from sftkey_train.checkpoint import read_manifest
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError


def candidates(plan: Plan) -> list[Candidate]:
    """The untrained base and every variant × seed, as evaluation wants them."""
    base = whole_model(plan.base.path)
    found = [Candidate("base", "base", plan.base.name, None, UNTAGGED, None, str(plan.base.path), base)]
    for (name, seed), chain in plan.graph.chains.items():
        directory = plan.stage_dir / chain[-1]
        adapted = plan.config.train.method != "full"
        checkpoint = (
            with_adapter(base, directory)
            if adapted
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
                training=cost(plan, chain),
            )
        )
    return found


def evaluate_plan(plan: Plan, reporter: Reporter) -> None:
    """Evaluates the base and all that a plan has trained, and writes results and training curves."""
    evaluate(plan.config, plan.benchmarks, candidates(plan), reporter, curves(plan))


def evaluate(
    config: Config,
    benchmarks: Sequence[Benchmark],
    wanted: Sequence[Candidate],
    reporter: Reporter,
    training: Sequence[CurvePoint] = (),
) -> None:
    """Evaluates candidates and writes the run's results under `config.out`."""
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
    write_results(config.out, provenance(dump_config(config)), entries, rows, training)


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
    """Makes the run's folder, stores the configuration, and keeps a second run out of it.

    Of the processes of one launch, the first does that for all.

    Raises:
        InputError: Another process works in it, or it cannot be written.
    """
    import fcntl

    if not processes.is_first():
        yield
        return
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
