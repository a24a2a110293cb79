"""The `harness` command. Every heavy import is inside the function that needs it, so that help is instant."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from harness.config import Config

app = typer.Typer(
    help="Does one SFT variant really beat another? Train, evaluate and compare, with honest statistics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file; flags and --set override it.", show_default=False)
]
Model = Annotated[
    str | None,
    typer.Option(help="Model: 'embedded', a folder or a Hub id.", metavar="ID|PATH", show_default=False),
]
Benchmarks = Annotated[
    str | None,
    typer.Option(
        help="Benchmarks, with commas (harness list benchmarks).", metavar="a,b", show_default=False
    ),
]
Variants = Annotated[
    str | None,
    typer.Option(help="Variants, with commas (harness list variants).", metavar="a,b", show_default=False),
]
Seeds = Annotated[int | None, typer.Option(help="Number of seeds.", show_default=False)]
Method = Annotated[
    str | None,
    typer.Option(help="full, lora, dora, rslora or qlora.", metavar="full|lora|…", show_default=False),
]
Budget = Annotated[
    str | None,
    typer.Option(
        help="What is equal between variants: steps, tokens or epochs; with =N, how much.",
        metavar="steps|tokens|epochs[=N]",
        show_default=False,
    ),
]
EngineName = Annotated[
    str | None, typer.Option("--engine", help="auto, vllm or hf.", metavar="auto|vllm|hf", show_default=False)
]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of benchmark data, in place of the Hub.", show_default=False)
]
Limit = Annotated[
    int | None,
    typer.Option(
        help="Use at most N records of each benchmark, in training and in evaluation.", show_default=False
    ),
]
Out = Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any configuration key, such as train.learning_rate=1e-5.", metavar="key=value"
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="A first look at the embedded world, in about a minute.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved plan and do nothing.")]
Tags = Annotated[str | None, typer.Option(help="Tag format (harness list tags).", show_default=False)]


@app.command("train-and-eval")
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
    out: Out = None,
    setting: Setting = None,
    quick: Quick = False,
    dry_run: DryRun = False,
) -> None:
    """Train the variants, evaluate them all, and write the leaderboard."""
    from harness.config import load_config

    flags = _flags(model, benchmarks, variants, seeds, method, engine, data_dir, limit, out)
    resolved = load_config(config, flags | _budget(budget), setting or [], quick=quick)
    _train(resolved, dry_run=dry_run, then_evaluate=True)


@app.command()
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

    flags = _flags(model, benchmarks, variants, seeds, method, None, data_dir, limit, out)
    resolved = load_config(config, flags | _budget(budget), setting or [], quick=quick)
    _train(resolved, dry_run=dry_run, then_evaluate=False)


@app.command()
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
    from sftkey_train import processes
    from tasks.errors import InputError

    if processes.count() > 1:
        raise InputError("a sweep is one process; stages run side by side on the GPUs there are")
    flags = _flags(model, benchmarks, variants, seeds, method, engine, data_dir, limit, out)
    resolved = load_config(config, flags | _budget(budget), setting or [], quick=quick)
    chosen_grid = sweeping.parse_grid(grid) if grid else sweeping.default_grid(resolved)
    resolved.out.mkdir(parents=True, exist_ok=True)
    tried = sweeping.sweep(resolved, chosen_grid, Reporter(_console(stderr=True)))
    _console().print(sweeping.table(tried, resolved.rank_by))
    print(f"next: harness train-and-eval --config {sweeping.chosen_path(resolved)}")


@app.command("eval")
def evaluate(
    model: Annotated[
        str, typer.Option(help="Checkpoint, or base of the adapters: folder or Hub id.", metavar="ID|PATH")
    ],
    benchmarks: Annotated[str, typer.Option(help="Benchmarks, with commas.", metavar="a,b")],
    adapter: Annotated[
        list[Path] | None, typer.Option(help="PEFT adapter folder on the model; may be repeated.")
    ] = None,
    tags: Tags = None,
    name: Annotated[str | None, typer.Option(help="Name on the leaderboard.", show_default=False)] = None,
    instruct: Annotated[
        bool, typer.Option("--instruct", help="Say in the prompt in which format to answer.")
    ] = False,
    config: ConfigFile = None,
    engine: EngineName = None,
    data_dir: DataDir = None,
    limit: Limit = None,
    out: Out = None,
    setting: Setting = None,
) -> None:
    """Evaluate a checkpoint trained elsewhere."""
    from harness import run
    from harness.config import load_config
    from harness.progress import Reporter
    from tasks.tags import get_tag_format

    flags = _flags(model, benchmarks, None, None, None, engine, data_dir, limit, out)
    flags |= {"eval.instruct": True if instruct else None, "tags": tags}
    label = name or "+".join(path.resolve().name for path in adapter or [Path(model)])
    defaults = {"tags": "none", "out": Path("runs") / f"{label}-{benchmarks.replace(',', '+')}"}
    resolved = load_config(config, flags, setting or [], defaults=defaults)
    get_tag_format(resolved.tags)
    reporter = Reporter(_console(stderr=True))
    with run.run_folder(resolved):
        wanted = run.external_candidates(resolved, adapter or [], name)
        run.evaluate(resolved, run.resolve_benchmarks(resolved), wanted, reporter)
        _report(
            [resolved.out], resolved.out / "leaderboard", resolved.reference, resolved.rank_by, resolved.alpha
        )


@app.command()
def score(
    outputs: Annotated[
        Path, typer.Argument(help='JSONL: {"id", "output", "gold"}, and "choices" where they exist.')
    ],
    kind: Annotated[
        str, typer.Option(help="number, choice, latex or text.", metavar="number|choice|latex|text")
    ],
    tags: Tags = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    samples: Annotated[
        Path | None, typer.Option(help="Write a verdict a line here.", show_default=False)
    ] = None,
    alpha: Annotated[float, typer.Option(help="Weight of accuracy in score.", min=0.0, max=1.0)] = 0.7,
) -> None:
    """Score outputs made elsewhere."""
    from harness.score import print_report, score_file
    from tasks.errors import InputError
    from tasks.records import KINDS
    from tasks.suggest import did_you_mean

    known = next((item for item in KINDS if item == kind), None)
    if known is None:
        raise InputError(f"--kind {kind}: {did_you_mean(kind, KINDS)}")
    report = score_file(outputs, known, tags or "none", samples, alpha)
    if as_json:
        print(report.to_json())
    else:
        print_report(report, _console())


@app.command()
def leaderboard(
    run_dirs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.", metavar="RUN_DIR…")],
    out: Annotated[Path | None, typer.Option(help="Where to write the report.", show_default=False)] = None,
    reference: Annotated[
        str | None, typer.Option(help="Entry that differences are taken to.", show_default=False)
    ] = None,
    rank_by: Annotated[
        str | None,
        typer.Option(help="accuracy, accuracy_strict, format_valid or score.", show_default=False),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Weight of accuracy in score.", show_default=False)
    ] = None,
) -> None:
    """Write the report again from stored results alone; what is not said is as in the first run."""
    from harness.config import load_config
    from tasks.errors import InputError

    if out is None and len(run_dirs) > 1:
        raise InputError("name the folder of the joint report: --out DIR")
    stored = load_config(run_dirs[0] / "config.yaml", {}, [])
    _report(
        run_dirs,
        out or run_dirs[0] / "leaderboard",
        reference or stored.reference,
        rank_by or stored.rank_by,
        stored.alpha if alpha is None else alpha,
    )


@app.command("list")
def list_known(
    what: Annotated[
        str, typer.Argument(help="benchmarks, variants, objectives, tags or engines", metavar="WHAT")
    ],
) -> None:
    """Show what there is: benchmarks, variants, objectives, tags or engines."""
    from harness.listing import listing

    _console().print(listing(what))


def _flags(
    model: str | None,
    benchmarks: str | None,
    variants: str | None,
    seeds: int | None,
    method: str | None,
    engine: str | None,
    data_dir: Path | None,
    limit: int | None,
    out: Path | None,
) -> dict[str, Any]:
    return {
        "model": model,
        "benchmarks": benchmarks,
        "variants": variants,
        "seeds": seeds,
        "train.method": method,
        "eval.engine": engine,
        "data_dir": data_dir,
        "limit": limit,
        "train_limit": limit,
        "out": out,
    }


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
    from harness import run, training
    from harness.plan import make_plan
    from harness.plan_view import print_plan
    from harness.progress import Reporter
    from sftkey_train import processes

    with processes.first_goes_ahead():  # which fills the caches of models and data
        plan = make_plan(config)
    print_plan(plan, _console())
    if dry_run:
        return
    reporter = Reporter(_console(stderr=True))
    with run.run_folder(config):
        training.train(plan, reporter)
        if not processes.leave():
            return
        if not then_evaluate:
            for (name, seed), chain in plan.graph.chains.items():
                print(f"{name} seed {seed}: {plan.stage_dir / chain[-1]}")
            return
        run.evaluate_plan(plan, reporter)
        _report([config.out], config.out / "leaderboard", config.reference, config.rank_by, config.alpha)


def _report(run_dirs: Sequence[Path], out: Path, reference: str | None, rank_by: str, alpha: float) -> None:
    from leaderboards import build_board, read_results, render, write_report

    board = build_board(
        [read_results(path) for path in run_dirs], reference=reference, rank_by=rank_by, alpha=alpha
    )
    paths = write_report(board, out)
    console = _console()
    render(board, console)
    console.print(f"leaderboard: {paths.html}", highlight=False, markup=False, soft_wrap=True)


def _quiet() -> None:
    """The libraries' own bars and banners off, before they are imported: the reporter speaks for them."""
    import logging

    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    from sftkey_train import processes

    return Console(stderr=stderr, quiet=not processes.is_first())


def main() -> None:
    """Runs the command: 0 done, 1 the run failed, 2 bad usage or input, 130 interrupted."""
    from tasks.errors import InputError

    _quiet()
    try:
        code = app(standalone_mode=False)
        if code == 130:
            raise KeyboardInterrupt
        sys.exit(code)
    except (InputError, typer.exceptions.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.exceptions.TyperException) else str(error)
        print(message if message.startswith("\n") else f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; the same command goes on from what is done", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("HARNESS_TRACEBACK"):
            raise
        print(f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}", file=sys.stderr)
        print("what is done is kept; HARNESS_TRACEBACK=1 shows where it failed", file=sys.stderr)
        sys.exit(1)
