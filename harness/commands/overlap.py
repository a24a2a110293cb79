"""`harness overlap`: how many test questions stand in what was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.options import DataDir, Fields, Kinds
from harness.progress import console
from tasks.shown import neutral, printable

if TYPE_CHECKING:
    from rich.table import Table

    from leaderboards.results.schema import Overlap

_TRAIN = 'What was trained on, JSONL: {"question", …}.'


def overlap(
    train: Annotated[Path, typer.Argument(help=_TRAIN, metavar="TRAIN.jsonl")],
    benchmarks: Annotated[str, typer.Option(help="Benchmarks, with commas.", metavar="a,b")],
    field: Annotated[str, typer.Option(help="Field that holds the question.")] = "question",
    data_dir: DataDir = None,
    fields: Fields = None,
    kind: Kinds = None,
) -> None:
    """Seek a benchmark's test questions in training data."""
    from rich.text import Text

    from harness.evaluation.overlap import find_overlaps, iter_questions
    from tasks.benchmarks import load_benchmark
    from tasks.errors import InputError

    found = [load_benchmark(name.strip(), None, data_dir, fields, kind) for name in benchmarks.split(",")]
    tests = {benchmark.name: benchmark.records("test", data_dir) for benchmark in found}
    overlaps = find_overlaps(iter_questions(train, field), tests)
    if not any(one.num_train for one in overlaps.values()):
        raise InputError(f"{train}: no questions; expected one JSON object a line")
    screen = console()
    screen.print(_overlap_table(overlaps))
    for name, one in overlaps.items():
        for test_id, train_id in one.examples:
            screen.print(Text(neutral(f"{name}: {test_id} ~ {train_id}")), soft_wrap=True)


def _overlap_table(overlaps: dict[str, Overlap]) -> Table:
    from rich.table import Table
    from rich.text import Text

    first = next(iter(overlaps.values()))
    table = Table(title=f"test questions in {first.num_train} training records")
    for header in (
        "benchmark",
        "questions",
        "word for word",
        f"or {first.ngram_size} words in a row",
        "share",
    ):
        table.add_column(header, justify="left" if header == "benchmark" else "right")
    for name, one in overlaps.items():
        figures = (str(one.n), str(one.exact), str(one.ngram), f"{100 * one.ngram / one.n:.1f} %")
        table.add_row(Text(printable(name)), *figures)
    return table
