"""The board of the embedded default under `leaderboards/published/`, and the README's picture.

    python -m benchmarks published

It runs what the board needs, or goes on from what is done, and writes the report with its manifest. The
picture needs Chromium. Studies write their own boards (`python -m studies study NAME`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ROOT
from benchmarks.measure.browser import chromium
from benchmarks.measure.children import run_command

PUBLISHED = Path("leaderboards/published")
PICTURE = Path("docs/leaderboard.png")


def main(arguments: Sequence[str]) -> None:
    """Runs the embedded default, writes its board, and takes the picture."""
    argparse.ArgumentParser(prog="python -m benchmarks published", description=__doc__).parse_args(arguments)
    run_command(_harness("train-and-eval"))
    out = PUBLISHED / "embedded"
    run_command(_harness("leaderboard", "runs/embedded", "--out", str(out)))
    photograph(out / "leaderboard.html", PICTURE)
    print(f"wrote {out} and {PICTURE}")


def photograph(page: Path, picture: Path, width: int = 1280, height: int = 1250) -> None:
    """What a reader sees first of a page, by Debian's Chromium."""
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto((ROOT / page).as_uri())
        tab.locator("#table tbody tr").first.wait_for()
        tab.screenshot(path=picture)


def _harness(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "harness", *arguments]


if __name__ == "__main__":
    main(sys.argv[1:])
