"""The `harness` command, also `python -m harness`: quiet, one line for what goes wrong, and an exit code."""

from __future__ import annotations

import os
import pkgutil
import sys
from typing import Any

import typer
from typer.core import TyperGroup

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
    "diff": ("diff:diff", "Show where two entries differ, sample by sample."),
    "overlap": ("overlap:overlap", "Seek a benchmark's test questions in training data."),
    "card": (
        "card:card",
        "Write a checkpoint's card for the Hub: what it is, its results, and what they are worth.",
    ),
    "list": ("list:list_known", "Show what there is: benchmarks, variants, objectives, tags or engines."),
}
"""Name -> its function, as `module:name`, and what `harness --help` says of it: the first line of its own.

In the order in which help shows them.
"""


class _Commands(TyperGroup):
    """Imports a command when it is called, and none for help: their modules need not be light."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
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


if __name__ == "__main__":
    main()
