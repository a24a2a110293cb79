"""How soon the command answers: `harness --help` and `harness list …`, against `lm_eval -h` and `lm_eval ls`.

    python -m benchmarks start_speed

Whole processes, the sides in turns, after one run of each that is not timed. Both are this environment's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure.children import in_turns, run_command
from benchmarks.measure.tables import machine, ratio, spread, table, within
from harness.commands.list import LISTS

GOAL_SECONDS = 0.3
HELP, RIVAL_HELP, RIVAL_LIST = "harness --help", "lm_eval -h", "lm_eval ls tasks"


def commands() -> dict[str, list[str]]:
    """Ours and lm-eval's, by name."""
    ours = [HELP, *(f"harness list {what}" for what in LISTS)]
    folder = Path(sys.executable).parent
    return {
        name: [str(folder / name.split()[0]), *name.split()[1:]] for name in (*ours, RIVAL_HELP, RIVAL_LIST)
    }


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks start_speed", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--rival-repeats", type=int, default=3, help=f"of `{RIVAL_LIST}`, which takes long")
    parser.add_argument("--quick", action="store_true", help=f"3 of each, `{RIVAL_LIST}` left out")
    told = parser.parse_args(arguments)
    asked = commands()
    if told.quick:
        told.repeats = 3
        del asked[RIVAL_LIST]
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for command in asked.values():
        run_command(command)
    for name in in_turns(list(asked), told.repeats):
        if name != RIVAL_LIST or len(seconds[name]) < told.rival_repeats:
            seconds[name].append(run_command(asked[name]))
    print(f"{machine()}\n\nmedian (range) of {told.repeats} processes\n")
    rows = []
    for name, runs in seconds.items():
        ours = name.startswith("harness")
        rival = RIVAL_HELP if name == HELP else RIVAL_LIST
        rows.append(
            [
                f"`{name}`",
                within(runs, GOAL_SECONDS) if ours else spread(runs),
                ratio(runs, seconds[rival]) if ours and rival in seconds else "",
            ]
        )
    print(table(["command", "s", f"over `{RIVAL_HELP}` or `{RIVAL_LIST}`"], rows))


if __name__ == "__main__":
    main(sys.argv[1:])
