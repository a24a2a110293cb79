"""`harness list`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.screen import console


def list_known(
    what: Annotated[
        str, typer.Argument(help="benchmarks, variants, objectives, tags or engines", metavar="WHAT")
    ],
) -> None:
    """Show what there is: benchmarks, variants, objectives, tags or engines."""
    from harness.listing import listing

    console().print(listing(what))
