"""Figures that others report, such as a paper's: read from YAML, shown beside the board, never ranked.

A file under `leaderboards/entries/` with `kind: reported` holds one source and its rows (`sftkey_paper.yaml`
is one). A figure belongs to a benchmark of this harness, or to an average that the file names with members.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaderboards.board.rows import METRICS, Board, Metric, Reported, ReportedFigure
from leaderboards.report.text_table import TextTable, printable
from leaderboards.report.wording import MISSING, percent
from leaderboards.results.entry_files import ENTRIES_DIR, KIND_REPORTED, read_yaml
from tasks.checks import checked
from tasks.errors import InputError, check_keys, did_you_mean

HEADING = "Reported elsewhere, not reproduced here"
_HEADINGS: dict[Metric, str] = {
    "accuracy": "accuracy",
    "accuracy_strict": "strict",
    "format_valid": "format",
    "score": "score",
}


@dataclass(frozen=True)
class _Row:
    name: str
    model: str
    figures: dict[str, dict[Metric, float]]


@dataclass(frozen=True)
class _File:
    kind: str
    source: str
    rows: tuple[_Row, ...]
    link: str | None = None
    note: str = "reported, not reproduced"
    averages: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_reported(folder: Path = ENTRIES_DIR) -> list[Reported]:
    """The reported rows of all files of a folder, by file name.

    Raises:
        InputError: There is no such folder, or one is faulty: a line naming the file, the key and the remedy.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of entries")
    paths = sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("_"))
    found = ((path, read_yaml(path)) for path in paths)
    return [row for path, data in found if data.get("kind") == KIND_REPORTED for row in _rows(data, path)]


def matching_reported(reported: Sequence[Reported], benchmarks: Collection[str]) -> list[Reported]:
    """The rows that belong beside a board of these benchmarks, with the figures that do.

    Those are figures on one of the benchmarks, and averages over a set that holds one of them.
    """
    kept = []
    for row in reported:
        figures = tuple(figure for figure in row.figures if _covers(figure) & set(benchmarks))
        if figures:
            kept.append(dataclasses.replace(row, figures=figures))
    return kept


def is_macro(figure: ReportedFigure, benchmarks: Sequence[str]) -> bool:
    """Whether it is an average over exactly these benchmarks."""
    return bool(figure.members) and set(figure.members) == set(benchmarks)


def reported_tables(board: Board) -> Iterator[TextTable]:
    """One table of all reported figures; none where the board has none."""
    if not board.reported:
        return
    metrics = [m for m in METRICS if any(f.metric == m for row in board.reported for f in row.figures)]
    yield TextTable(
        HEADING,
        ("entry", "benchmark", *(_HEADINGS[metric] for metric in metrics)),
        tuple(line for row in board.reported for line in _lines(row, metrics)),
        tuple(sources(board.reported)),
        detail=False,
    )


def sources(reported: Sequence[Reported]) -> Iterator[str]:
    """Who reports the figures, with link and note, once for each source."""
    said = dict.fromkeys((row.source, row.link, row.note) for row in reported)
    for source, link, note in said:
        where = f"{source} ({link})" if link else source
        yield printable(f"Reported by {where}: {note}. In %; neither ranked nor tested.")


def reported_label(row: Reported) -> str:
    """Name and model, such as `sft · Qwen2.5-7B`."""
    return printable(f"{row.name} · {row.model}")


def csv_fields(board: Board) -> Iterator[dict[str, object]]:
    """The lines of the CSV, with the role `reported`."""
    for row in board.reported:
        for figure in row.figures:
            yield {
                "entry": row.name,
                "model": row.model,
                "role": "reported",
                "benchmark": figure.benchmark,
                "metric": figure.metric,
                "mean": f"{figure.value:.6g}",
                "link": row.link or "",
                "source": row.source,
            }


