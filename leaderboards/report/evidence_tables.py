"""Tables of what stands behind the verdicts: the tests, the weight of accuracy, and lengths, as text.

Apart from `tables`, which puts them beside the others.
"""

from collections.abc import Iterator

from leaderboards.board.rows import Board, Bucket, BucketBy, Comparison
from leaderboards.report.text_table import TextTable
from leaderboards.report.wording import METRIC_NAMES, MISSING, label, p_value, percent, points

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
