"""Writes a board as files: one HTML page, Markdown and CSV."""

from pathlib import Path
from typing import NamedTuple

from leaderboards.page.render import page_html
from leaderboards.rows import Board
from leaderboards.writers import csv_text, markdown


class ReportPaths(NamedTuple):
    """Where the report's files are."""

    html: Path
    markdown: Path
    csv: Path


def write_report(board: Board, out_dir: Path) -> ReportPaths:
    """Writes `leaderboard.html`, `.md` and `.csv` under `out_dir`, each moved into place when complete."""
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = ReportPaths(*(out_dir / f"leaderboard.{suffix}" for suffix in ("html", "md", "csv")))
    for path, text in zip(paths, (page_html(board), markdown(board), csv_text(board)), strict=True):
        part = path.with_name(f"{path.name}.part")
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    return paths
