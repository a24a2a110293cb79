"""Does emphasising key tokens help? The study on the embedded world, and its document.

    python -m studies study [--out DIR] [--seeds 5] [--cells NAMES] [--variants NAMES] [--workers 2]

Trains and tests all variants in four cells (gap 0 or 1 between reasoning and answer, short or long
reasoning), then writes `docs/study.md` and its plots. What is done is kept in the folder of the study: the
same command goes on where it was stopped. A part (fewer cells, variants or seeds) writes its document into
that folder instead.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from studies.evidence.design import CELLS, Design, all_variants, make_design
from tasks.errors import InputError

DOCS = Path(__file__).parents[1] / "docs"
SEEDS = 5


def main(arguments: list[str]) -> None:
    """Runs the study and writes its document."""
    options = _parse(arguments)
    try:
        design = make_design(options.out, options.seeds, options.cells, options.variants)
    except InputError as error:
        sys.exit(f"error: {error}")
    _run(design, options.workers)
    folder = DOCS if _is_whole(design) else design.out
    _write(design, folder)
    print(f"wrote {folder / 'study.md'}")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m studies study", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="folder of the study")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds of every variant")
    parser.add_argument("--cells", type=_names, default=(), help="names with commas; all where left out")
    parser.add_argument("--variants", type=_names, default=(), help="likewise; the controls are always in")
    parser.add_argument("--workers", type=int, default=2, help="cells at a time, a process each")
    return parser.parse_args(arguments)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _run(design: Design, workers: int) -> None:
    from studies.evidence.running import run_cells

    failed = False
    for cell, error in run_cells(design, workers):
        failed = failed or bool(error)
        print(f"{cell.name}: {error or 'done'} (log: {design.out / cell.name / 'log.txt'})", flush=True)
    if failed:
        sys.exit("error: a cell failed; the same command goes on from what is done")


def _is_whole(design: Design) -> bool:
    return design.cells == CELLS and design.variants == all_variants() and design.seeds >= SEEDS


def _write(design: Design, folder: Path) -> None:
    from studies.evidence.document import write_document
    from studies.evidence.effects import gather
    from studies.evidence.plots import draw_all

    evidence = gather(design)
    draw_all(design, evidence, folder / "study")
    write_document(design, evidence, folder / "study.md", "study")
