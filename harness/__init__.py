"""The command, what ties training, evaluation and leaderboards together, and the Python API of all of it.

The names below are what notebooks and scripts may rely on; `docs/python_api.md` shows them at work. They are
loaded when first used, so that `import harness` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.config import Config, load_config
    from harness.external import External, evaluate_external
    from harness.plan import Plan, make_plan
    from harness.run import Report, evaluate, report, train, train_and_eval
    from leaderboards import Board, build_board, read_results, write_report
    from tasks.errors import InputError
    from tasks.scoring import Item, Score, score

__all__ = [
    "Board",
    "Config",
    "External",
    "InputError",
    "Item",
    "Plan",
    "Report",
    "Score",
    "build_board",
    "evaluate",
    "evaluate_external",
    "load_config",
    "make_plan",
    "read_results",
    "report",
    "score",
    "train",
    "train_and_eval",
    "write_report",
]

_HOMES = {
    "harness.config": ("Config", "load_config"),
    "harness.external": ("External", "evaluate_external"),
    "harness.plan": ("Plan", "make_plan"),
    "leaderboards": ("Board", "build_board", "read_results", "write_report"),
    "tasks.errors": ("InputError",),
    "tasks.scoring": ("Item", "Score", "score"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "harness.run")
    return getattr(import_module(home), name)
