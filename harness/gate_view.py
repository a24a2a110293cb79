"""What the regression gate found, on a terminal: a table, a line for each test, and what to beware of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaderboards.text_table import printable
from leaderboards.wording import METRIC_NAMES, p_value, percent, points

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from leaderboards.gate import GateReport, GateTest


def print_gate(report: GateReport, console: Console) -> None:
    """The table, then `ok:` or `regression:` for each test, then the notes."""
    from rich.text import Text

    console.print(_table(report))
    for note in report.notes:
        console.print(Text(f"! {printable(note)}", "yellow"))
    for test in report.tests:
        style = "bold red" if test.failed else ""
        console.print(Text(gate_line(test), style), soft_wrap=True)


def gate_line(test: GateTest) -> str:
    """One test in words, `regression: …` where it failed."""
    found = test.difference
    name = f"{test.metric}({printable(test.benchmark)}) of {printable(test.entry)}"
    figures = (
        f"{percent(test.before)} → {percent(test.now)} % ({points(found.mean)} points, 95 % CI "
        f"{points(found.low)} to {points(found.high)}, Holm p {p_value(test.p_holm)})"
    )
    margin = f"{100 * test.margin:g} points"
    if test.failed:
        return f"regression: {name} drops{f' by more than {margin}' if test.margin else ''}: {figures}"
    passed = f" ({margin} are let pass)" if test.margin else ""
    return f"ok: {name}{passed}: {figures}; a drop of {percent(test.findable)} points would probably be found"


def _table(report: GateReport) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("entry", overflow="fold")
    table.add_column("on", overflow="fold")
    for column in ("before", "now", "Δ", "Holm p", "finds", ""):
        table.add_column(column, justify="right", no_wrap=True)
    several = len({test.model for test in report.tests}) > 1
    for test in report.tests:
        found = test.difference
        name = f"{test.entry} · {test.model}" if several else test.entry
        table.add_row(
            Text(printable(name)),
            Text(f"{METRIC_NAMES[test.metric]}, {printable(test.benchmark)}"),
            percent(test.before),
            percent(test.now),
            points(found.mean),
            p_value(test.p_holm),
            f"≥ {percent(test.findable)}",
            Text("drop", "bold red") if test.failed else Text("ok", "green"),
        )
    return table
