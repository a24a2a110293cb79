"""The leaderboard's tables as text, which the terminal, Markdown and the page lay out each in its way.

Those with a line for each row of the board are made of `columns`; here are those that only some boards have,
such as what stands behind the verdicts, several outputs for each question, or a judge's verdicts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaderboards.board.rows import Board, Bucket, BucketBy, Cell, ClaimVerdict, Comparison, Row, Sampled
from leaderboards.report import wording
from leaderboards.report.columns import Column
from leaderboards.report.wording import METRIC_NAMES, MISSING, label, p_value, percent
from leaderboards.results.schema import METRICS, Metric
from leaderboards.stats import MACRO, Estimate
from tasks.shown import printable


@dataclass(frozen=True, slots=True)
class TextTable:
    """Cells as text under a heading, and what is said below them.

    A narrow terminal may leave out a `detail`; `in_terminal` is False for what is too long for any.
    """

    heading: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    captions: tuple[str, ...] = ()
    detail: bool = False
    in_terminal: bool = True

    def __post_init__(self) -> None:
        """Makes names that come from outside harmless here, for all forms."""
        for name, value in {
            "heading": printable(self.heading),
            "columns": tuple(map(printable, self.columns)),
            "lines": tuple(tuple(map(printable, line)) for line in self.lines),
            "captions": tuple(map(printable, self.captions)),
        }.items():
            object.__setattr__(self, name, value)


def text_table(heading: str, rows: Sequence[Row], columns: Sequence[Column]) -> TextTable:
    """The columns written out, a line for each row."""
    lines = tuple(tuple(text(row) for _, text in columns) for row in rows)
    return TextTable(heading, tuple(name for name, _ in columns), lines)


_SAMPLED_LEGEND = (
    "mean@k: share of right outputs, which is the accuracy above. maj@k: share of questions whose most "
    "frequent answer is right; tied answers count in equal parts. pass@k: share of questions with a right "
    "answer among k outputs. All in %; where k is less than was drawn, the mean over all choices of k."
)
_JUDGED_LEGEND = (
    "rule, judge: accuracy in % of the outputs whose verdict from the judge could be read; agree: % of them "
    "on which both say the same; κ: Cohen's, the agreement beyond chance. The ranking goes by the rule."
)
_KEY_LEGEND = (
    "key accuracy: of the answers given after the reference's reasoning, in %; its differences and those "
    "of bits have 95 % intervals, are not corrected for their number, and claim nothing. bits: mean −log2"
    " p of the reference answer after the reference's reasoning (gold) and after the output's own, whose "
    "difference is of the questions where both reason in all seeds. "
    "reasoning: % of the outputs whose reasoning makes the reference's calculations (generated "
    "benchmarks); right after: % of these that are right. An entry that is worse in the one and not in "
    "the other is worse for that."
)
_TEST_LEGEND = (
    "p: paired two-way clustered t test; Holm: the same, corrected over all pairs; McNemar: exact, for each "
    "pair of seeds; for, against: answers won and lost; h: Cohen's effect size; detectable: points of true "
    "difference that the corrected test finds four times in five."
)
_BUDGET_LEGEND = (
    "In %, with intervals over questions and seeds, by share of the budget; last, the FLOPs with which an "
    "entry first has what the reference has with the whole budget, and their share of the reference's: "
    "straight between points over the logarithm, from means alone, so that near the limit another seed may "
    "say otherwise."
)
_CHOICE_LEGEND = (
    "One choice made otherwise at a time, each tested by itself at the level of the answer: where answers "
    "differ, say which choice it was before you say what was found."
)
_ANSWERS: dict[ClaimVerdict, str] = {
    "confirmed": "yes",
    "refuted": "no",
    "equivalent": "equivalent",
    "undecided": "undecided",
    "unknown": "not known",
}
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
HEADING = "Reported elsewhere, not reproduced here"


def text_tables(board: Board) -> tuple[TextTable, ...]:
    """The tables without a line for each row that this board has, in order."""
    tables = (
        sensitivity_tables,
        budget_tables,
        test_tables,
        alpha_tables,
        _sampled_tables,
        _judged_tables,
        key_tables,
        bucket_tables,
        reported_tables,
    )
    return tuple(table for each in tables for table in each(board))


def further_tables(board: Board) -> tuple[TextTable, ...]:
    """Those of them that have no section of their own on the page."""
    return (*key_tables(board), *_sampled_tables(board), *_judged_tables(board), *reported_tables(board))


def budget_tables(board: Board) -> Iterator[TextTable]:
    """The rows at smaller shares of the budget, and what each needs for what the reference has."""
    if not board.budgets:
        return
    shares = sorted({point.share for line in board.budgets for point in line.points})
    whole = next((row.cost.total_flops for row in board.rows if row.is_reference and row.cost), None)
    lines = []
    for line in board.budgets:
        at = {point.share: _estimate(point.estimate) for point in line.points}
        needed = "not reached"
        if line.needed is not None:
            times = f" ({line.needed / whole:.2f})" if whole else ""
            needed = f"{wording.large(line.needed)}{times}"
        row = board.rows[line.row]
        lines.append((label(row, board), *(at.get(share, MISSING) for share in shares), needed))
    columns = ("entry", *(f"{100 * share:.3g} %" for share in shares), f"FLOPs to reach {board.reference}")
    heading = f"{METRIC_NAMES[board.rank_by].capitalize()} with a share of the budget"
    yield TextTable(heading, columns, tuple(lines), (_BUDGET_LEGEND,))


def test_tables(board: Board) -> Iterator[TextTable]:
    """The tests of the macro difference to the reference, with all that they rest on."""
    lines = tuple(
        (label(row, board), *_test(comparison))
        for row in board.rows
        if row.macro and (comparison := row.macro.metric(board.rank_by).comparison)
    )
    if lines:
        heading = f"Tests of the difference to {board.reference} in {METRIC_NAMES[board.rank_by]}"
        tests = ("p", "Holm", "McNemar", "for", "against", "h", "detectable")
        yield TextTable(heading, ("entry", "Δ", *tests), lines, (_TEST_LEGEND,), detail=True)


def _test(comparison: Comparison) -> tuple[str, ...]:
    found = comparison.difference
    return (
        wording.points(found.mean),
        p_value(found.p),
        p_value(comparison.p_holm),
        ", ".join(map(p_value, found.mcnemar_p)),
        str(found.gained),
        str(found.lost),
        wording.signed(comparison.effect),
        percent(comparison.detectable),
    )


def sensitivity_tables(board: Board) -> Iterator[TextTable]:
    """What the answer to each claim would be, had one choice been made otherwise."""
    for answer in board.claims:
        lines = tuple(
            (
                each.what,
                wording.points(each.difference.mean),
                wording.bounds(each.low, each.high),
                _ANSWERS[each.verdict],
            )
            for each in answer.variations
        )
        if lines:
            heading = f"Does the answer to “{answer.claim}” hang on a choice?"
            yield TextTable(
                heading, ("with", "Δ", "interval", "answer"), lines, (_CHOICE_LEGEND,), detail=True
            )


def alpha_tables(board: Board) -> Iterator[TextTable]:
    """Where the ranking by score changes as accuracy weighs more."""
    names = [label(row, board) for row in board.rows]
    lines = tuple(
        (f"{each.alpha:.2f}", names[each.rises], names[each.falls], "yes" if each.distinguishable else "no")
        for each in board.alpha_changes
    )
    if lines:
        heading = "Where the ranking by score changes as α grows from 0 to 1"
        yield TextTable(heading, ("α", "entry", "passes", "told apart"), lines, (_ALPHA_LEGEND,), detail=True)


def _sampled_tables(board: Board) -> Iterator[TextTable]:
    overall, single = (
        [
            (row, cell, cell.sampled)
            for row in board.rows
            for benchmark in benchmarks
            if (cell := row.cell(benchmark)) and cell.sampled
        ]
        for benchmarks in ((MACRO,), board.benchmarks)
    )
    if not single:
        return
    captions = (*_how_drawn(board, single), _SAMPLED_LEGEND)
    heading = "Several outputs for each question"
    if overall:
        count = len(board.benchmarks)
        over = f", macro average of {count} benchmarks" if count > 1 else ""
        lines = tuple((label(row, board), *_draws(cell, found)) for row, cell, found in overall)
        yield TextTable(heading + over, ("entry", "k", "mean@k", "maj@k", "pass@k"), lines, captions)
        lines = tuple(
            (label(row, board), str(point.size), _estimate(point.majority), _estimate(point.passing))
            for row, _, found in overall
            for point in found.points[:-1]
        )
        yield TextTable("With fewer of them", ("entry", "k", "maj@k", "pass@k"), lines, detail=True)
    if not overall or len(board.benchmarks) > 1:
        lines = tuple((label(row, board), cell.benchmark, *_draws(cell, of)) for row, cell, of in single)
        columns = ("entry", "benchmark", "k", "mean@k", "maj@k", "pass@k")
        captions = () if overall else captions
        yield TextTable(f"{heading}, by benchmark", columns, lines, captions, detail=bool(overall))


def _draws(cell: Cell, found: Sampled) -> tuple[str, ...]:
    mean, last = cell.metric("accuracy").estimate, found.points[-1]
    return (str(found.num_samples), *map(_estimate, (mean, last.majority, last.passing)))


def _estimate(found: Estimate) -> str:
    return f"{percent(found.mean)} {wording.span((found.low, found.high))}"


def _how_drawn(board: Board, cells: Sequence[tuple[Row, Cell, Sampled]]) -> Iterator[str]:
    """How many outputs whose questions had, at which temperature and from which seeds they were drawn."""
    rows: dict[tuple[int, str, str], dict[str, None]] = {}
    for row, _, found in cells:
        how = (found.num_samples, found.temperature, found.seeds)
        rows.setdefault(how, {})[label(row, board)] = None
    for (num_samples, temperature, seeds), names in rows.items():
        yield (
            f"{wording.enumerated(list(names))}: {num_samples} outputs for each question, temperature "
            f"{temperature or 'not recorded'}, sampling seed {seeds or 'not recorded'}."
        )


def _judged_tables(board: Board) -> Iterator[TextTable]:
    judges: dict[str, None] = {}
    lines = []
    for row, cell in _cells(board):
        if found := cell.judged:
            judges[found.judge] = None
            shares = map(percent, (found.rule_accuracy, found.judge_accuracy, found.agreement))
            kappa = MISSING if found.kappa is None else f"{found.kappa:.2f}".replace("-", "−")
            lines.append((label(row, board), cell.benchmark, str(found.n), *shares, kappa))
    if lines:
        columns = ("entry", "benchmark", "outputs", "rule", "judge", "agree", "κ")
        captions = (f"Judge: {'; '.join(judges)}.", _JUDGED_LEGEND)
        yield TextTable("Judge beside rule", columns, tuple(lines), captions)


def key_tables(board: Board) -> Iterator[TextTable]:
    """Whether the answer or the reasoning makes the difference: what each is by itself."""
    overall = [(row, row.macro) for row in board.rows if row.macro and row.macro.key]
    lines = tuple((label(row, board), *_key(cell)) for row, cell in overall)
    columns = (
        "key accuracy",
        f"Δ {board.reference}",
        "bits, gold",
        "Δ bits",
        "bits, own",
        "Δ own",
        "reasoning",
        "right after",
    )
    heading = "Where the difference comes from: the answer by itself"
    if lines:
        yield TextTable(heading, ("entry", *columns), lines, (_KEY_LEGEND,), detail=True)
    each = tuple((label(row, board), cell.benchmark, *_key(cell)) for row, cell in _cells(board) if cell.key)
    if each and (len(board.benchmarks) > 1 or not lines):
        captions = () if lines else (_KEY_LEGEND,)
        heading = f"{heading}, by benchmark"
        yield TextTable(heading, ("entry", "benchmark", *columns), each, captions, detail=True)


def _key(cell: Cell) -> tuple[str, ...]:
    found = cell.key
    if found is None:
        return ()
    delta = wording.difference(found.difference) if found.difference else MISSING
    gold, own = (MISSING if one is None else f"{one:.2f}" for one in (found.bits_gold, found.bits_own))
    shares = (MISSING if one is None else percent(one) for one in (found.reasoning, found.right_after))
    less = wording.bits(found.bits_difference) if found.bits_difference else MISSING
    own_less = wording.bits(found.own_difference) if found.own_difference else MISSING
    return (_estimate(found.accuracy), delta, gold, less, own, own_less, *shares)


def bucket_tables(board: Board) -> Iterator[TextTable]:
    """Accuracy by the length of the reasoning and of the answer; long, so that a terminal is spared them."""
    for by, legend in _BUCKET_LEGENDS.items():
        if lines := tuple(_bucket_lines(board, by)):
            columns = ("entry", "benchmark", *_BUCKET_NAMES)
            yield TextTable(f"Accuracy by length of the {by}", columns, lines, (legend,), True, False)


def _bucket_lines(board: Board, by: BucketBy) -> Iterator[tuple[str, ...]]:
    for row, cell in _cells(board):
        if texts := [_bucket(bucket) for bucket in cell.buckets if bucket.by == by]:
            blank = [MISSING] * (len(_BUCKET_NAMES) - len(texts))
            yield (label(row, board), cell.benchmark, *texts[:-1], *blank, texts[-1])


def _cells(board: Board) -> Iterator[tuple[Row, Cell]]:
    return ((row, cell) for row in board.rows for cell in row.cells)


def _bucket(bucket: Bucket) -> str:
    span = str(bucket.low) if bucket.low == bucket.high else f"{bucket.low}–{bucket.high}"
    return f"{percent(bucket.accuracy.mean)} ({span}; n {bucket.num_outputs})"


def reported_tables(board: Board) -> Iterator[TextTable]:
    """One table of all reported figures; none where the board has none."""
    if not board.reported:
        return
    metrics = [m for m in METRICS if any(f.metric == m for row in board.reported for f in row.figures)]
    short: dict[Metric, str] = {"accuracy_strict": "strict", "format_valid": "format"}
    lines = []
    for row in board.reported:
        for benchmark in dict.fromkeys(figure.benchmark for figure in row.figures):
            values = {f.metric: percent(f.value) for f in row.figures if f.benchmark == benchmark}
            shown = (values.get(metric, MISSING) for metric in metrics)
            lines.append((wording.reported_label(row), printable(benchmark), *shown))
    columns = ("entry", "benchmark", *(short.get(metric, metric) for metric in metrics))
    yield TextTable(HEADING, columns, tuple(lines), tuple(wording.sources(board.reported)))
