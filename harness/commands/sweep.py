"""`harness sweep`: each variant's settings, chosen on validation questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.options import TRAINING, Given, configured
from harness.progress import Reporter, console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from harness.sweep import Tried


@configured("grid", *TRAINING, "engine", "data_dir", "limit", "out", "setting", "quick")
def sweep(
    given: Given,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting and its values, such as learning_rate=1e-5,3e-5; may be repeated. "
            "Half, once and twice the learning rate × stage2_share 0.25 and 0.5 where none is given.",
            metavar="name=a,b",
        ),
    ] = None,
) -> None:
    """Choose each variant's settings on validation questions, never on the test's."""
    from harness.sweep import chosen_path, default_grid, parse_grid, sweep
    from sftkey_train import distributed
    from tasks.errors import InputError

    if distributed.count() > 1:
        raise InputError("a sweep is one process; stages run side by side on the GPUs there are")
    config = given.config()
    chosen_grid = parse_grid(grid) if grid else default_grid(config)
    config.out.mkdir(parents=True, exist_ok=True)
    tried = sweep(config, chosen_grid, Reporter())
    console().print(_table(tried, config.rank_by))
    print(f"next: harness train-and-eval --config {chosen_path(config)}")


def _table(tried: Sequence[Tried], metric: str) -> Table:
    """All points, the chosen ones marked."""
    from rich.table import Table

    from harness.sweep import in_words

    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("variant", no_wrap=True)
    shown.add_column("settings")
    shown.add_column(f"{metric} %", justify="right")
    shown.add_column("format %", justify="right")
    shown.add_column("")
    for one in tried:
        mark, style = ("chosen", "bold") if one.chosen else ("", None)
        figures = (f"{100 * one.metric:.1f}", f"{100 * one.format_valid:.1f}")
        shown.add_row(one.variant, in_words(one.point), *figures, mark, style=style)
    return shown
