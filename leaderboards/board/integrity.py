"""Whether the figures can be trusted: what to beware of, and what was checked and found well.

Truncated outputs, test questions in the training data, outputs that the reference engine does not give,
judges that disagree with the rule, and entries that were not asked or scored in the same way.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from leaderboards.board.findings import (
    MANY_TRUNCATED,
    MANY_VERDICTS,
    Caution,
    Check,
    JudgeBesideRule,
    MadeAgain,
    NoOverlap,
    NotComparable,
    OtherVerdicts,
    Overlapping,
    Setting,
    Truncated,
    UnequalSettings,
)
from leaderboards.board.rows import Row
from leaderboards.results.merge import Group
from leaderboards.results.schema import Evaluation, ExactCheck, Overlap

_Evaluated = tuple[int, Evaluation]


def cautions(rows: Sequence[Row], groups: Sequence[Group], benchmarks: Sequence[str]) -> tuple[Caution, ...]:
    """What to beware of; groups are those of the rows, in their order."""
    evaluated = _evaluated(groups, benchmarks)
    return (
        *_truncated(rows),
        *_overlapping(evaluated),
        *_other_verdicts(evaluated),
        *_not_comparable(groups),
        *_unequal_settings(evaluated),
    )


def checks(rows: Sequence[Row], groups: Sequence[Group], benchmarks: Sequence[str]) -> tuple[Check, ...]:
    """What was checked, and found well or left to the reader's judgement."""
    evaluated = _evaluated(groups, benchmarks)
    return (*_no_overlap(evaluated), *_made_again(evaluated), *_judges(rows, benchmarks))


def _evaluated(groups: Sequence[Group], benchmarks: Sequence[str]) -> list[_Evaluated]:
    """Every evaluation with its row's position, by benchmark in the board's order."""
    pairs = [(at, evaluation) for at, group in enumerate(groups) for evaluation in group.evaluations]
    return sorted(pairs, key=lambda pair: benchmarks.index(pair[1].benchmark))


def _truncated(rows: Sequence[Row]) -> Iterator[Truncated]:
    many = tuple(
        (at, cell.benchmark, cell.truncated)
        for at, row in enumerate(rows)
        for cell in row.cells
        if cell.truncated > MANY_TRUNCATED
    )
    if many:
        yield Truncated(many)


def _overlapping(evaluated: Sequence[_Evaluated]) -> Iterator[Overlapping]:
    """Test questions that stand in training data; rows with the same finding together."""
    rows: dict[tuple[str, Overlap], list[int]] = {}
    for at, evaluation in evaluated:
        if evaluation.overlap and evaluation.overlap.ngram:
            rows.setdefault((evaluation.benchmark, evaluation.overlap), []).append(at)
    for (benchmark, overlap), of in rows.items():
        yield Overlapping(benchmark, _once(of), overlap)


def _no_overlap(evaluated: Sequence[_Evaluated]) -> Iterator[NoOverlap]:
    """Benchmarks of which no question stands in the training data, for rows of which this is equally true."""
    clean: dict[tuple[int, int, int], dict[str, int]] = {}
    for at, evaluation in evaluated:
        if (found := evaluation.overlap) and not found.ngram:
            data = (at, found.num_train, found.ngram_size)
            clean.setdefault(data, {})[evaluation.benchmark] = found.n
    rows: dict[tuple[int, int, tuple[tuple[str, int], ...]], list[int]] = {}
    for (at, num_train, ngram_size), sizes in clean.items():
        rows.setdefault((num_train, ngram_size, tuple(sizes.items())), []).append(at)
    for (num_train, ngram_size, benchmarks), of in rows.items():
        yield NoOverlap(tuple(of), benchmarks, num_train, ngram_size)


def _made_again(evaluated: Sequence[_Evaluated]) -> Iterator[MadeAgain]:
    """For each reference engine, how many outputs it gave otherwise, over all rows and benchmarks."""
    found: dict[str, list[tuple[int, str, ExactCheck]]] = {}
    for at, evaluation in evaluated:
        if check := evaluation.exact:
            found.setdefault(f"{check.engine}, {check.dtype}", []).append((at, evaluation.benchmark, check))
    for engine, made in found.items():
        yield MadeAgain(
            engine=engine,
            rows=_once([at for at, _, _ in made]),
            benchmarks=tuple(dict.fromkeys(benchmark for _, benchmark, _ in made)),
            n=sum(check.n for _, _, check in made),
            texts_differ=sum(check.texts_differ for _, _, check in made),
            verdicts_differ=sum(check.verdicts_differ for _, _, check in made),
        )


def _other_verdicts(evaluated: Sequence[_Evaluated]) -> Iterator[OtherVerdicts]:
    found: dict[tuple[int, str], list[ExactCheck]] = {}
    for at, evaluation in evaluated:
        if evaluation.exact:
            found.setdefault((at, evaluation.benchmark), []).append(evaluation.exact)
    counts = (
        (at, benchmark, sum(check.verdicts_differ for check in of_seeds), sum(check.n for check in of_seeds))
        for (at, benchmark), of_seeds in found.items()
    )
    if many := tuple(each for each in counts if each[2] > MANY_VERDICTS * each[3]):
        yield OtherVerdicts(many)


def _judges(rows: Sequence[Row], benchmarks: Sequence[str]) -> Iterator[JudgeBesideRule]:
    for benchmark in benchmarks:
        cells = [(at, cell.judged) for at, row in enumerate(rows) if (cell := row.cell(benchmark))]
        judged = [(at, found) for at, found in cells if found]
        if judged:
            yield JudgeBesideRule(
                benchmark=benchmark,
                differ=tuple((at, found.rule_only + found.judge_only) for at, found in judged),
                n=sum(found.n for _, found in judged),
                unreadable=sum(found.unreadable for _, found in judged),
            )


def _not_comparable(groups: Sequence[Group]) -> Iterator[NotComparable]:
    """What the user allowed to differ, and in whose results it does."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for group in groups:
        for unlike in group.unlike:
            found.setdefault((group.name, unlike.mark()), {})[unlike.benchmark] = None
    for (name, how), benchmarks in found.items():
        yield NotComparable(name, tuple(benchmarks), how)


def _unequal_settings(evaluated: Sequence[_Evaluated]) -> Iterator[UnequalSettings]:
    benchmarks: dict[tuple[Setting, ...], list[str]] = {}
    for benchmark, pairs in groupby(evaluated, key=lambda pair: pair[1].benchmark):
        if unequal := tuple(_differing(list(pairs))):
            benchmarks.setdefault(unequal, []).append(benchmark)
    for settings, names in benchmarks.items():
        yield UnequalSettings(tuple(names), settings)


def _differing(pairs: Sequence[_Evaluated]) -> Iterator[Setting]:
    """What may differ on a board, and ought to be known, where it does."""
    for name in ("engine", "dtype"):
        rows: dict[str, list[int]] = {}
        for at, evaluation in pairs:
            rows.setdefault(getattr(evaluation, name), []).append(at)
        if len(rows) > 1:
            yield Setting(name, tuple((value, _once(of)) for value, of in sorted(rows.items())))


def _once(rows: Sequence[int]) -> tuple[int, ...]:
    """Each row once, though several of its seeds have what is told of it."""
    return tuple(dict.fromkeys(rows))
