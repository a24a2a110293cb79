"""The story of a run, from top to bottom: plan, train, generate, score, store, board, report.

What is done stays done: stages, completions and evaluations are in the store the moment they are finished, so
that the same command after an interruption goes on from there and comes to the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.config import Config, dump_config
from harness.data import TrainingRecords
from harness.evaluation.evaluate import Evaluator
from harness.evaluation.exact import check_exactness, refuse_comparison
from harness.evaluation.generations import GenerationStore
from harness.evaluation.judge import judge_results
from harness.evaluation.overlap import find_overlaps
from harness.jobs import checkpoints, curves, ensure_base, train_node
from harness.models import Checkpoint
from harness.plan import Plan
from harness.pool import train_all
from harness.progress import Reporter
from harness.provenance import provenance
from leaderboards.results.schema import Entry, Overlap
from leaderboards.results.store import write_results
from sftkey_train import distributed
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.tags import keep_formats

if TYPE_CHECKING:
    import pandas as pd


def train(plan: Plan, reporter: Reporter) -> None:
    """Trains every stage of the plan that is not in the store, together with the launch's other processes.

    Raises:
        InputError: The method needs what is not installed.
    """
    from sftkey_train.model import check_method

    check_method(plan.config.train.method)
    with distributed.first_goes_ahead():
        ensure_base(plan, reporter)
    todo = distributed.agreed([node for node in plan.graph.nodes.values() if not plan.is_trained(node.key)])
    reporter.line(f"training {len(todo)} of {len(plan.graph.nodes)} stages; the others are in the store")
    train_all(plan, todo, train_node, reporter)


def evaluate_plan(plan: Plan, reporter: Reporter) -> None:
    """Evaluates the base and all that a plan has trained, and writes results and training curves."""
    evaluate(plan.config, plan.benchmarks, checkpoints(plan), reporter, plan)


def evaluate(
    config: Config,
    benchmarks: Sequence[Benchmark],
    wanted: Sequence[Checkpoint],
    reporter: Reporter,
    plan: Plan | None = None,
) -> None:
    """Evaluates checkpoints and writes the run's results under `config.out`, in lm-eval's form too.

    Args:
        config: Of the run.
        benchmarks: What to evaluate on.
        wanted: What to evaluate.
        reporter: Shows progress.
        plan: What trained them, where that was this run.
    """
    import pandas as pd

    reporter.line(f"evaluating {len(wanted)} checkpoints on {', '.join(b.name for b in benchmarks)}")
    with GenerationStore(config.store_dir / "generations.sqlite") as store:
        evaluator = Evaluator(config, benchmarks, store, reporter)
        if config.eval.exact:
            refuse_comparison(wanted, evaluator.engine)
        try:
            found = evaluator.evaluate(wanted)
        finally:
            evaluator.engine.close()
        if config.eval.exact:
            found = check_exactness(config, evaluator.questions, wanted, found, store, reporter)
        records = {benchmark.name: evaluator.records(benchmark) for benchmark in benchmarks}
        if config.eval.judge.wanted:
            found = judge_results(
                found, [one.tags for one in wanted], records, config.eval.judge, store, reporter, config.out
            )
    if plan is not None:
        found = _with_overlaps(found, find_overlaps(TrainingRecords(config, benchmarks), records))
    keep_formats(config.out, [one.tags for one in wanted])
    entries, samples = [entry for entry, _ in found], pd.concat([frame for _, frame in found])
    write_results(config.out, provenance(dump_config(config)), entries, samples, curves(plan) if plan else ())
    evaluator.write_lm_eval_files(config.out)


def _with_overlaps(
    found: Sequence[tuple[Entry, pd.DataFrame]], overlaps: Mapping[str, Overlap]
) -> list[tuple[Entry, pd.DataFrame]]:
    """What was trained here knows its training data; of the base nothing is known."""
    return [
        (
            replace(
                entry,
                evaluations=tuple(replace(one, overlap=overlaps[one.benchmark]) for one in entry.evaluations),
            )
            if entry.role == "trained"
            else entry,
            samples,
        )
        for entry, samples in found
    ]


def resolve_benchmarks(config: Config) -> tuple[Benchmark, ...]:
    """The benchmarks of a configuration."""
    return tuple(load_benchmark(name) for name in config.benchmarks)
