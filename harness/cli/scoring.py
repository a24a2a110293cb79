"""`harness score`: outputs made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Tags
from harness.cli.screen import console


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
        print_report(report, console())
