"""The leaderboard as Markdown, to be read, and as CSV in long form, to be computed with."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace

from leaderboards.board.rows import Board, Cell, MetricCell, Row
from leaderboards.report import tables
from leaderboards.report.columns import (
    benchmark_columns,
    cost_columns,
    defect_columns,
    detail_columns,
    overall_columns,
)
from leaderboards.report.findings import sentences
from leaderboards.report.tables import TextTable, text_table
from leaderboards.report.wording import legend, origins, title
from leaderboards.stats import Difference, Estimate
from tasks.shown import csv_text as csv_field
from tasks.shown import markdown_line, markdown_text

_ESTIMATE = ("mean", "ci_low", "ci_high", "se", "bootstrap_low", "bootstrap_high", "n", "seeds")
CSV_COLUMNS = (
    *("entry", "model", "role", "tags", "tagged", "method", "rank", "tier", "marks", "benchmark", "metric"),
    *(*_ESTIMATE, "samples", "own_format"),
    *("reference", "diff", "diff_low", "diff_high", "p", "p_holm", "verdict"),
    *("mcnemar_p", "gained", "lost", "cohens_h", "detectable"),
    *("truncated", "output_tokens"),
    *("train_steps", "train_tokens_forward", "train_tokens_loss", "train_flops", "train_wall_seconds"),
    *("train_reference_tokens", "train_reference_flops", "train_budget"),
    *("train_sampled_tokens", "train_sampled_flops"),
    *("licence", "link", "source"),
)


def markdown(board: Board) -> str:
    """The whole board as GitHub-flavoured Markdown."""
    rank, _, name, *_ = overall = overall_columns(board)
    rows, trained = board.rows, [row for row in board.rows if row.cost]
    headline, *others = sentences(board.summary, board)
    words = title(board)
    ranking = text_table(f"{words[0].upper()}{words[1:]}", rows, overall)
    shown = [replace(ranking, captions=legend(board))]
    if benchmarks := tuple(benchmark_columns(board)):
        shown.append(text_table("By benchmark", rows, (rank, name, *benchmarks)))
    shown.append(text_table("Details", rows, (name, *detail_columns(board))))
    if trained:
        columns = (name, *cost_columns(board))
        shown.append(text_table("Training compute of one seed", trained, columns))
    shown += tables.text_tables(board)
    shown.append(text_table("Format defects", rows, (name, *defect_columns(board))))
    said = {
        "Beware": sentences(board.notes, board),
        "Checked": sentences(board.checks, board),
        "Provenance": (
            *(f"{run}: {'; '.join(f'{k} {v}' for k, v in facts.items())}" for run, facts in board.provenance),
            *origins(board),
        ),
    }
    parts = [
        "# Leaderboard",
        *(f"**{markdown_text(answer)}**" for answer in sentences(board.claims, board)),
        "\n".join([f"**{markdown_text(headline)}**", *([""] if others else []), _bullets(others)]),
    ]
    for table in shown:
        parts += [
            f"## {markdown_text(table.heading)}",
            _lines(table),
            *filter(None, [_bullets(table.captions)]),
        ]
    for heading, lines in said.items():
        parts += [f"## {heading}", _bullets(lines)] if lines else []
    return "\n\n".join(parts) + "\n"


def csv_text(board: Board) -> str:
    """One line per row × benchmark (and macro) × metric; shares of 1, empty where there is no figure.

    Beside the metrics of the board: `maj@k` and `pass@k` for each k where several outputs were drawn for a
    question, where a judge read them `judge_accuracy`, `judge_agreement` and `judge_kappa`, whose n is the
    number of outputs, `key_accuracy`, `bits_gold`, `bits_own`, `reasoning` and `right_after` of the answer by
    itself (`board.rows.Key`), and `accuracy[reasoning 40-80]`, `accuracy[answer 1-2]`: of the outputs whose
    reasoning, or whose reference answer, has so many characters; `samples` counts them.
    Figures that others report have the role `reported`, a mean and a `source`, and nothing else.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for line in _csv_lines(board):
        writer.writerow({name: _plain(value) for name, value in line.items()})
    return buffer.getvalue()


