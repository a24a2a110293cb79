"""Tables that only some boards have, as text: several outputs for each question, and a judge's verdicts.

Apart from `columns`, whose tables have one line for each row of the board.
"""

from collections.abc import Iterator, Sequence

from leaderboards.board.rows import Board, Cell, Judged, Row, Sampled
from leaderboards.report.evidence_tables import alpha_tables, bucket_tables, test_tables
from leaderboards.report.reported import reported_tables
from leaderboards.report.text_table import TextTable
from leaderboards.report.wording import MISSING, enumerated, label, percent
from leaderboards.stats import MACRO, Estimate

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
    """Those of them that belong to no section of the page."""
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
            tuple((label(row, board), *_figures(cell, found)) for row, cell, found in overall),
            captions,
            detail=False,
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
            tuple((label(row, board), cell.benchmark, *_figures(cell, found)) for row, cell, found in single),
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


def _figures(cell: Cell, found: Sampled) -> tuple[str, ...]:
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
            detail=False,
        )


def _verdicts(found: Judged) -> tuple[str, ...]:
    shares = (found.rule_accuracy, found.judge_accuracy, found.agreement)
    kappa = MISSING if found.kappa is None else f"{found.kappa:.2f}".replace("-", "−")
    return (str(found.n), *(percent(share) for share in shares), kappa)
