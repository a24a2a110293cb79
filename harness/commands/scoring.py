"""`harness score`: outputs made elsewhere; `harness rescore`: those of a stored run, once more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands.options import Tags
from harness.commands.screen import console

Workers = Annotated[
    int | None, typer.Option(help="Processes at most; as many as cores.", min=1, show_default=False)
]


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
    workers: Workers = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="Field with another's verdict, true or false, to compare with.", show_default=False
        ),
    ] = None,
) -> None:
    """Score outputs made elsewhere."""
    from harness.commands.score import print_report, score_file
    from tasks.errors import InputError, did_you_mean
    from tasks.records import KINDS

    known = next((item for item in KINDS if item == kind), None)
    if known is None:
        raise InputError(f"--kind {kind}: {did_you_mean(kind, KINDS)}")
    report = score_file(outputs, known, tags or "none", samples, alpha, workers, label)
    if as_json:
        print(report.to_json())
    else:
        print_report(report, console())


def rescore(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN_DIR")],
    out: Annotated[
        Path | None, typer.Option(help="Write there instead of over the run's results.", show_default=False)
    ] = None,
    workers: Workers = None,
) -> None:
    """Judge a stored run's outputs again, without an engine."""
    from harness.commands.rescore import print_report, rescore

    report = rescore(run_dir, out, workers)
    print_report(report, console())
    if report.same_scorer:
        print("the scorer is the one that scored the run")
    print(f"next: harness leaderboard {out or run_dir}")
