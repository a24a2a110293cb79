"""Runs a study that is declared in `studies/declared`, and writes its document and its board.

    python -m studies study world [--out runs/studies] [--workers 2]

What is done is kept in the folder of the study: the same command goes on where it was stopped. The board goes
to `leaderboards/published/NAME`, the document to `docs/study_NAME.md`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import ROOT
from studies.declared.declaration import Study, read_study
from studies.declared.reasoned import prepare
from studies.declared.running import run_study
from tasks.errors import InputError

MOST_SAMPLES = 24_000
"""In the page: a file in a repository should stay small."""


def main(arguments: list[str]) -> None:
    """Runs the study and writes what it found."""
    parser = argparse.ArgumentParser(prog="python -m studies study", description=__doc__.split("\n")[0])
    parser.add_argument("name", help="of a file in studies/declared")
    parser.add_argument("--out", type=Path, default=Path("runs/studies"), help="folder of studies")
    parser.add_argument("--model", help="another base than the declared one, ID or path; a study of its own")
    parser.add_argument("--data-dir", type=Path, help="folder of benchmark data, in place of the Hub")
    parser.add_argument("--workers", type=int, default=2, help="commands at a time, a core each")
    parser.add_argument("--publish-only", action="store_true", help="run nothing; write what is done")
    parser.add_argument("--publish", type=Path, default=ROOT, help="where docs and leaderboards are")
    told = parser.parse_args(arguments)
    try:
        study = read_study(told.name, told.out, model=told.model)
        if not told.publish_only:
            prepare(study, told.data_dir)
            run_study(study, told.workers, told.data_dir)
        publish(study, told.publish)
    except InputError as error:
        sys.exit(f"error: {error}")


def publish(study: Study, root: Path) -> None:
    """Writes board and document from the results."""
    from harness.run import report
    from leaderboards import read_outcomes
    from leaderboards.results.merge import merge_runs
    from studies.declared.document import write_document
    from studies.declared.pooling import pool

    told, runs = study.declaration, [read_outcomes(folder) for folder in pool(study)]
    out = root / "leaderboards" / "published" / study.name
    made = report(runs, out, reference=told.control, margin=told.margin / 100, most_samples=MOST_SAMPLES)
    document = root / "docs" / f"study_{study.name}.md"
    document.parent.mkdir(parents=True, exist_ok=True)
    write_document(study, made.board, merge_runs(runs), document)
    print(f"wrote {document} and {out}")
