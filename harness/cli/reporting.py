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
    entries: Annotated[
        Path | None,
        typer.Option(
            help="Folder of entry files; those evaluated on the same questions join the board.",
            show_default=False,
        ),
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
        entries,
    )


def report(
    run_dirs: Sequence[Path],
    out: Path,
    reference: str | None,
    rank_by: str,
    alpha: float,
    entries: Path | None = None,
) -> None:
    """Builds the board of stored runs and of the entries that belong beside them; writes and shows it."""
    from leaderboards import build_board, read_outcomes, render, write_report
    from leaderboards.entries import ENTRIES_DIR, read_entries
    from leaderboards.joining import join_entries

    runs = [read_outcomes(path) for path in run_dirs]
    joined = join_entries(runs, read_entries(entries or ENTRIES_DIR))
    board = build_board([*runs, *joined.runs], reference=reference, rank_by=rank_by, alpha=alpha)
    paths = write_report(board, out)
    screen = console()
    render(board, screen)
    for line in joined.lines:
        screen.print(line, highlight=False, markup=False, soft_wrap=True)
    screen.print(f"leaderboard: {paths.html}", highlight=False, markup=False, soft_wrap=True)
