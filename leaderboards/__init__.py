"""From stored results to a report: statistics, the board, and its terminal, Markdown, CSV and HTML forms.

The names below are loaded when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboards.board import build_board
    from leaderboards.report import ReportPaths, write_report
    from leaderboards.results import read_outcomes, read_results, write_results
    from leaderboards.rows import Board
    from leaderboards.schema import CurvePoint, Entry, Evaluation, RunResults, SampleRow, TrainingCost
    from leaderboards.terminal import render

__all__ = [
    "Board",
    "CurvePoint",
    "Entry",
    "Evaluation",
    "ReportPaths",
    "RunResults",
    "SampleRow",
    "TrainingCost",
    "build_board",
    "read_outcomes",
    "read_results",
    "render",
    "write_report",
    "write_results",
]

_HOMES = {
    "Board": "rows",
    "ReportPaths": "report",
    "build_board": "board",
    "read_outcomes": "results",
    "read_results": "results",
    "render": "terminal",
    "write_report": "report",
    "write_results": "results",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'schema')}"), name)
