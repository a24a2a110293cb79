"""What a report was made from, so that its figures can be checked and made again: its `manifest.json`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from leaderboards.board.rows import Board
from leaderboards.results.schema import RESULTS_FILE, SAMPLES_FILE, TRAINING_FILE, RunResults

MANIFEST_FILE = "manifest.json"


def manifest_text(board: Board, runs: Sequence[RunResults], files: Mapping[str, str]) -> str:
    """The manifest as JSON: how the board was built, each run with its digests, each file with its own.

    Args:
        board: the board.
        runs: what it was built from.
        files: name -> text of the report's files.
    """
    content = {
        "board": {
            "reference": board.reference,
            "rank_by": board.rank_by,
            "alpha": board.alpha,
            "confidence": board.confidence,
            "benchmarks": board.benchmarks,
            "entries": len(board.rows),
        },
        "runs": [_run(run) for run in runs],
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _run(run: RunResults) -> dict[str, object]:
    folder = Path(run.source)
    stored = [folder / name for name in (RESULTS_FILE, SAMPLES_FILE, TRAINING_FILE)]
    return {
        "source": run.source,
        "provenance": dict(run.provenance),
        "checkpoints": len(run.entries),
        "seeds": sorted({entry.seed for entry in run.entries if entry.seed is not None}),
        "samples": len(run.samples),
        "training_seconds_charged": round(sum(e.training.wall_seconds for e in run.entries if e.training), 1),
        "training_tokens_charged": sum(e.training.tokens_forward for e in run.entries if e.training),
        "evaluation_seconds": round(sum(o.wall_seconds for e in run.entries for o in e.evaluations), 1),
        "output_tokens": sum(o.output_tokens for e in run.entries for o in e.evaluations),
        "sha256": {path.name: _sha256(path) for path in stored if path.is_file()},
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
