"""`harness train-and-eval`, `harness train` and `harness sweep`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.commands.leaderboard import report
from harness.commands.options import (
    Benchmarks,
    Budget,
    ConfigFile,
    DataDir,
    DryRun,
    EngineName,
    Exact,
    Judge,
    Limit,
    Method,
    Model,
    Out,
    Quick,
    Seeds,
    Setting,
    Variants,
    flags,
)
from harness.commands.screen import console

if TYPE_CHECKING:
    from harness.config import Config


def train_and_eval(
    config: ConfigFile = None,
    model: Model = None,
    benchmarks: Benchmarks = None,
    variants: Variants = None,
    seeds: Seeds = None,
    method: Method = None,
    budget: Budget = None,
    engine: EngineName = None,
    data_dir: DataDir = None,
    limit: Limit = None,
    exact: Exact = None,
    judge: Judge = None,
    out: Out = None,
    setting: Setting = None,
    quick: Quick = False,
    dry_run: DryRun = False,
) -> None:
    """Train the variants, evaluate them all, and write the leaderboard."""
    from harness.config import judge_flags, load_config

    given = flags(model, benchmarks, variants, seeds, method, engine, data_dir, limit, out)
    given |= _budget(budget) | judge_flags(judge) | {"eval.exact": exact}
    resolved = load_config(config, given, setting or [], quick=quick)
    _train(resolved, dry_run=dry_run, then_evaluate=True)


def train(
    config: ConfigFile = None,
    model: Model = None,
    benchmarks: Benchmarks = None,
    variants: Variants = None,
    seeds: Seeds = None,
    method: Method = None,
    budget: Budget = None,
    data_dir: DataDir = None,
    limit: Limit = None,
    out: Out = None,
    setting: Setting = None,
    quick: Quick = False,
    dry_run: DryRun = False,
) -> None:
    """Train the variants and print where the checkpoints are."""
    from harness.config import load_config

    given = flags(model, benchmarks, variants, seeds, method, None, data_dir, limit, out)
    resolved = load_config(config, given | _budget(budget), setting or [], quick=quick)
    _train(resolved, dry_run=dry_run, then_evaluate=False)


def sweep(
    grid: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting and its values, such as learning_rate=1e-5,3e-5; may be repeated. "
            "Half, once and twice the learning rate × stage2_share 0.25 and 0.5 where none is given.",
            metavar="name=a,b",
        ),
    ] = None,
    config: ConfigFile = None,
    model: Model = None,
    benchmarks: Benchmarks = None,
    variants: Variants = None,
    seeds: Seeds = None,
    method: Method = None,
    budget: Budget = None,
    engine: EngineName = None,
    data_dir: DataDir = None,
    limit: Limit = None,
    out: Out = None,
    setting: Setting = None,
    quick: Quick = False,
) -> None:
    """Choose each variant's settings on validation questions, never on the test's."""
    from harness import sweep as sweeping
    from harness.config import load_config
    from harness.progress import Reporter
    from sftkey_train import distributed
    from tasks.errors import InputError

    if distributed.count() > 1:
        raise InputError("a sweep is one process; stages run side by side on the GPUs there are")
    given = flags(model, benchmarks, variants, seeds, method, engine, data_dir, limit, out)
    resolved = load_config(config, given | _budget(budget), setting or [], quick=quick)
    chosen_grid = sweeping.parse_grid(grid) if grid else sweeping.default_grid(resolved)
    resolved.out.mkdir(parents=True, exist_ok=True)
    tried = sweeping.sweep(resolved, chosen_grid, Reporter(console(stderr=True)))
    console().print(sweeping.table(tried, resolved.rank_by))
    print(f"next: harness train-and-eval --config {sweeping.chosen_path(resolved)}")


def _budget(text: str | None) -> dict[str, Any]:
    """`tokens=2e6` as configuration: the unit, and the amount where it is said."""
    if text is None:
        return {}
    from tasks.errors import InputError

    unit, equals, amount = text.partition("=")
    try:
        return {"train.budget": unit, "train.amount": float(amount) if equals else None}
    except ValueError as error:
        raise InputError(f"--budget {text}: expected a number after =, such as {unit}=500") from error


def _train(config: Config, *, dry_run: bool, then_evaluate: bool) -> None:
    from harness import run
    from harness.commands.plan_view import print_plan
    from harness.files import run_folder
    from harness.plan import make_plan
    from harness.progress import Reporter
    from sftkey_train import distributed

    with distributed.first_goes_ahead():  # which fills the caches of models and data
        plan = make_plan(config)
    print_plan(plan, console())
    if dry_run:
        return
    reporter = Reporter(console(stderr=True))
    with run_folder(config):
        run.train(plan, reporter)
        if not distributed.leave():
            return
        if not then_evaluate:
            for (name, seed), chain in plan.graph.chains.items():
                print(f"{name} seed {seed}: {plan.stage_dir / chain[-1]}")
            return
        run.evaluate_plan(plan, reporter)
        report([config.out], config.out / "leaderboard", config.reference, config.rank_by, config.alpha)
