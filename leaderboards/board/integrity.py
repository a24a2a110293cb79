"""Whether the figures can be trusted, in sentences: what to beware of, and what was checked and found well.

Truncated outputs, test questions in the training data, outputs that the reference engine does not give,
judges that disagree with the rule, and entries that were not asked or scored in the same way.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from leaderboards.board.rows import Board, Row
from leaderboards.report.wording import MISSING, UNLIKE_MARK, enumerated, label, percent
from leaderboards.results.merge import Group
from leaderboards.results.schema import Evaluation, ExactCheck, Overlap

MANY_TRUNCATED = 0.05
"""Share of an entry's outputs on a benchmark cut at the token limit that is worth a warning."""
MANY_VERDICTS = 0.01
"""Share of the outputs made again by the reference engine that may be judged otherwise."""
_MAX_NAMED = 6

_Evaluated = tuple[Row, Evaluation]


def warnings(board: Board, groups: Sequence[Group]) -> tuple[str, ...]:
    """What to beware of."""
    evaluated = _evaluated(board, groups)
    return (
        *_truncated(board),
        *_overlapping(board, evaluated),
        *_other_verdicts(board, evaluated),
        *_marked(groups),
        *_unequal_settings(board, evaluated),
    )


def checks(board: Board, groups: Sequence[Group]) -> tuple[str, ...]:
    """What was checked, and found well or left to the reader's judgement."""
    evaluated = _evaluated(board, groups)
    return (*_apart(board, evaluated), *_made_again(board, evaluated), *_judges(board))


def _evaluated(board: Board, groups: Sequence[Group]) -> list[_Evaluated]:
    """Every evaluation with its row, by benchmark in the board's order."""
    by_name = {(group.model, group.name): group for group in groups}
    pairs = [(row, e) for row in board.rows for e in by_name[row.model, row.name].evaluations]
    return sorted(pairs, key=lambda pair: board.benchmarks.index(pair[1].benchmark))


def _names(board: Board, rows: Iterable[Row]) -> str:
    return _few(list(dict.fromkeys(label(row, board) for row in rows)))


def _few(names: Sequence[str]) -> str:
    rest = [f"{len(names) - _MAX_NAMED} more"] if len(names) > _MAX_NAMED else []
    return enumerated([*names[:_MAX_NAMED], *rest])


def _truncated(board: Board) -> Iterator[str]:
    many = [
        f"{label(row, board)} on {cell.benchmark} ({percent(cell.truncated)} %)"
        for row in board.rows
        for cell in row.cells
        if cell.truncated > MANY_TRUNCATED
    ]
    if many:
        shown = ", ".join(many[:4]) + (f" and {len(many) - 4} more" if len(many) > 4 else "")
        yield (
            f"Generation budget too small: more than {100 * MANY_TRUNCATED:.0f} % of the outputs were cut at "
            f"the token limit: {shown}. Raise the limit before reading anything into these figures."
        )


def _overlapping(board: Board, evaluated: Sequence[_Evaluated]) -> Iterator[str]:
    """Test questions that stand in training data; rows with the same finding together."""
    rows: dict[tuple[str, Overlap], list[Row]] = {}
    for row, evaluation in evaluated:
        if evaluation.overlap and evaluation.overlap.ngram:
            rows.setdefault((evaluation.benchmark, evaluation.overlap), []).append(row)
    for (benchmark, found), of in rows.items():
        example = "" if not found.examples else " (such as {} in {})".format(*found.examples[0])
        yield (
            f"{benchmark}: {found.ngram:,} of the {found.n:,} test questions "
            f"({percent(found.ngram / found.n)} %) share a run of {found.ngram_size} words with the training "
            f"data of {_names(board, of)} ({found.num_train:,} records), {found.exact:,} of them word for "
            f"word{example}: what looks like skill may be memory."
        )


def _apart(board: Board, evaluated: Sequence[_Evaluated]) -> Iterator[str]:
    """Benchmarks of which no question stands in the training data, for rows of which this is equally true."""
    clean: dict[tuple[str, int, int], dict[str, int]] = {}
    for row, evaluation in evaluated:
        if (found := evaluation.overlap) and not found.ngram:
            data = (label(row, board), found.num_train, found.ngram_size)
            clean.setdefault(data, {})[evaluation.benchmark] = found.n
    names: dict[tuple[int, int, tuple[str, ...]], list[str]] = {}
    for (name, num_train, ngram_size), sizes in clean.items():
        benchmarks = tuple(f"{benchmark} ({n:,})" for benchmark, n in sizes.items())
        names.setdefault((num_train, ngram_size, benchmarks), []).append(name)
    for (num_train, ngram_size, benchmarks), of in names.items():
        yield (
            f"None of the test questions of {enumerated(benchmarks)} stands in the training data of "
            f"{_few(of)} ({num_train:,} records), word for word or by a run of {ngram_size} words."
        )


