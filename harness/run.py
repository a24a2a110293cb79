"""The story of a run, from top to bottom: plan, train, generate, score, store, board, report.

`harness.plan.make_plan` gives the plan. Each step below takes what the one before has left on disk, holds the
run's folder while it works, and may be called alone. What is done stays done: stages, completions and
evaluations are in the store the moment they are finished, so that the same command after an interruption goes
on from there and comes to the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.claims import declare, is_decided, looks, on_record
from harness.config import Config, dump_config
from harness.engines.registry import import_ahead
from harness.evaluation.evaluate import Evaluator
from harness.evaluation.exact import check_exactness
from harness.evaluation.generations import GenerationStore
from harness.evaluation.judge import judge_results
from harness.evaluation.overlap import find_overlaps, with_overlap
from harness.files import locked, run_folder
from harness.jobs import checkpoints, curves, draw, ensure_references, train_node
from harness.models.checkpoint import Checkpoint
from harness.plan import Plan, make_plan
from harness.pool import train_all
from harness.progress import Reporter
from harness.provenance import provenance
from leaderboards.results.schema import Entry
from leaderboards.results.store import read_outcomes, write_results
from sftkey_train import distributed
from sftkey_train.stages import rounds
from tasks.shown import neutral
from tasks.tags import keep_formats

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from leaderboards.board.rows import Board
    from leaderboards.report.write import ReportPaths
    from leaderboards.results.schema import RunResults


def train_and_eval(plan: Plan, reporter: Reporter | None = None) -> Report | None:
    """The whole story: what `harness train-and-eval` does once it has shown the plan.

    Returns:
        The report; None in those processes of a launch that are done when all is trained.

    Raises:
        InputError: Another process works in the run's folder, or something else that the user can mend.
    """
    config, reporter = plan.config, reporter or Reporter()
    with run_folder(config):
        smaller = [make_plan(one) for one in config.smaller()]
        for one in smaller:
            train(one, reporter)
        for step in looks(plan):  # one, or one for each number of seeds until the claim is decided
            if not train(step, reporter, ahead=True):
                return None
            while smaller:
                evaluate(smaller.pop(0), reporter)
            evaluate(step, reporter)
            if is_decided(config, reporter):
                break
        return report_on([config.out], config.out / "leaderboard", config)


def train(plan: Plan, reporter: Reporter | None = None, *, ahead: bool = False) -> bool:
    """Trains every stage of the plan that is not in the store, together with the launch's other processes.

    Args:
        plan: What to train.
        reporter: Shows progress.
        ahead: Whether an evaluation follows, whose imports may begin while a worker is idle.

    Returns:
        Whether this process goes on: of a launch, the first does, alone.

    Raises:
        InputError: Another process works in the run's folder, or a stage cannot be trained here.
    """
    reporter = reporter or Reporter()
    with run_folder(plan.config):
        if distributed.is_first():
            declare(plan)
        nodes = plan.graph.nodes.values()
        todo = distributed.agreed([node for node in nodes if not plan.is_trained(node.key)])
        reporter.line(f"training {len(todo)} of {len(nodes)} stages; the others are in the store")
        import_engine = partial(import_ahead, plan.engine) if ahead else None
        for now, samples in rounds(todo):
            train_all(plan, now, train_node, reporter, import_engine)
            draw(plan, samples, reporter)
        ensure_references(plan, reporter)
        return distributed.leave()


def evaluate(plan: Plan, reporter: Reporter | None = None) -> None:
    """Evaluates the base and all that a plan has trained; stores results and training curves."""
    evaluate_checkpoints(plan.config, checkpoints(plan), reporter, plan)


def evaluate_checkpoints(
    config: Config, wanted: Sequence[Checkpoint], reporter: Reporter | None = None, plan: Plan | None = None
) -> None:
    """Generates and scores what the store lacks, and writes the results under `config.out`.

    Args:
        config: Of the run.
        wanted: What to evaluate.
        reporter: Shows progress.
        plan: What trained them, where that was this run.
    """
    import pandas as pd

    reporter = reporter or Reporter()
    benchmarks = config.load_benchmarks()
    reporter.line(f"evaluating {len(wanted)} checkpoints on {', '.join(one.name for one in benchmarks)}")
    with run_folder(config), GenerationStore(config.store_dir / "generations.sqlite") as store:
        evaluator = Evaluator(config, benchmarks, store, reporter)
        found = _generated_and_scored(evaluator, config, wanted, store, reporter)
        if plan is not None:
            asked = {benchmark.name: evaluator.records(benchmark) for benchmark in benchmarks}
            overlaps = find_overlaps(plan.records, asked)
            tuned = {
                of.name: config.tuned.get(name)
                for name, of in zip(config.variants, plan.variants, strict=True)
            }
            found = [
                (with_overlap(replace(entry, tuning=tuned.get(entry.name)), overlaps), frame)
                for entry, frame in found
            ]
        keep_formats(config.out, [one.tags for one in wanted])
        entries, samples = [entry for entry, _ in found], pd.concat([frame for _, frame in found])
        history = curves(plan) if plan else ()
        text = dump_config(config)
        write_results(config.out, provenance(text), entries, samples, history, text, on_record(config.out))
        evaluator.write_lm_eval_files(config.out)


def _generated_and_scored(
    evaluator: Evaluator,
    config: Config,
    wanted: Sequence[Checkpoint],
    store: GenerationStore,
    reporter: Reporter,
) -> list[tuple[Entry, pd.DataFrame]]:
    """Entry and samples of each checkpoint, by the rule, and by the exact engine and a judge where asked."""
    try:
        found = evaluator.evaluate(wanted)
    finally:
        evaluator.engine.close()
    if config.eval.exact:
        found = check_exactness(config, evaluator.questions, wanted, found, store, reporter)
    if config.eval.judge.wanted:
        tags = [one.tags for one in wanted]
        records = {one.name: evaluator.records(one) for one in evaluator.questions.benchmarks}
        found = judge_results(found, tags, records, config.eval.judge, store, reporter, config.out)
    return found


class Report(NamedTuple):
    """A board, the files that show it, and what is said of entries that might stand beside the runs."""

    board: Board
    paths: ReportPaths
    notes: Sequence[str]

    def show(self, screen: Console, *, full: bool = False) -> None:
        """Prints the board (in full with all that stands behind it), notes, and the page's place."""
        from leaderboards.report.terminal import render

        render(self.board, screen, full=full)
        screen.print()
        for line in (*self.notes, f"leaderboard: {self.paths.html}"):
            screen.print(neutral(line), highlight=False, markup=False, soft_wrap=True)


