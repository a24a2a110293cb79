"""From stored results to a report: statistics, the board and its forms; two entries compared; the gate.

The names below are loaded when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboards.board.build import build_board
    from leaderboards.board.rows import Board
    from leaderboards.diff import compare, read_samples
    from leaderboards.gate import check_gate
    from leaderboards.report.json_form import json_text
    from leaderboards.report.latex import latex
    from leaderboards.report.markdown import csv_text, markdown
    from leaderboards.report.page.render import page_html
    from leaderboards.report.terminal import render
    from leaderboards.report.write import ReportPaths, write_report
    from leaderboards.results.schema import Entry, Evaluation, RunResults, Sample, TrainingCost
    from leaderboards.results.store import read_outcomes, read_results, write_results
    from leaderboards.sides import find_sides

__all__ = [
    "Board",
    "Entry",
    "Evaluation",
    "ReportPaths",
    "RunResults",
    "Sample",
    "TrainingCost",
    "build_board",
    "check_gate",
    "compare",
    "csv_text",
    "find_sides",
    "json_text",
    "latex",
    "markdown",
    "page_html",
    "read_outcomes",
    "read_results",
    "read_samples",
    "render",
    "write_report",
    "write_results",
]

_HOMES = {
    "Board": "board.rows",
    "ReportPaths": "report.write",
    "build_board": "board.build",
    "check_gate": "gate",
    "compare": "diff",
    "csv_text": "report.markdown",
    "find_sides": "sides",
    "json_text": "report.json_form",
    "latex": "report.latex",
    "markdown": "report.markdown",
    "page_html": "report.page.render",
    "read_outcomes": "results.store",
    "read_results": "results.store",
    "read_samples": "diff",
    "render": "report.terminal",
    "write_report": "report.write",
    "write_results": "results.store",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'results.schema')}"), name)
