"""The tables of `harness list`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tasks.errors import InputError
from tasks.suggest import did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

Line = tuple[str, str, str]
"""(name, description, source)."""


def listing(what: str) -> Table:
    """A table of what there is.

    Args:
        what: `benchmarks`, `variants`, `tags` or `engines`.

    Raises:
        InputError: It is none of these.
    """
    from rich.markup import escape
    from rich.table import Table

    if what not in LISTS:
        raise InputError(f"harness list {what}: {did_you_mean(what, LISTS)}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(what[:-1], no_wrap=True)
    table.add_column("description", ratio=3)
    table.add_column("source", ratio=2)
    for line in LISTS[what]():
        table.add_row(*map(escape, line))
    return table


def _benchmarks() -> Iterator[Line]:
    from tasks.benchmarks import benchmark_names, load_benchmark

    for name in benchmark_names():
        benchmark = load_benchmark(name)
        yield name, f"{benchmark.description} ({benchmark.kind})", benchmark.source


def _variants() -> Iterator[Line]:
    from sftkey_train.variants import load_variant, variant_names

    for name in variant_names():
        variant = load_variant(name)
        yield name, variant.description, variant.source


def _tags() -> Iterator[Line]:
    from tasks.tags import TAG_FORMATS

    for tags in TAG_FORMATS.values():
        yield tags.name, tags.description, tags.source


def _engines() -> Iterator[Line]:
    from harness.engines import ENGINES

    for engine in ENGINES.values():
        yield engine.name, engine.description + ("" if engine.installed else " Not installed."), engine.source


LISTS: dict[str, Callable[[], Iterator[Line]]] = {
    "benchmarks": _benchmarks,
    "variants": _variants,
    "tags": _tags,
    "engines": _engines,
}
