"""How the command runs: quietly, with one line for what goes wrong, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import typer

from harness.commands.card import card
from harness.commands.diff import diff
from harness.commands.eval import evaluate
from harness.commands.inspect import inspect
from harness.commands.leaderboard import leaderboard
from harness.commands.list import list_known
from harness.commands.overlap import overlap
from harness.commands.rescore import rescore_command
from harness.commands.score import score_command
from harness.commands.sweep import sweep
from harness.commands.train_and_eval import train, train_and_eval

COMMANDS: dict[str, Callable[..., None]] = {
    "train-and-eval": train_and_eval,
    "train": train,
    "sweep": sweep,
    "eval": evaluate,
    "inspect": inspect,
    "score": score_command,
    "rescore": rescore_command,
    "leaderboard": leaderboard,
    "diff": diff,
    "overlap": overlap,
    "card": card,
    "list": list_known,
}
"""In the order in which `harness --help` shows them."""

app = typer.Typer(
    help="Does one SFT variant really beat another? Train, evaluate and compare, with honest statistics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, command in COMMANDS.items():
    app.command(name)(command)


def _quiet() -> None:
    """The libraries' own bars and banners off, before they are imported: the reporter speaks for them."""
    import logging

    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "CRITICAL")  # what fails is raised as well
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def main() -> None:
    """Runs the command: 0 done, 1 the run failed, 2 bad usage or input, 130 interrupted."""
    from tasks.errors import InputError

    _quiet()
    try:
        code = app(standalone_mode=False)
        if code == 130:
            raise KeyboardInterrupt
        sys.exit(code)
    except (InputError, typer.exceptions.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.exceptions.TyperException) else str(error)
        print(message if message.startswith("\n") else f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; the same command goes on from what is done", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("HARNESS_TRACEBACK"):
            raise
        print(f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}", file=sys.stderr)
        print("what is done is kept; HARNESS_TRACEBACK=1 shows where it failed", file=sys.stderr)
        sys.exit(1)
