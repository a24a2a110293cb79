"""The `harness` command, also `python -m harness`: quiet, one line for what goes wrong, and an exit code."""

from __future__ import annotations

import sys

from harness import endings

if __name__ == "__main__" or sys.argv[0].endswith("harness"):  # before the imports that take a while
    endings.hear_on_the_spot()

import errno
import logging
import os
import pkgutil
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from tasks.errors import InputError
from tasks.leases import moved_by
from tasks.secrets import one_line, scrub_streams

COMMANDS = {
    "train-and-eval": (
        "train_and_eval:train_and_eval",
        "Train the variants, evaluate them all, and write the leaderboard.",
    ),
    "train": ("train_and_eval:train", "Train the variants and print where the checkpoints are."),
    "sweep": ("sweep:sweep", "Choose each variant's settings on validation questions, never on the test's."),
    "eval": ("eval:evaluate", "Evaluate checkpoints trained elsewhere."),
    "inspect": (
        "inspect:inspect",
        "Show what would be evaluated, and how, without running it; exit code 2 where it would be refused.",
    ),
    "score": ("score:score_command", "Score outputs made elsewhere."),
    "rescore": ("rescore:rescore_command", "Judge a stored run's outputs again, without an engine."),
    "leaderboard": (
        "leaderboard:leaderboard",
        "Write the report again from stored results alone; what is not said is as in the first run.",
    ),
    "power": (
        "power:power_command",
        "Say how many seeds and questions it takes to find a difference, and what they cost.",
    ),
    "verify": (
        "verify:verify_command",
        "Read all that is stored and say what is damaged; nothing is changed. Exit code 1 where anything is.",
    ),
    "diff": ("diff:diff", "Show where two entries differ, sample by sample."),
    "overlap": ("overlap:overlap", "Seek a benchmark's test questions in training data."),
    "card": (
        "card:card",
        "Write a checkpoint's card for the Hub: what it is, its results, and what they are worth.",
    ),
    "list": ("list:list_known", "Show what there is: benchmarks, variants, rewards, engines and the rest."),
}
"""Name -> its function, as `module:name`, and what `harness --help` says of it: the first line of its own.

In the order in which help shows them.
"""


class _Commands(TyperGroup):
    """Imports a command when it is called, and none for help: their modules need not be light."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        for before, argument in pairwise(("", *rest)):
            of_a_list = (argument[:-1] or before) in ("--benchmarks", "--variants")  # which says so itself
            if re.fullmatch(r"(--[\w-]+=)?", argument) and not of_a_list:
                raise InputError("an empty argument: is a variable of the shell not set?")
        if unread := next((arg for arg in rest if re.search("[\ud800-\udfff]", arg)), None):
            raise InputError(f"{unread}: not UTF-8, which no report could name; rename it")
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name)(pkgutil.resolve_name(f"harness.commands.{COMMANDS[str(name)][0]}"))
        return name, typer.main.get_command(alone), rest


app = typer.Typer(
    cls=_Commands,
    help="Does one SFT variant really beat another? Train, evaluate and compare, with honest statistics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, (_, said) in COMMANDS.items():
    app.command(name, help=said)(lambda: None)


def _quiet() -> None:
    """The libraries' own bars and banners off, before they are imported: the reporter speaks for them."""
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    if logging.lastResort is not None:  # says what no reporter does, such as who is waited for
        logging.lastResort.format = lambda record: one_line(record.getMessage(), 4000)  # type: ignore[method-assign]
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "CRITICAL")  # what fails is raised as well
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def main() -> None:
    """Runs the command: 0 done, 1 the run failed, 2 bad usage or input, 130 or 143 ended by a signal.

    141 where whoever reads standard output has gone, as in `harness list | head`.
    """
    endings.hear()
    _quiet()
    scrub_streams()
    endings.leave(run())


def run() -> int:
    """Runs the command, and tells what goes wrong; returns the exit code."""
    try:
        code = app(standalone_mode=False)
        if code == 130:
            raise KeyboardInterrupt
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(code or 0)
    except typer.exceptions.TyperException as error:
        message = error.format_message()
        print(message if message.startswith("\n") else f"error: {one_line(message, 4000)}", file=sys.stderr)
        return 2
    except BaseException as error:
        if isinstance(error, typer.Abort) or endings.interrupted(error):
            endings.end()
        of_rich = isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
        if of_rich or isinstance(error, BrokenPipeError):
            return 141
        wanted = os.environ.get("HARNESS_TRACEBACK") and not isinstance(error, InputError)
        if wanted or isinstance(error, SystemExit):
            raise
        return _tell(error)


def _tell(error: BaseException) -> int:
    fault = str(error) if isinstance(error, InputError) else _last_resort(error)
    if fault is not None:
        print(f"error: {one_line(fault, 4000)}", file=sys.stderr)
        return 2
    print(f"failed: {type(error).__name__}: {one_line(error, 500)}", file=sys.stderr)
    print("what is done is kept; HARNESS_TRACEBACK=1 shows where it failed", file=sys.stderr)
    return 1


_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded|disk is full", re.IGNORECASE)
_OF_A_PLACE = (errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOLCK, errno.ESTALE)


def _last_resort(error: BaseException) -> str | None:
    """What can be mended where nobody nearer has said so: a place that cannot be used, or too much input."""
    where = getattr(error, "filename", None)
    moved = moved_by(Path(where)) if isinstance(where, str) else ""
    if _NO_ROOM.search(str(error)):
        mended = f"make room, or {moved}" if moved else "make room, and run it again"
        return f"{where or 'no room'}: {one_line(error)}; what is done is kept: {mended}"
    if isinstance(error, OSError) and (where is not None or error.errno in _OF_A_PLACE):
        mended = moved or "mend this, or name another place"
        return f"{where or 'a file'}: {error.strerror or one_line(error)}; {mended}"
    if isinstance(error, RecursionError):
        return "what was read is nested too deeply (HARNESS_TRACEBACK=1 shows where it was)"
    if isinstance(error, MemoryError):
        return f"memory does not suffice ({one_line(error) or 'for what was read'}); what is done is kept"
    if isinstance(error, OverflowError):
        return f"a number is too large ({one_line(error)}; HARNESS_TRACEBACK=1 shows where it was)"
    return None


if __name__ == "__main__":
    main()
