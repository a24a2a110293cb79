"""The leaderboard as Markdown, to be read, and as CSV in long form, to be computed with."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from leaderboards.board.rows import Board, Cell, MetricCell, Row
from leaderboards.report.columns import (
    Column,
    benchmark_column,
    cost_columns,
    defect_columns,
    detail_columns,
    overall_columns,
    text_table,
    trained_rows,
)
from leaderboards.report.findings import sentences
from leaderboards.report.tables import TextTable, text_tables
from leaderboards.report.wording import legend, origins, title
from leaderboards.stats import Estimate

CSV_COLUMNS = (
    *("entry", "model", "role", "tags", "tagged", "method", "rank", "tier", "marks", "benchmark", "metric"),
    *("mean", "ci_low", "ci_high", "se", "bootstrap_low", "bootstrap_high"),
    *("n", "seeds", "samples", "own_format"),
    *("reference", "diff", "diff_low", "diff_high", "p", "p_holm", "verdict"),
    *("permutation_p", "mcnemar_p", "gained", "lost", "cohens_h", "detectable"),
    *("truncated", "output_tokens"),
    *("train_steps", "train_tokens_forward", "train_tokens_loss", "train_flops", "train_wall_seconds"),
    *("train_reference_tokens", "train_reference_flops", "train_budget"),
    *("licence", "link", "source"),
)


def markdown(board: Board) -> str:
    """The whole board as GitHub-flavoured Markdown."""
    overall = overall_columns(board)
    rank, _, name, *_ = overall
    headline, *others = sentences(board.summary, board)
    words = title(board)
    parts = [
        "# Leaderboard",
        "\n".join([f"**{_escape(headline)}**", *([""] if others else []), _bullets(others)]),
        f"## {words[0].upper()}{words[1:]}",
        _table(board.rows, overall),
        _bullets(legend(board)),
    ]
    if len(board.benchmarks) > 1:
        columns = [benchmark_column(board, benchmark) for benchmark in board.benchmarks]
        parts += ["## By benchmark", _table(board.rows, (rank, name, *columns))]
    parts += ["## Details", _table(board.rows, (name, *detail_columns(board)))]
    if trained := trained_rows(board):
        parts += ["## Training compute of one seed", _table(trained, (name, *cost_columns(board)))]
    for table in text_tables(board):
        parts += [f"## {_escape(table.heading)}", _lines(table)]
        parts += [_bullets(table.captions)] if table.captions else []
    parts += ["## Format defects", _table(board.rows, (name, *defect_columns(board)))]
    for heading, found in (("Beware", board.notes), ("Checked", board.checks)):
        parts += [f"## {heading}", _bullets(sentences(found, board))] if found else []
    parts += ["## Provenance", _bullets(_provenance(board))]
    return "\n\n".join(parts) + "\n"


def csv_text(board: Board) -> str:
    """One line per row × benchmark (and macro) × metric; shares of 1, empty where there is no figure.

    Beside the metrics of the board: `maj@k` and `pass@k` for each k where several outputs were drawn for a
    question, where a judge read them `judge_accuracy`, `judge_agreement` and `judge_kappa`, whose n is the
    number of outputs, and `accuracy[reasoning 40-80]`, `accuracy[answer 1-2]`: of the outputs whose
    reasoning, or whose reference answer, has so many characters; `samples` counts them.
    Figures that others report have the role `reported`, a mean and a `source`, and nothing else.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in board.rows:
        for cell in filter(None, (row.macro, *row.cells)):
            fields = _row_fields(row) | _cell_fields(cell)
            for figures in cell.metrics:
                writer.writerow(fields | _figures(figures, board))
            more = (*_sampled(cell), *_judged(cell), *_buckets(cell))
            writer.writerows(fields | each for each in more)
    writer.writerows(_reported_fields(board))
    return buffer.getvalue()


def _row_fields(row: Row) -> dict[str, object]:
    fields: dict[str, object] = {
        "entry": row.name,
        "model": row.model,
        "role": row.role,
        "tags": row.tags,
        "tagged": _yes(row.tagged),
        "method": row.method or "",
        "rank": "" if row.rank is None else row.rank,
        "tier": "" if row.tier is None else row.tier,
        "marks": "; ".join(row.marks),
        "licence": row.licence or "",
        "link": row.link or "",
    }
    if row.cost:
        spent = {f"train_{name}": _plain(value) for name, value in asdict(row.cost).items()}
        fields |= {name: value for name, value in spent.items() if name in CSV_COLUMNS}
    return fields


