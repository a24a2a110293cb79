"""`harness inspect`: a checkpoint before anything is run."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands.options import Base, DataDir, Tags
from harness.commands.screen import console


def inspect(
    model: Annotated[
        str, typer.Argument(help="Folder, Hub id or ID@REVISION; an adapter too.", metavar="ID|PATH")
    ],
    adapter: Annotated[
        str | None,
        typer.Option(help="PEFT adapter on the model.", metavar="ID|PATH", show_default=False),
    ] = None,
    base: Base = None,
    tags: Tags = None,
    benchmark: Annotated[
        str, typer.Option(help="Whose first question is shown as it would be sent.")
    ] = "world_number",
    prompt_style: Annotated[str, typer.Option(help="auto, plain or chat.")] = "auto",
    instruct: Annotated[
        bool, typer.Option("--instruct", help="Say in the prompt in which format to answer.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what would be evaluated, and how, without running it; exit code 2 where it would be refused."""
    from harness.commands.inspect_view import show
    from harness.models.inspection import Question, find_folders, inspect

    question = Question(benchmark, tags, prompt_style, instruct, data_dir)
    found = inspect(find_folders(model, adapter, base), question)
    if as_json:
        print(found.to_json())
    else:
        show(found, console())
    if found.refused:
        raise typer.Exit(2)
