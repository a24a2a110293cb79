"""How often the scorer agrees with verdicts that others have published, by file and kind of answer.

`python -m benchmarks agreement DIR`. DIR holds JSON lines files with output, gold, kind, choices or null,
tags (a tag format's name; `none` where it is left out) and correct, the published verdict. docs/scoring.md
says where such outputs are found; none of them are in this repository.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure.tables import machine, table
from tasks.records import iter_objects
from tasks.scoring import Item, score_many
from tasks.tags import get_tag_format


def main(arguments: Sequence[str]) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks agreement", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    rows = [row for path in sorted(folder.glob("*.jsonl")) for row in _agreement(path)]
    if not rows:
        parser.error(f"{folder}: holds no JSON lines file; see docs/scoring.md")
    print(table(["file", "kind", "outputs", "agreement", "s"], rows))
    print(machine())


def _agreement(path: Path) -> Iterator[list[str]]:
    objects = [fields for _, fields in iter_objects(path)]
    began, agreed = time.perf_counter(), defaultdict[str, list[bool]](list)
    for fields, said in zip(objects, score_many(map(_item, objects)), strict=True):
        agreed[fields["kind"]].append(said.accuracy == bool(fields["correct"]))
    seconds = f"{time.perf_counter() - began:.1f}"
    for kind, each in agreed.items():
        yield [path.stem, kind, f"{len(each):,}", f"{sum(each) / len(each):.4f}", seconds]


def _item(fields: dict[str, Any]) -> Item:
    choices = tuple(fields["choices"]) if fields.get("choices") else None
    asked = (fields["output"], fields["gold"], fields["kind"], choices)
    return Item(*asked, get_tag_format(fields.get("tags", "none")))
