"""From stored results to a report: statistics, the board and its forms; two entries compared; the gate.

The names below are loaded when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboards.board.build import build_board
    from leaderboards.board.rows import Board
    from leaderboards.report.terminal import render
    from leaderboards.report.write import ReportPaths, write_report
    from leaderboards.results.schema import RunResults, Sample
    from leaderboards.results.store import read_outcomes, read_results, write_results

__all__ = ["Board", "ReportPaths", "RunResults", "Sample", "build_board", "read_outcomes", "read_results"]
__all__ += ["render", "write_report", "write_results"]

_HOMES = {
    "board.build": ("build_board",),
    "board.rows": ("Board",),
    "report.terminal": ("render",),
    "report.write": ("ReportPaths", "write_report"),
    "results.schema": ("RunResults", "Sample"),
    "results.store": ("read_outcomes", "read_results", "write_results"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
