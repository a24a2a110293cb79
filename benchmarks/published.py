"""The boards under `leaderboards/published/`, which a visitor sees without running anything.

    python -m benchmarks published embedded    # the embedded default; also the README's picture
    python -m benchmarks published study       # the study of docs/study.md, its four cells pooled

Each runs what its board needs, or goes on from what is done, and writes the report with its manifest. The
picture needs Chromium.
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
MOST_SAMPLES = 24_000
"""In the page of the study, which has 120,000: a file in a repository should stay small."""


def main(arguments: Sequence[str]) -> None:
    """Makes one board."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks published", description=__doc__)
    parser.add_argument("board", choices=("embedded", "study"))
    told = parser.parse_args(arguments)
    {"embedded": embedded, "study": study}[told.board]()


def embedded() -> None:
    """Runs the embedded default, writes its board, and takes the picture."""
    run_command(_harness("train-and-eval"))
    out = PUBLISHED / "embedded"
    run_command(_harness("leaderboard", "runs/embedded", "--out", str(out)))
    photograph(out / "leaderboard.html", PICTURE)
    print(f"wrote {out} and {PICTURE}")


def study() -> None:
    """Runs the study, pools its cells, and writes their board."""
    from studies.evidence.design import make_design
    from studies.evidence.pooling import pool
    from studies.study import SEEDS

    run_command([sys.executable, "-m", "studies", "study"])
    run = pool(make_design(Path("runs/study"), SEEDS))
    out = PUBLISHED / "study"
    run_command(_harness("leaderboard", str(run), "--out", str(out), "--samples", str(MOST_SAMPLES)))
    print(f"wrote {out}")


def photograph(page: Path, picture: Path, width: int = 1280, height: int = 1250) -> None:
    """What a reader sees first of a page, by Debian's Chromium."""
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto((ROOT / page).as_uri())
        tab.locator("#forest .main-svg").first.wait_for()
        tab.screenshot(path=picture)


def _harness(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "harness", *arguments]


if __name__ == "__main__":
    main(sys.argv[1:])