def _lines(row: Reported, metrics: Sequence[Metric]) -> Iterator[tuple[str, ...]]:
    for benchmark in dict.fromkeys(figure.benchmark for figure in row.figures):
        values = {f.metric: percent(f.value) for f in row.figures if f.benchmark == benchmark}
        shown = (values.get(metric, MISSING) for metric in metrics)
        yield (reported_label(row), printable(benchmark), *shown)


def _covers(figure: ReportedFigure) -> set[str]:
    return set(figure.members or (figure.benchmark,))


def _rows(data: Mapping[str, Any], path: Path) -> list[Reported]:
    file = _parsed(data, path)
    rows: dict[tuple[str, str], Reported] = {}
    for row in file.rows:
        where = f"{path}: row '{row.name}' of {row.model}"
        if (row.name, row.model) in rows:
            raise InputError(f"{where} stands twice; join their figures, or rename one")
        if not row.figures:
            raise InputError(f"{where} has no figures; add some, or take the row out")
        figures = tuple(_figures(row, file.averages, where))
        rows[row.name, row.model] = Reported(
            row.name, row.model, file.source, file.link, file.note.rstrip("."), figures
        )
    return list(rows.values())


def _figures(row: _Row, averages: Mapping[str, tuple[str, ...]], where: str) -> Iterator[ReportedFigure]:
    for benchmark, values in row.figures.items():
        if benchmark not in averages:
            _check_benchmark(benchmark, f"{where}: figures", list(averages))
        for metric, value in values.items():
            _check_share(value, f"{where}: figures.{benchmark}.{metric}")
            yield ReportedFigure(benchmark, metric, value, averages.get(benchmark, ()))


def _check_share(value: float, where: str) -> None:
    if 0 <= value <= 1:
        return
    meant = f": {value / 100:.6g} for {value:g} %" if 1 < value <= 100 else ""
    raise InputError(f"{where}: {value:g} is outside 0 to 1; write it as a share of 1{meant}")


def _check_benchmark(name: str, where: str, averages: Sequence[str] = ()) -> None:
    from tasks.benchmarks import benchmark_names

    known = [*benchmark_names(), *averages]
    if name not in known:
        kinds = "benchmark, nor an average that the file names" if averages else "benchmark"
        raise InputError(f"{where}: '{name}' is no {kinds}; {did_you_mean(name, known)}")


def _parsed(data: Mapping[str, Any], path: Path) -> _File:
    """The file as its dataclass; what it holds is checked key by key, so that an error says which."""
    _check_keys(data, _File, str(path))
    rows = data.get("rows")
    for number, row in enumerate(rows if isinstance(rows, list) else (), start=1):
        if isinstance(row, dict):
            _check_keys(row, _Row, f"{path}: row {number}")
            _check_metrics(row, f"{path}: row {number}")
    file = checked(_File, data, str(path))
    if not file.rows:
        raise InputError(f"{path}: rows: there are none; add one with name, model and figures")
    for average, members in file.averages.items():
        if not members:
            raise InputError(f"{path}: averages.{average}: name the benchmarks that it is over")
        for member in members:
            _check_benchmark(member, f"{path}: averages.{average}")
    return file


def _check_keys(data: Mapping[str, Any], kind: type[_File] | type[_Row], where: str) -> None:
    fields = dataclasses.fields(kind)
    check_keys(data, [item.name for item in fields], where)
    for item in fields:
        is_needed = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if is_needed and data.get(item.name) in (None, ""):
            raise InputError(f"{where}: no '{item.name}'; add it, as in {ENTRIES_DIR / 'sftkey_paper.yaml'}")


def _check_metrics(row: Mapping[str, Any], where: str) -> None:
    figures = row["figures"]
    for benchmark, values in figures.items() if isinstance(figures, dict) else ():
        for metric in values if isinstance(values, dict) else ():
            if metric not in METRICS:
                raise InputError(
                    f"{where}: figures.{benchmark}: unknown metric '{metric}'; "
                    f"{did_you_mean(str(metric), METRICS)}"
                )
