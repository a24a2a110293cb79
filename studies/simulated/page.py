"""What simulations share: their options, and the marks in the document between which their tables stand."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser_of(name: str, about: str | None, replications: int, of: str) -> argparse.ArgumentParser:
    """The options of a simulation: replications (of what, and how many by default), seed and document."""
    parser = argparse.ArgumentParser(prog=f"python -m studies {name}", description=about)
    parser.add_argument("--replications", type=int, default=replications, help=of)
    parser.add_argument("--seed", type=int, default=2026, help="of the random numbers")
    parser.add_argument("--out", type=Path, default=Path("docs/statistics.md"), help="holds both marks")
    return parser


def write_between(page: Path, text: str, name: str) -> None:
    """Puts the text between the marks of a name in a document; ValueError where it lacks them."""
    page.write_text(inserted(page.read_text(encoding="utf-8"), text, name), encoding="utf-8")


def inserted(page: str, text: str, name: str) -> str:
    """The page with the text between the two marks of a name.

    Raises:
        ValueError: The page lacks them.
    """
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"the document needs the marks {first} and {last}")
    return f"{before}{first}\n\n{text}\n{last}{after}"
