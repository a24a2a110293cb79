"""`harness inspect`: a checkpoint before anything is run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.commands.options import Base, DataDir, Fields, Instruct, Kinds, Tags, option
from harness.progress import console
from tasks.shown import neutral

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from harness.models.inspection import Facts, Inspection

_MODEL = "Folder, Hub id or ID@REVISION; an adapter too."
_BENCHMARK = "Whose first question is shown as it would be sent."
_DIGEST_DIGITS = 16
_WORDS = {
    "bytes": "on disk", "bos": "BOS", "eos": "EOS", "adds_bos": "adds BOS", "stop_ids": "stop token ids",
    "opens": "ends inside", "tokens": "tokens",
}  # fmt: skip


def inspect(
    model: Annotated[str, typer.Argument(help=_MODEL, metavar="ID|PATH")],
    adapter: Annotated[str | None, option("PEFT adapter on the model.", metavar="ID|PATH")] = None,
    base: Base = None,
    tags: Tags = None,
    benchmark: Annotated[str, typer.Option(help=_BENCHMARK)] = "world_number",
    prompt_style: Annotated[str, typer.Option(help="auto, plain or chat.")] = "auto",
    instruct: Instruct = False,
    data_dir: DataDir = None,
    fields: Fields = None,
    kind: Kinds = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what would be evaluated, and how, without running it; exit code 2 where it would be refused."""
    from harness.models.inspection import Question, find_folders, inspect

    question = Question(benchmark, tags, prompt_style, instruct, data_dir, fields, kind)
    found = inspect(find_folders(model, adapter, base), question)
    if as_json:
        print(found.to_json())
    else:
        show(found, console())
    if found.refused:
        raise typer.Exit(2)


def show(found: Inspection, screen: Console) -> None:
    """Prints facts by section, then the prompt, then what to know, then why it would be refused."""
    from rich.padding import Padding
    from rich.text import Text

    for title, facts in found.sections.items():
        screen.print(Text(title, style="bold"))
        screen.print(Padding(_table(_tag_lines(facts) if title == "tags" else _lines(facts)), (0, 0, 0, 2)))
    text = found.sections.get("prompt", {}).get("text")
    if text is not None:
        screen.print(Text("the prompt, as it is sent", style="bold"))
        for line in str(text).split("\n"):
            screen.print(Padding(Text.assemble(("│ ", "dim"), neutral(line)), (0, 0, 0, 2)))
    for line in found.warnings:
        screen.print(Text(f"! {neutral(line)}", style="yellow"))
    for line in found.refused:
        screen.print(Text(f"✗ {neutral(line)}", style="red"))
    if not found.refused:
        screen.print(Text("✓ would be evaluated", style="green"))


def _table(lines: Iterator[tuple[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim", min_width=18)
    table.add_column(overflow="fold")
    for name, value in lines:
        table.add_row(Text(neutral(name)), Text(neutral(value)))
    return table


def _lines(facts: Facts) -> Iterator[tuple[str, str]]:
    for key, value in facts.items():
        if key != "text" and value is not None:
            yield _WORDS.get(key, key.replace("_", " ")), _shown(key, value)


def _shown(key: str, value: Any) -> str:
    if key == "bytes":
        return _bytes(value)
    if key == "digest":
        return str(value)[:_DIGEST_DIGITS]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text!r}" for name, text in value.items())
    if isinstance(value, list):
        return " ".join(repr(item) for item in value) or "none"
    return str(value)


def _bytes(size: int) -> str:
    units = ("B", "KiB", "MiB", "GiB")
    power = min(max(size.bit_length() - 1, 0) // 10, len(units) - 1)
    return f"{size / 1024**power:,.4g} {units[power]}"


def _tag_lines(facts: Facts) -> Iterator[tuple[str, str]]:
    """One line a tag format: how its tags are written, and which tokenizer or template know."""
    for name, tag_format in facts.items():
        kinds: dict[str, list[str]] = {}
        for tag, how in tag_format["tags"].items():
            kinds.setdefault(how.partition(",")[0], []).append(tag)
        shown = "; ".join(f"{' '.join(tags)} {kind}" for kind, tags in kinds.items())
        seen = f" (seen: {' '.join(tag_format['seen'])})" if tag_format["seen"] else ""
        yield name, shown + seen
