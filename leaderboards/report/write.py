"""Writes a board as files: an HTML page, Markdown, CSV, LaTeX, JSON and a manifest; on request many pages."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from leaderboards.board.rows import Board
from leaderboards.report.json_form import json_text
from leaderboards.report.latex import latex
from leaderboards.report.manifest import MANIFEST_FILE, manifest_text
from leaderboards.report.page.render import page_html
from leaderboards.report.page.samples import MOST_SAMPLES, PackedSamples, collect_samples
from leaderboards.report.page.site import INDEX_FILE, site_files
from leaderboards.report.writers import csv_text, markdown
from leaderboards.results.schema import RunResults


class ReportPaths(NamedTuple):
    """Where the report's files are; `pages` is the index of the folder of pages, where there is one."""

    html: Path
    markdown: Path
    csv: Path
    latex: Path
    json: Path
    manifest: Path
    pages: Path | None


def write_report(
    board: Board,
    out_dir: Path,
    runs: Sequence[RunResults] = (),
    most_samples: int = MOST_SAMPLES,
    pages_dir: Path | None = None,
) -> ReportPaths:
    """Writes `leaderboard.html`, `.md`, `.csv`, `.tex` and `.json`, and `manifest.json`, under `out_dir`.

    Each is moved into its place when it is complete, the manifest, which has their digests, last.

    Args:
        board: the board.
        out_dir: the folder, made where it is missing.
        runs: what the board was built from; with them the page holds the samples.
        most_samples: how many of them at most.
        pages_dir: where to write a folder of pages too (`write_site`).
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    samples = collect_samples(board, runs, most_samples) if most_samples else None
    texts = {
        "leaderboard.html": page_html(board, samples),
        "leaderboard.md": markdown(board),
        "leaderboard.csv": csv_text(board),
        "leaderboard.tex": latex(board),
        "leaderboard.json": json_text(board),
    }
    texts[MANIFEST_FILE] = manifest_text(board, runs, texts)
    for name, text in texts.items():
        _write(out_dir / name, text)
    html, md, csv, tex, json, manifest = (out_dir / name for name in texts)
    pages = write_site(board, pages_dir, samples) if pages_dir else None
    return ReportPaths(html, md, csv, tex, json, manifest, pages)


def write_site(board: Board, out_dir: Path, samples: PackedSamples | None = None) -> Path:
    """Writes `index.html`, one page for each benchmark and comparison, and plotly.js beside them.

    The pages link to each other and work from a folder without a server. Comparisons are those with the
    reference, and all pairs where there are at most eight entries.

    Args:
        board: the board.
        out_dir: the folder, made where it is missing.
        samples: of the board (`collect_samples`), for the pages to hold.

    Returns:
        The index.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    for name, text in site_files(board, samples):
        _write(out_dir / name, text)
    return out_dir / INDEX_FILE


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
