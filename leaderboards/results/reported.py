"""Figures that others report, such as a paper's: read from YAML, to be shown beside a board, never ranked.

A file under `leaderboards/entries/` with `kind: reported` holds one source and its rows (`sftkey_paper.yaml`
is one). A figure belongs to a benchmark of this harness, or to an average that the file names with members.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaderboards.results.entry_files import ENTRIES_DIR, read_folder
from leaderboards.results.schema import METRICS, Metric
from tasks.checks import checked
from tasks.errors import InputError, check_keys, did_you_mean
from tasks.names import check_label, check_name


@dataclass(frozen=True, slots=True)
class ReportedFigure:
    """One figure that a paper reports, a share of 1.

    Attributes:
        benchmark: On which, or the name of an average.
        metric: Of what.
        value: The figure.
        members: The benchmarks of an average; none for a single benchmark.
    """

    benchmark: str
    metric: Metric
    value: float
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reported:
    """An entry whose figures others report; never ranked, never tested, and marked as what it is.

    Attributes:
        name: Of the entry.
        model: What it was trained from.
        source: Who reports it, such as `arXiv 2512.21017`.
        link: To it; None without.
        note: What the reader must know, such as how the figures were transcribed.
        figures: In the file's order.
    """

    name: str
    model: str
    source: str
    link: str | None
    note: str
    figures: tuple[ReportedFigure, ...]


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
    return [row for path, data in read_folder(folder, reported=True) for row in _rows(data, path)]


def matching_reported(reported: Sequence[Reported], benchmarks: Collection[str]) -> list[Reported]:
    """The rows that belong beside a board of these benchmarks, with the figures that do.

    Those are figures on one of the benchmarks, and averages over a set that holds one of them.
    """
    kept = []
    for row in reported:
        covers = ((figure, figure.members or (figure.benchmark,)) for figure in row.figures)
        if figures := tuple(figure for figure, names in covers if set(names) & set(benchmarks)):
            kept.append(dataclasses.replace(row, figures=figures))
    return kept


def _rows(data: Mapping[str, Any], path: Path) -> list[Reported]:
    file = _parsed(data, path)
    rows: dict[tuple[str, str], Reported] = {}
    for row in file.rows:
        where = f"{path}: row '{row.name}' of {row.model}"
        check_name(row.name, f"{path}: rows")
        check_label(row.model, where, "model")
        if (row.name, row.model) in rows:
            raise InputError(f"{where} stands twice; join their figures, or rename one")
        if not row.figures:
            raise InputError(f"{where} has no figures; add some, or take the row out")
        figures = tuple(_figures(row, file.averages, where))
        note = file.note.rstrip(".")
        rows[row.name, row.model] = Reported(row.name, row.model, file.source, file.link, note, figures)
    return list(rows.values())


def _figures(row: _Row, averages: Mapping[str, tuple[str, ...]], where: str) -> Iterator[ReportedFigure]:
    for benchmark, values in row.figures.items():
        if benchmark not in averages:
            _check_benchmark(benchmark, f"{where}: figures", list(averages))
        for metric, value in values.items():
            if not 0 <= value <= 1:
                meant = f": {value / 100:.6g} for {value:g} %" if 1 < value <= 100 else ""
                raise InputError(
                    f"{where}: figures.{benchmark}.{metric}: {value:g} is outside 0 to 1; "
                    f"write it as a share of 1{meant}"
                )
            yield ReportedFigure(benchmark, metric, value, averages.get(benchmark, ()))


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
        check_label(average, f"{path}: averages", "name")
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