def report_on(run_dirs: Sequence[Path], out: Path, config: Config) -> Report:
    """Builds the board of stored runs, with a configuration's reference, ranking and alpha, and writes it."""
    runs = [read_outcomes(path) for path in run_dirs]
    names = ("reference", "rank_by", "alpha", "claims")
    return report(runs, out, **{name: getattr(config, name) for name in names})


def report(
    runs: Sequence[RunResults],
    out: Path,
    *,
    reference: str | None = None,
    rank_by: str = "accuracy",
    alpha: float = 0.7,
    entries: Path | None = None,
    allow_different: Sequence[str] = (),
    most_samples: int = 100_000,
    claims: Sequence[str] = (),
    margin: float = 0.01,
    reported: bool = False,
) -> Report:
    """Builds the board of runs and of the entries that belong beside them, and writes its files.

    Args:
        runs: Stored results.
        out: Folder of the report.
        reference: Entry that differences are taken to; the board's own choice where None.
        rank_by: Metric that ranks.
        alpha: Weight of accuracy in score.
        entries: Folder of entry files; the project's where None.
        allow_different: Aspects in which results may differ, and are then marked.
        most_samples: At most so many in the page.
        claims: To be answered beside those on record.
        margin: Within how much entries are called equivalent, a share of 1.
        reported: Whether what papers report stands in other forms than the page, too.

    Raises:
        InputError: The results are not comparable, or an entry file is faulty.
    """
    from leaderboards.board.build import build_board
    from leaderboards.report.write import write_report
    from leaderboards.results.comparability import checked_aspects
    from leaderboards.results.entry_files import ENTRIES_DIR, join_entries, read_entries
    from leaderboards.results.reported import matching_reported, read_reported

    folder = entries or ENTRIES_DIR
    joined = join_entries(runs, read_entries(folder), allowed=checked_aspects(allow_different))
    runs = [*runs, *joined.runs]
    asked = {one.benchmark for run in runs for entry in run.entries for one in entry.evaluations}
    board = build_board(
        runs,
        reference=reference,
        rank_by=rank_by,
        alpha=alpha,
        allow_different=allow_different,
        reported=matching_reported(read_reported(folder), asked),
        claims=claims,
        margin=margin,
    )
    with locked(out, wait=True):
        paths = write_report(board, out, runs, most_samples, reported)
    return Report(board if reported else replace(board, reported=()), paths, joined.lines)