def _made_again(board: Board, evaluated: Sequence[_Evaluated]) -> Iterator[str]:
    """For each reference engine, how many outputs it gave otherwise, over all entries and benchmarks."""
    found: dict[str, list[tuple[Row, str, ExactCheck]]] = {}
    for row, evaluation in evaluated:
        if check := evaluation.exact:
            found.setdefault(f"{check.engine}, {check.dtype}", []).append((row, evaluation.benchmark, check))
    for engine, made in found.items():
        yield (
            f"Of {sum(check.n for _, _, check in made):,} outputs made again by the reference engine "
            f"({engine}) for {_names(board, (row for row, _, _ in made))} on "
            f"{enumerated(list(dict.fromkeys(benchmark for _, benchmark, _ in made)))}, "
            f"{sum(check.texts_differ for _, _, check in made):,} differ in their text and "
            f"{sum(check.verdicts_differ for _, _, check in made):,} in their verdict."
        )


def _other_verdicts(board: Board, evaluated: Sequence[_Evaluated]) -> Iterator[str]:
    found: dict[tuple[str, str], list[ExactCheck]] = {}
    for row, evaluation in evaluated:
        if evaluation.exact:
            found.setdefault((label(row, board), evaluation.benchmark), []).append(evaluation.exact)
    many = []
    for (name, benchmark), of_seeds in found.items():
        n, differ = sum(check.n for check in of_seeds), sum(check.verdicts_differ for check in of_seeds)
        if differ > MANY_VERDICTS * n:
            many.append(f"{name} on {benchmark} ({differ:,} of {n:,})")
    if many:
        yield (
            f"The engine does not give what the reference engine gives: over {100 * MANY_VERDICTS:.0f} % of "
            f"the outputs made again were judged otherwise: {', '.join(many)}."
        )


def _judges(board: Board) -> Iterator[str]:
    for benchmark in board.benchmarks:
        cells = [(row, cell.judged) for row in board.rows if (cell := row.cell(benchmark))]
        judged = [(row, found) for row, found in cells if found]
        if not judged:
            continue
        differ = [(row, found.rule_only + found.judge_only) for row, found in judged]
        named = ", ".join(f"{label(row, board)} {count:,}" for row, count in differ if count)
        unreadable = sum(found.unreadable for _, found in judged)
        yield (
            f"{benchmark}: judge and rule differ on {sum(count for _, count in differ):,} of "
            f"{sum(found.n for _, found in judged):,} outputs"
            + (f" ({named})." if named else ".")
            + (f" {unreadable:,} of the judge's verdicts could not be read." if unreadable else "")
        )


def _unequal_settings(board: Board, evaluated: Sequence[_Evaluated]) -> Iterator[str]:
    benchmarks: dict[str, list[str]] = {}
    for benchmark, pairs in groupby(evaluated, key=lambda pair: pair[1].benchmark):
        if unequal := list(_differing(board, list(pairs))):
            benchmarks.setdefault("; ".join(unequal), []).append(benchmark)
    for settings, names in benchmarks.items():
        yield (
            f"{enumerated(names)}: entries were generated by different engines, which may be all that a "
            f"difference shows: {settings}."
        )


def _differing(board: Board, pairs: Sequence[_Evaluated]) -> Iterator[str]:
    """Each setting that differs, with its values and who has them."""
    of_rows = [(row, _settings(evaluation)) for row, evaluation in pairs]
    for key in dict.fromkeys(key for _, settings in of_rows for key in settings):
        rows: dict[str, list[Row]] = {}
        for row, settings in of_rows:
            rows.setdefault(settings.get(key, MISSING), []).append(row)
        if len(rows) > 1:
            values = [f"{value} ({_names(board, of)})" for value, of in sorted(rows.items())]
            yield f"{key} {' / '.join(values)}"


def _settings(evaluation: Evaluation) -> dict[str, str]:
    """What may differ on a board, and ought to be known, as text."""
    return {"engine": evaluation.engine, "dtype": evaluation.dtype}


def _marked(groups: Sequence[Group]) -> Iterator[str]:
    """What the user allowed to differ, and in whose results it does."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for group in groups:
        for unlike in group.unlike:
            found.setdefault((group.name, unlike.mark()), {})[unlike.benchmark] = None
    for (name, mark), benchmarks in found.items():
        yield f"{UNLIKE_MARK} {name} is not comparable on {enumerated(list(benchmarks))}: {mark}."
