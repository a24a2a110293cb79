"""A folder of pages: the board, one page for each benchmark and each comparison, and plotly.js once."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from leaderboards.board.rows import Board
from leaderboards.report.page.render import PLOTLY_FILE, Link, Navigation, page_html, subject
from leaderboards.report.page.samples import PackedSamples
from leaderboards.report.page.scope import Scope, comparisons, of_benchmark, of_comparison, whole

INDEX_FILE = "index.html"


def site_files(board: Board, samples: PackedSamples | None = None) -> Iterator[tuple[str, str]]:
    """Every file of the folder as (name, text), one after another, the pages linked with each other."""
    from plotly.offline import get_plotlyjs

    yield PLOTLY_FILE, get_plotlyjs()
    pages = _pages(board)
    for name, scope in pages:
        yield name, page_html(board, samples, scope, _navigation(board, pages, name))


def _pages(board: Board) -> list[tuple[str, Scope]]:
    scopes = [
        *(of_benchmark(board, benchmark) for benchmark in board.benchmarks if len(board.benchmarks) > 1),
        *(of_comparison(board, row, other) for row, other in comparisons(board)),
    ]
    scopes = [scope for scope in scopes if scope.places]
    names = _unique([f"{scope.view}-{_slug(subject(board, scope))}" for scope in scopes])
    return [(INDEX_FILE, whole(board)), *zip((f"{name}.html" for name in names), scopes, strict=True)]


def _navigation(board: Board, pages: Sequence[tuple[str, Scope]], current: str) -> Navigation:
    def links(view: str) -> tuple[Link, ...]:
        found = (Link(name, subject(board, scope)) for name, scope in pages if scope.view == view)
        return tuple(replace(link, current=link.href == current) for link in found)

    index = Link(INDEX_FILE, "All entries", current == INDEX_FILE)
    files = {scope.rows: name for name, scope in pages if scope.view == "comparison"}
    return Navigation(index, links("benchmark"), links("comparison"), files)


def _slug(text: str) -> str:
    """Letters, digits, dot and dash, which every file system and URL takes; never empty, never long."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:80] or "unnamed"


def _unique(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    again = {name: 0 for name, count in seen.items() if count > 1}
    found = []
    for name in names:
        if name in again:
            again[name] += 1
            name = f"{name}.{again[name]}"
        found.append(name)
    return found
