"""`harness verify`: is all that is stored as it was written?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from harness.progress import console
from tasks.shown import neutral, printable


def verify_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, its store, or the cache.", metavar="DIR")],
) -> None:
    """Read all that is stored and say what is damaged; nothing is changed. Exit code 1 where anything is."""
    from rich.table import Table
    from rich.text import Text

    from harness.verify import verify

    found = list(verify(folder))
    numbers = Counter(one.what for one in found)
    damaged = Counter(one.what for one in found if one.fault)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stored")
    table.add_column("checked", justify="right")
    table.add_column("damaged", justify="right")
    for what, number in numbers.items():
        table.add_row(Text(printable(what)), str(number), str(damaged[what] or "–"))
    screen = console()
    screen.print(table)
    for one in found:
        if one.fault:
            where = "" if one.fault.startswith(str(one.path.parent)) else f"{one.path}: "
            screen.print(Text(neutral(f"{where}{one.fault}; {one.then}")), soft_wrap=True)
    if damaged:
        raise typer.Exit(1)