def _cell_fields(cell: Cell) -> dict[str, object]:
    return {
        "benchmark": cell.benchmark,
        "samples": cell.num_samples,
        "truncated": _number(cell.truncated),
        "output_tokens": _number(cell.output_tokens),
    }


def _figures(figures: MetricCell, board: Board) -> dict[str, object]:
    fields: dict[str, object] = {
        "metric": figures.metric,
        **_estimate(figures.estimate),
        "own_format": _yes(figures.own_format),
        "reference": board.reference,
    }
    if figures.comparison:
        difference = figures.comparison.difference
        fields |= {
            "diff": _number(difference.mean),
            "diff_low": _number(difference.low),
            "diff_high": _number(difference.high),
            "p": _number(difference.p),
            "p_holm": _number(figures.comparison.p_holm),
            "verdict": figures.comparison.verdict,
            "permutation_p": _maybe(figures.comparison.permutation_p),
            "mcnemar_p": " ".join(map(_number, difference.mcnemar_p)),
            "gained": difference.gained,
            "lost": difference.lost,
            "cohens_h": _number(figures.comparison.effect),
            "detectable": _number(difference.detectable),
        }
    return fields


def _sampled(cell: Cell) -> Iterator[dict[str, object]]:
    for point in cell.sampled.points if cell.sampled else ():
        yield {"metric": f"maj@{point.size}", **_estimate(point.majority)}
        yield {"metric": f"pass@{point.size}", **_estimate(point.passing)}


def _buckets(cell: Cell) -> Iterator[dict[str, object]]:
    for bucket in cell.buckets:
        name = f"accuracy[{bucket.by} {bucket.low}-{bucket.high}]"
        yield {"metric": name, **_estimate(bucket.accuracy), "samples": bucket.num_outputs}


def _judged(cell: Cell) -> Iterator[dict[str, object]]:
    if found := cell.judged:
        yield {"metric": "judge_accuracy", "mean": _number(found.judge_accuracy), "n": found.n}
        yield {"metric": "judge_agreement", "mean": _number(found.agreement), "n": found.n}
        yield {
            "metric": "judge_kappa",
            "mean": "" if found.kappa is None else _number(found.kappa),
            "n": found.n,
        }


def _reported_fields(board: Board) -> Iterator[dict[str, object]]:
    """The lines of figures that others report."""
    for row in board.reported:
        for figure in row.figures:
            yield {
                "entry": row.name,
                "model": row.model,
                "role": "reported",
                "benchmark": figure.benchmark,
                "metric": figure.metric,
                "mean": _number(figure.value),
                "link": row.link or "",
                "source": row.source,
            }


def _estimate(found: Estimate) -> dict[str, object]:
    return {
        "mean": _number(found.mean),
        "ci_low": _number(found.low),
        "ci_high": _number(found.high),
        "se": _number(found.se),
        **dict(zip(("bootstrap_low", "bootstrap_high"), map(_number, found.bootstrap or ()), strict=False)),
        "n": found.num_questions,
        "seeds": found.num_seeds,
    }


def _number(value: float) -> str:
    return f"{value:.6g}"


def _maybe(value: float | None) -> str:
    return "" if value is None else _number(value)


def _plain(value: float | str | None) -> str:
    return _number(value) if isinstance(value, float) else value or ""


def _yes(flag: bool) -> str:
    return "true" if flag else "false"


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    return _lines(text_table("", rows, columns))


def _lines(table: TextTable) -> str:
    """A Markdown table; names stand left, figures right."""
    sides = [":---" if heading in ("entry", "benchmark") else "---:" for heading in table.columns]
    head, *lines = [[_escape(text) for text in line] for line in (table.columns, *table.lines)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, sides, *lines))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_escape(line)}" for line in lines)


def _provenance(board: Board) -> Iterator[str]:
    for source, facts in board.provenance:
        yield f"{source}: {'; '.join(f'{key} {value}' for key, value in facts.items())}"
    yield from origins(board)


def _escape(text: str) -> str:
    """Text that Markdown shows as it is: no table cell, tag or code is opened by a name."""
    for character, shown in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("`", "\\`"), ("*", "\\*")):
        text = text.replace(character, shown)
    return " ".join(text.split())
