"""`harness leaderboard`, and the report that other commands end with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.screen import console

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    report(
        run_dirs,
        out or run_dirs[0] / "leaderboard",
        reference or stored.reference,
        rank_by or stored.rank_by,
        stored.alpha if alpha is None else alpha,
    )


def report(run_dirs: Sequence[Path], out: Path, reference: str | None, rank_by: str, alpha: float) -> None:
    """Builds the board of stored runs, writes its files into a folder and shows it."""
    from leaderboards import build_board, read_results, render, write_report

    board = build_board(
        [read_results(path) for path in run_dirs], reference=reference, rank_by=rank_by, alpha=alpha
    )
    paths = write_report(board, out)
    screen = console()
    render(board, screen)
    screen.print(f"leaderboard: {paths.html}", highlight=False, markup=False, soft_wrap=True)
