"""`harness card`: what a figure is worth, and how it is passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands.options import option

_OUT = "Where to write it; RUN_DIR/cards/… by default."
_PUSH = "Upload it to this repository on the Hub."
_WEIGHTS = "With --push-to-hub: upload the checkpoint's folder too."


def card(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN_DIR")],
    entry: Annotated[str, typer.Option(help="Entry of the run.")],
    seed: Annotated[int | None, option("Of its training, where it has several.")] = None,
    out: Annotated[Path | None, option(_OUT)] = None,
    push_to_hub: Annotated[str | None, option(_PUSH, metavar="USER/NAME")] = None,
    weights: Annotated[bool, typer.Option("--weights", help=_WEIGHTS)] = False,
) -> None:
    """Write a checkpoint's card for the Hub: what it is, its results, and what they are worth."""
    from harness.config import stored_config
    from harness.outputs import check_card_file
    from harness.sharing.card import make_card
    from harness.sharing.hub import check_repo
    from leaderboards import read_results
    from tasks.errors import InputError
    from tasks.names import file_name
    from tasks.shown import neutral

    if weights and push_to_hub is None:
        raise InputError("--weights says what to upload; add --push-to-hub USER/NAME")
    if push_to_hub is not None:
        check_repo(push_to_hub)
    if out is not None:
        check_card_file(out)
    run = read_results(run_dir)
    made = make_card(run, stored_config(run), entry, seed)
    label = entry if seed is None else f"{entry}-seed{seed}"
    others = {one.name for one in run.entries} - ({entry} if seed is None else set())
    path = out or run_dir / "cards" / file_name(label, others) / "README.md"
    made.write(path)
    print(f"card: {neutral(path)}")
    if push_to_hub is not None:
        from harness.sharing.hub import push

        print(f"pushed: {neutral(push(made, push_to_hub, weights=weights))}")
