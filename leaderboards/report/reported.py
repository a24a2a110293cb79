"""Figures that others report, in words: the table beside the board, and the lines of the CSV."""

from collections.abc import Iterator, Sequence

from leaderboards.board.rows import Board
from leaderboards.report.text_table import TextTable, printable
from leaderboards.report.wording import MISSING, percent
from leaderboards.results.reported import Reported, ReportedFigure
from leaderboards.results.schema import METRICS, Metric

HEADING = "Reported elsewhere, not reproduced here"
_HEADINGS: dict[Metric, str] = {
    "accuracy": "accuracy",
    "accuracy_strict": "strict",
    "format_valid": "format",
    "score": "score",
}


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
