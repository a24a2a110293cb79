"""Writes a board as files: an HTML page, Markdown, CSV, LaTeX, JSON, and a manifest of what made them.

The JSON stands under a published schema, `leaderboard.schema.json`, made from the dataclasses of the board.
`python -m leaderboards.report.write` writes it again after these have changed; then raise `SCHEMA_VERSION`
where something was renamed, removed, or means something else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from leaderboards.board import rows
from leaderboards.board.rows import Board
from leaderboards.report.findings import sentences
from leaderboards.report.latex import latex
from leaderboards.report.markdown import csv_text, markdown
from leaderboards.report.page.render import page_html
from leaderboards.report.page.samples import MOST_SAMPLES, collect_samples
from leaderboards.results.reported import ReportedFigure
from leaderboards.results.schema import RESULTS_FILE, SAMPLES_FILE, TRAINING_FILE, RunResults
from tasks.files import write_whole
from tasks.seals import read_digest
from tasks.shown import json_text as as_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 5
SCHEMA_PATH = Path(__file__).parents[1] / "leaderboard.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Comparisons to every entry that a reader of the page may choose are nearly all of the size, and those to the
# reference stand in the cells; the stages of a training stand in its curve.
_LEFT_OUT: dict[str, Any] = {"versus": True, "rows": {"__all__": {"cost": {"stages"}}}}
_ABOUT = (
    "A leaderboard of the SFT harness. Units: accuracies, format validity, scores, their standard errors, "
    "intervals and differences are shares of 1 (0.712 is 71.2 %, a difference of 0.015 is 1.5 points); times "
    "are seconds, lengths are characters or tokens as their names say. There is no NaN: "
    "what is not known is null. Rows are best first, and a position counts from 0."
)
# A whole number is a number in JSON Schema, so that naming both says nothing.
_COUNT = {"anyOf": [{"type": "integer"}, {"type": "number"}]}
_IN_WORDS = ("summary", "notes", "checks")
_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


class ReportPaths(NamedTuple):
    """Where the report's files are."""

    html: Path
    markdown: Path
    csv: Path
    latex: Path
    json: Path
    manifest: Path


def write_report(
    board: Board,
    out_dir: Path,
    runs: Sequence[RunResults] = (),
    most_samples: int = MOST_SAMPLES,
    reported: bool = True,
) -> ReportPaths:
    """Writes `leaderboard.html`, `.md`, `.csv`, `.tex` and `.json`, and `manifest.json`, under `out_dir`.

    Each is moved into its place when it is complete, the manifest, which has their digests, last.

    Args:
        out_dir: the folder, made where it is missing.
        runs: what the board was built from; with them the page holds the samples.
        most_samples: how many of them at most.
        reported: whether Markdown and LaTeX have what papers report, as the page, CSV and JSON do.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    samples = collect_samples(board, runs, most_samples) if most_samples else None
    own = board if reported else dataclasses.replace(board, reported=())
    texts = {
        "leaderboard.html": page_html(board, samples),
        "leaderboard.md": markdown(own),
        "leaderboard.csv": csv_text(board),
        "leaderboard.tex": latex(own),
        "leaderboard.json": json_text(board),
    }
    texts[MANIFEST_FILE] = _manifest(board, runs, texts)
    for name, text in texts.items():
        write_whole(out_dir / name, text)
    return ReportPaths(*(out_dir / name for name in texts))


def _manifest(board: Board, runs: Sequence[RunResults], files: Mapping[str, str]) -> str:
    """What a report was made from, as JSON, so that its figures can be checked and made again."""
    names = ("reference", "rank_by", "alpha", "confidence", "margin", "benchmarks")
    content = {
        "board": {**{name: getattr(board, name) for name in names}, "entries": len(board.rows)},
        "runs": [_run(run) for run in runs],
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
    }
    return as_json(content, indent=1) + "\n"


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
        "sha256": {path.name: read_digest(path) for path in stored if path.is_file()},
    }


def json_text(board: Board) -> str:
    """The board as JSON that `leaderboard.schema.json` describes, without the comparisons `versus`."""
    fields = {field.name: getattr(board, field.name) for field in dataclasses.fields(board)}
    worded = {name: sentences(fields[name], board) for name in _IN_WORDS}
    data = json.loads(_adapter().dump_json(_written()(**fields | worded), exclude=_LEFT_OUT))
    return as_json({"schema_version": SCHEMA_VERSION, **data}, indent=1) + "\n"


def schema_text() -> str:
    """The JSON Schema (draft 2020-12), as it stands in `leaderboard.schema.json`."""
    made = _adapter().json_schema(mode="serialization")
    definitions = made.pop("$defs")
    del made["properties"]["versus"], definitions["TrainingCost"]["properties"]["stages"]
    made["properties"] = {"schema_version": {"const": SCHEMA_VERSION}, **made["properties"]}
    for name, part in (*definitions.items(), ("Board", made)):
        _describe(part, name)
    schema = {"$schema": _DIALECT, "title": "Leaderboard", **made, "description": _ABOUT}
    schema["$defs"] = dict(sorted(definitions.items()))
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


@cache
def _written() -> type[Any]:
    """A board as it is written: its findings are sentences."""
    kinds = get_type_hints(Board) | dict.fromkeys(_IN_WORDS, tuple[str, ...])
    return dataclasses.make_dataclass("Board", list(kinds.items()))


@cache
def _adapter() -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(_written())


def _describe(part: dict[str, Any], name: str) -> None:
    """Says what the docstring says: of the whole before `Attributes`, of each property what stands there."""
    kind = ReportedFigure if name == "ReportedFigure" else getattr(rows, name)
    about, _, attributes = (inspect.getdoc(kind) or "").partition("\n\nAttributes:\n")
    said = {found[1]: found[2] for found in _ATTRIBUTE.finditer(attributes)}
    part.pop("title", None)
    part["description"] = _worded(about)
    part["properties"] = {
        key: _plain(value) | ({"description": _worded(said[key])} if key in said else {})
        for key, value in part["properties"].items()
    }
    part["required"] = list(part["properties"])
    part["additionalProperties"] = False


def _worded(text: str) -> str:
    return re.sub(r"\bNone\b", "null", " ".join(text.split()))


def _plain(value: Any) -> Any:
    """Without pydantic's titles and defaults: every property is always there."""
    if value == _COUNT:
        return {"type": "number"}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _plain(each) for key, each in value.items() if key not in ("title", "default")}


if __name__ == "__main__":
    SCHEMA_PATH.write_text(schema_text(), encoding="utf-8")
