"""`harness eval`: a checkpoint trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import ConfigFile, DataDir, EngineName, Limit, Out, Setting, Tags, flags
from harness.cli.reporting import report
from harness.cli.screen import console


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

    given = flags(model, benchmarks, None, None, None, engine, data_dir, limit, out)
    given |= {"eval.instruct": True if instruct else None, "tags": tags}
    label = name or "+".join(path.resolve().name for path in adapter or [Path(model)])
    defaults = {"tags": "none", "out": Path("runs") / f"{label}-{benchmarks.replace(',', '+')}"}
    resolved = load_config(config, given, setting or [], defaults=defaults)
    get_tag_format(resolved.tags)
    reporter = Reporter(console(stderr=True))
    with run.run_folder(resolved):
        wanted = run.external_candidates(resolved, adapter or [], name)
        run.evaluate(resolved, run.resolve_benchmarks(resolved), wanted, reporter)
        report(
            [resolved.out], resolved.out / "leaderboard", resolved.reference, resolved.rank_by, resolved.alpha
        )
