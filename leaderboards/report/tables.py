"""Tables as text, which the terminal, Markdown and the page lay out each in its way.

Here are those that only some boards have: what stands behind the verdicts, several outputs for each question,
a judge's verdicts, lengths, and figures that others report. Tables with one line for each row of the board
are made of `columns`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaderboards.board.rows import Board, Bucket, BucketBy, Cell, Comparison, Judged, Row, Sampled
from leaderboards.report.wording import (
    METRIC_NAMES,
    MISSING,
    enumerated,
    label,
    p_value,
    percent,
    points,
    printable,
)
from leaderboards.results.reported import Reported, ReportedFigure
from leaderboards.results.schema import METRICS, Metric
from leaderboards.stats import MACRO, Estimate


@dataclass(frozen=True, slots=True)
class TextTable:
    """Cells as text under a heading.

    Attributes:
        heading: What it holds.
        columns: The headings of its columns.
        lines: The cells of each line.
        captions: What is said below it.
        detail: Whether a narrow terminal may leave it out.
        in_terminal: False where it is too long for any terminal.
    """

    heading: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    captions: tuple[str, ...] = ()
    detail: bool = False
    in_terminal: bool = True


_SAMPLED_LEGEND = (
    "mean@k: share of right outputs, which is the accuracy above. maj@k: share of questions whose most "
    "frequent answer is right; tied answers count in equal parts. pass@k: share of questions with a right "
    "answer among k outputs. All in %; where k is less than was drawn, the mean over all choices of k."
)
_JUDGED_LEGEND = (
    "rule, judge: accuracy in % of the outputs whose verdict from the judge could be read; agree: % of them "
    "on which both say the same; κ: Cohen's, the agreement beyond chance. The ranking goes by the rule."
)


def text_tables(board: Board) -> tuple[TextTable, ...]:
    """The tables that this board has, in order."""
    return (
        *test_tables(board),
        *alpha_tables(board),
        *_sampled_tables(board),
        *_judged_tables(board),
        *bucket_tables(board),
        *reported_tables(board),
    )


def further_tables(board: Board) -> tuple[TextTable, ...]:
    """Those of them that have no section of their own on the page."""
    return (*_sampled_tables(board), *_judged_tables(board), *reported_tables(board))


def _sampled_tables(board: Board) -> Iterator[TextTable]:
    overall = _sampled_cells(board, [MACRO])
    single = _sampled_cells(board, board.benchmarks)
    if not single:
        return
    captions = (*_how_drawn(board, single), _SAMPLED_LEGEND)
    heading = "Several outputs for each question"
    if overall:
        over = f", macro average of {len(board.benchmarks)} benchmarks" if len(board.benchmarks) > 1 else ""
        yield TextTable(
            heading + over,
            ("entry", "k", "mean@k", "maj@k", "pass@k"),
            tuple((label(row, board), *_draws(cell, found)) for row, cell, found in overall),
            captions,
        )
        yield TextTable(
            "With fewer of them",
            ("entry", "k", "maj@k", "pass@k"),
            tuple(
                (label(row, board), str(point.size), _estimate(point.majority), _estimate(point.passing))
                for row, _, found in overall
                for point in found.points[:-1]
            ),
            (),
            detail=True,
        )
    if not overall or len(board.benchmarks) > 1:
        yield TextTable(
            f"{heading}, by benchmark",
            ("entry", "benchmark", "k", "mean@k", "maj@k", "pass@k"),
            tuple((label(row, board), cell.benchmark, *_draws(cell, found)) for row, cell, found in single),
            () if overall else captions,
            detail=bool(overall),
        )


def _sampled_cells(board: Board, places: Sequence[str]) -> list[tuple[Row, Cell, Sampled]]:
    return [
        (row, cell, cell.sampled)
        for row in board.rows
        for place in places
        if (cell := row.cell(place)) and cell.sampled
    ]


def _draws(cell: Cell, found: Sampled) -> tuple[str, ...]:
    last = found.points[-1]
    mean = cell.metric("accuracy").estimate
    return (str(found.num_samples), *(_estimate(each) for each in (mean, last.majority, last.passing)))


def _estimate(found: Estimate) -> str:
    return f"{percent(found.mean)} [{percent(found.low)}, {percent(found.high)}]"


def _how_drawn(board: Board, cells: Sequence[tuple[Row, Cell, Sampled]]) -> Iterator[str]:
    """How many outputs whose questions had, at which temperature and from which seeds they were drawn."""
    rows: dict[tuple[int, str, str], dict[str, None]] = {}
    for row, _, found in cells:
        how = (found.num_samples, found.temperature, found.seeds)
        rows.setdefault(how, {})[label(row, board)] = None
    for (num_samples, temperature, seeds), names in rows.items():
        yield (
            f"{enumerated(list(names))}: {num_samples} outputs for each question, temperature "
            f"{temperature or 'not recorded'}, sampling seed {seeds or 'not recorded'}."
        )


def _judged_tables(board: Board) -> Iterator[TextTable]:
    judged = [(row, cell.benchmark, cell.judged) for row in board.rows for cell in row.cells if cell.judged]
    if judged:
        judges = dict.fromkeys(found.judge for _, _, found in judged)
        yield TextTable(
            "Judge beside rule",
            ("entry", "benchmark", "outputs", "rule", "judge", "agree", "κ"),
            tuple((label(row, board), benchmark, *_verdicts(found)) for row, benchmark, found in judged),
            (f"Judge: {'; '.join(judges)}.", _JUDGED_LEGEND),
        )


def _verdicts(found: Judged) -> tuple[str, ...]:
    shares = (found.rule_accuracy, found.judge_accuracy, found.agreement)
    kappa = MISSING if found.kappa is None else f"{found.kappa:.2f}".replace("-", "−")
    return (str(found.n), *(percent(share) for share in shares), kappa)


_TEST_LEGEND = (
    "p: paired two-way clustered t test; Holm: the same, corrected; permutation: the signs of questions and "
    "of seeds flipped at random; McNemar: exact, for each pair of seeds; for, against: answers won and "
    "lost; h: Cohen's effect size; detectable: points of true difference that the t test finds four times "
    "in five."
)
_ALPHA_LEGEND = (
    "score = α·accuracy + (1 − α)·format validity. Told apart: the two differ beyond chance both in accuracy "
    "and in format; else the change of place means nothing."
)
_BUCKET_LEGENDS: dict[BucketBy, str] = {
    "reasoning": "Accuracy in %, and after it the characters of the output's own reasoning. An entry "
    "chooses how long it reasons, and may reason longer where a question is harder: a column compares "
    "outputs, not skill.",
    "answer": "Accuracy in %, and after it the characters of the reference answer: each column holds the "
    "same questions for all entries.",
}
_BUCKET_NAMES = ("shortest", "second", "third", "longest")


def test_tables(board: Board) -> Iterator[TextTable]:
    """The tests of the macro difference to the reference, with all that they rest on."""
    compared = [
        (row, comparison)
        for row in board.rows
        if row.macro and (comparison := row.macro.metric(board.rank_by).comparison)
    ]
    if compared:
        yield TextTable(
            f"Tests of the difference to {board.reference} in {METRIC_NAMES[board.rank_by]}",
            ("entry", "Δ", "p", "Holm", "permutation", "McNemar", "for", "against", "h", "detectable"),
            tuple((label(row, board), *_test(comparison)) for row, comparison in compared),
            (_TEST_LEGEND,),
            detail=True,
        )


def _test(comparison: Comparison) -> tuple[str, ...]:
    found = comparison.difference
    return (
        points(found.mean),
        p_value(found.p),
        p_value(comparison.p_holm),
        MISSING if comparison.permutation_p is None else p_value(comparison.permutation_p),
        ", ".join(map(p_value, found.mcnemar_p)),
        str(found.gained),
        str(found.lost),
        f"{comparison.effect:+.2f}".replace("-", "−"),
        percent(found.detectable),
    )


def alpha_tables(board: Board) -> Iterator[TextTable]:
    """Where the ranking by score changes as accuracy weighs more."""
    if board.alpha_changes:
        names = [label(row, board) for row in board.rows]
        yield TextTable(
            "Where the ranking by score changes as α grows from 0 to 1",
            ("α", "entry", "passes", "told apart"),
            tuple(
                (
                    f"{change.alpha:.2f}",
                    names[change.rises],
                    names[change.falls],
                    "yes" if change.distinguishable else "no",
                )
                for change in board.alpha_changes
            ),
            (_ALPHA_LEGEND,),
            detail=True,
        )


def bucket_tables(board: Board) -> Iterator[TextTable]:
    """Accuracy by the length of the reasoning and of the answer; long, so that a terminal is spared them."""
    for by in _BUCKET_LEGENDS:
        lines = tuple(_bucket_lines(board, by))
        if lines:
            yield TextTable(
                f"Accuracy by length of the {by}",
                ("entry", "benchmark", *_BUCKET_NAMES),
                lines,
                (_BUCKET_LEGENDS[by],),
                detail=True,
                in_terminal=False,
            )


def _bucket_lines(board: Board, by: BucketBy) -> Iterator[tuple[str, ...]]:
    for row in board.rows:
        for cell in row.cells:
            own = [bucket for bucket in cell.buckets if bucket.by == by]
            if own:
                texts = [_bucket(bucket) for bucket in own]
                blank = [MISSING] * (len(_BUCKET_NAMES) - len(own))
                yield (label(row, board), cell.benchmark, *texts[:-1], *blank, texts[-1])


def _bucket(bucket: Bucket) -> str:
    span = str(bucket.low) if bucket.low == bucket.high else f"{bucket.low}–{bucket.high}"
    return f"{percent(bucket.accuracy.mean)} ({span}; n {bucket.num_outputs})"


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


def _lines(row: Reported, metrics: Sequence[Metric]) -> Iterator[tuple[str, ...]]:
    for benchmark in dict.fromkeys(figure.benchmark for figure in row.figures):
        values = {f.metric: percent(f.value) for f in row.figures if f.benchmark == benchmark}
        shown = (values.get(metric, MISSING) for metric in metrics)
        yield (reported_label(row), printable(benchmark), *shown)
