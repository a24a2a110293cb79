"""Writes a board as files: an HTML page, Markdown, CSV, LaTeX, JSON, and a manifest of what made them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from leaderboards.board.rows import Board
from leaderboards.report.json_form import json_text
from leaderboards.report.latex import latex
from leaderboards.report.markdown import csv_text, markdown
from leaderboards.report.page.render import page_html
from leaderboards.report.page.samples import MOST_SAMPLES, collect_samples
from leaderboards.results.schema import RESULTS_FILE, SAMPLES_FILE, TRAINING_FILE, RunResults
from tasks.files import write_whole

MANIFEST_FILE = "manifest.json"


class ReportPaths(NamedTuple):
    """Where the report's files are."""

    html: Path
    markdown: Path
    csv: Path
    latex: Path
    json: Path
    manifest: Path


def write_report(
    board: Board, out_dir: Path, runs: Sequence[RunResults] = (), most_samples: int = MOST_SAMPLES
) -> ReportPaths:
    """Writes `leaderboard.html`, `.md`, `.csv`, `.tex` and `.json`, and `manifest.json`, under `out_dir`.

    Each is moved into its place when it is complete, the manifest, which has their digests, last.

    Args:
        board: the board.
        out_dir: the folder, made where it is missing.
        runs: what the board was built from; with them the page holds the samples.
        most_samples: how many of them at most.
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
    texts[MANIFEST_FILE] = _manifest(board, runs, texts)
    for name, text in texts.items():
        write_whole(out_dir / name, text)
    return ReportPaths(*(out_dir / name for name in texts))


def _manifest(board: Board, runs: Sequence[RunResults], files: Mapping[str, str]) -> str:
    """What a report was made from, as JSON, so that its figures can be checked and made again."""
    shown = ("reference", "rank_by", "alpha", "confidence", "benchmarks")
    content = {
        "board": {**{name: getattr(board, name) for name in shown}, "entries": len(board.rows)},
        "runs": [_run(run) for run in runs],
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _run(run: RunResults) -> dict[str, object]:
    stored = [Path(run.source) / name for name in (RESULTS_FILE, SAMPLES_FILE, TRAINING_FILE)]
    trainings = [entry.training for entry in run.entries if entry.training]
    evaluations = [one for entry in run.entries for one in entry.evaluations]
    return {
        "source": run.source,
        "provenance": dict(run.provenance),
        "checkpoints": len(run.entries),
        "seeds": sorted({entry.seed for entry in run.entries if entry.seed is not None}),
        "samples": len(run.samples),
        "training_seconds_charged": round(sum(each.wall_seconds for each in trainings), 1),
        "training_tokens_charged": sum(each.tokens_forward for each in trainings),
        "evaluation_seconds": round(sum(each.wall_seconds for each in evaluations), 1),
        "output_tokens": sum(each.output_tokens for each in evaluations),
        "sha256": {path.name: _sha256(path) for path in stored if path.is_file()},
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