def _csv_lines(board: Board) -> Iterator[dict[str, object]]:
    for row in board.rows:
        of_row = _row_fields(row)
        for cell in filter(None, (row.macro, *row.cells)):
            fields = of_row | {"benchmark": cell.benchmark, "samples": cell.num_samples}
            fields |= {"truncated": cell.truncated, "output_tokens": cell.output_tokens}
            for figures in cell.metrics:
                yield fields | {"reference": board.reference} | _figures(figures)
            for more in _more_figures(cell):
                yield fields | more
    for entry in board.reported:
        about = {"entry": entry.name, "model": entry.model, "role": "reported"}
        about |= {"link": entry.link or "", "source": entry.source}
        for each in entry.figures:
            yield about | {"benchmark": each.benchmark, "metric": each.metric, "mean": each.value}


def _row_fields(row: Row) -> dict[str, object]:
    names = ("model", "role", "tags", "tagged", "method", "rank", "tier", "licence", "link")
    fields: dict[str, object] = {name: getattr(row, name) for name in names}
    fields |= {"entry": row.name, "marks": "; ".join(row.marks)}
    if row.cost:
        spent = {f"train_{name}": value for name, value in asdict(row.cost).items()}
        # A count of nothing is no figure; a measured zero is one.
        fields |= {k: v if isinstance(v, float) else v or "" for k, v in spent.items() if k in CSV_COLUMNS}
    return fields


def _figures(figures: MetricCell) -> dict[str, object]:
    fields = {"metric": figures.metric, **_estimate(figures.estimate), "own_format": figures.own_format}
    if found := figures.comparison:
        of = found.difference
        fields |= _difference(of)
        fields |= {"p_holm": found.p_holm, "verdict": found.verdict}
        fields |= {"mcnemar_p": " ".join(map(_number, of.mcnemar_p)), "gained": of.gained, "lost": of.lost}
        fields |= {"cohens_h": found.effect, "detectable": found.detectable}
    return fields


def _more_figures(cell: Cell) -> Iterator[dict[str, object]]:
    """Of several outputs for each question, of a judge, the answer by itself, outputs of one length."""
    for point in cell.sampled.points if cell.sampled else ():
        yield {"metric": f"maj@{point.size}", **_estimate(point.majority)}
        yield {"metric": f"pass@{point.size}", **_estimate(point.passing)}
    if found := cell.judged:
        yield {"metric": "judge_accuracy", "mean": found.judge_accuracy, "n": found.n}
        yield {"metric": "judge_agreement", "mean": found.agreement, "n": found.n}
        yield {"metric": "judge_kappa", "mean": found.kappa, "n": found.n}
    if alone := cell.key:
        yield {"metric": "key_accuracy", **_estimate(alone.accuracy)}
        for name in ("bits_gold", "bits_own", "reasoning", "right_after"):
            compared = {"bits_gold": alone.bits_difference, "bits_own": alone.own_difference}.get(name)
            yield {"metric": name, "mean": getattr(alone, name), **_difference(compared)}
    for bucket in cell.buckets:
        name = f"accuracy[{bucket.by} {bucket.low}-{bucket.high}]"
        yield {"metric": name, **_estimate(bucket.accuracy), "samples": bucket.num_outputs}


def _difference(of: Difference | None) -> dict[str, object]:
    return {"diff": of.mean, "diff_low": of.low, "diff_high": of.high, "p": of.p} if of else {}


def _estimate(found: Estimate) -> dict[str, object]:
    ends = (found.low, found.high, found.se, *(found.bootstrap or (None, None)))
    return dict(zip(_ESTIMATE, (found.mean, *ends, found.num_questions, found.num_seeds), strict=True))


def _number(value: float) -> str:
    return f"{value:.6g}"


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    return csv_field(value) if isinstance(value, str) else value


def _lines(table: TextTable) -> str:
    """A Markdown table; names stand left, figures right."""
    sides = [":---" if heading in ("entry", "benchmark") else "---:" for heading in table.columns]
    head, *lines = [[markdown_text(text) for text in line] for line in (table.columns, *table.lines)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, sides, *lines))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {markdown_line(line)}" for line in lines)
