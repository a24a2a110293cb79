"""What the board found, in sentences: never more than the paired test supports, and what to beware of."""

from collections.abc import Iterator

from leaderboards.board.compute import compute_sentences, times_reference
from leaderboards.board.rows import Board, Comparison, Row
from leaderboards.report.wording import METRIC_NAMES, VERDICT_WORDS, label, percent, tested

MIN_SEEDS = 3
MIN_QUESTIONS = 200
NEAR_ZERO = 0.05


def summary(board: Board) -> tuple[str, ...]:
    """The headline, a sentence for each entry compared with the reference, and whether compute was equal."""
    sentences = (_sentence(board, row) for row in board.rows if _comparison(board, row))
    return (_headline(board), *sentences, *compute_sentences(board))


def notes(board: Board) -> tuple[str, ...]:
    """Cautions about the figures themselves: few seeds, few questions, no rank, and figures near zero."""
    return (
        *_power(board),
        *_few_seeds(board),
        *_few_questions(board),
        *_not_ranked(board),
        *_near_zero(board),
    )


def _comparison(board: Board, row: Row) -> Comparison | None:
    return row.macro.metric(board.rank_by).comparison if row.macro else None


def _headline(board: Board) -> str:
    metric = METRIC_NAMES[board.rank_by]
    compared = [(row, _comparison(board, row)) for row in board.rows]
    better = [label(row, board) for row, found in compared if found and found.verdict == "better"]
    over = "1 benchmark" if len(board.benchmarks) == 1 else f"{len(board.benchmarks)} benchmarks"
    if not board.family_macro:
        return f"Nothing could be compared with {board.reference} on {metric} over all of {over}."
    if better:
        return f"Better than {board.reference} on {metric} over {over}: {', '.join(better)}."
    return f"No entry is better than {board.reference} on {metric} over {over}."


def _sentence(board: Board, row: Row) -> str:
    found = _comparison(board, row)
    assert found is not None
    difference = found.difference
    undecided = found.verdict == "not distinguishable" and (difference.low > 0 or difference.high < 0)
    correction = f" once corrected for {board.family_macro} comparisons" if undecided else ""
    return (
        f"{label(row, board)} {VERDICT_WORDS[found.verdict]} {board.reference} on "
        f"{METRIC_NAMES[board.rank_by]}{correction} ({tested(found, board.confidence)})"
        f"{times_reference(board, row)}."
    )


def _power(board: Board) -> Iterator[str]:
    """What could have been found: else "not distinguishable" is read as "the same"."""
    found = [(row, comparison) for row in board.rows if (comparison := _comparison(board, row))]
    open_ones = [pair for pair in found if pair[1].verdict == "not distinguishable"]
    if open_ones:
        (least, smallest), *_, (most, largest) = (
            sorted(open_ones, key=lambda pair: pair[1].difference.detectable)
            if len(open_ones) > 1
            else open_ones * 2
        )
        span = f"{percent(smallest.difference.detectable)} points ({label(least, board)})"
        if most is not least:
            span += f" to {percent(largest.difference.detectable)} ({label(most, board)})"
        yield (
            f"Not distinguishable does not mean equal: before any correction, the questions and seeds here "
            f"find a true difference to {board.reference} four times in five only from {span} on."
        )


def _few_seeds(board: Board) -> Iterator[str]:
    few = [row for row in board.rows if row.role == "trained" and len(row.seeds) < MIN_SEEDS]
    single = [label(row, board) for row in few if len(row.seeds) == 1]
    if single:
        yield (
            f"Only 1 seed for {', '.join(single)}: the intervals hold question sampling alone, and another "
            "seed could turn the verdict round."
        )
    rest = [label(row, board) for row in few if len(row.seeds) > 1]
    if rest:
        yield (
            f"Fewer than {MIN_SEEDS} seeds for {', '.join(rest)}: how much seeds matter is hardly known, and "
            "the intervals are rough."
        )


def _few_questions(board: Board) -> Iterator[str]:
    for benchmark in board.benchmarks:
        cells = [cell for row in board.rows if (cell := row.cell(benchmark))]
        estimates = [cell.metric(board.rank_by).estimate for cell in cells]
        n = min(estimate.num_questions for estimate in estimates)
        if n < MIN_QUESTIONS:
            width = max(estimate.high - estimate.low for estimate in estimates)
            yield (
                f"{benchmark} has only {n} question{'s' if n != 1 else ''}: its intervals are up to "
                f"{percent(width)} points wide, too wide for small differences."
            )


def _not_ranked(board: Board) -> Iterator[str]:
    missing = [label(row, board) for row in board.rows if row.macro is None]
    if missing:
        names = ", ".join(missing)
        yield f"Not ranked, for want of results on the same questions of all benchmarks: {names}."
    other = [label(row, board) for row in board.rows if row.macro and row.rank is None]
    if other:
        yield (
            f"Not ranked, since their {METRIC_NAMES[board.rank_by]} holds another kind of format: "
            f"{', '.join(other)}."
        )


def _near_zero(board: Board) -> Iterator[str]:
    highest = [row.macro.metric("accuracy").estimate.high for row in board.rows if row.macro]
    if highest and max(highest) <= NEAR_ZERO:
        yield (
            "Every accuracy is near zero: these benchmarks cannot tell such entries apart, and no difference "
            "here says anything about the methods."
        )
