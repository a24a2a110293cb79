"""A board's findings in words: one sentence for each kind, the same in every form of the report."""

from collections.abc import Iterable, Sequence
from functools import singledispatch

from leaderboards.board.findings import (
    MANY_TRUNCATED,
    MANY_VERDICTS,
    MIN_SEEDS,
    UNMATCHED,
    AgainstReference,
    ComputeMatch,
    Detectable,
    FewQuestions,
    FewSeeds,
    Finding,
    Headline,
    JudgeBesideRule,
    MadeAgain,
    NearZero,
    NoOverlap,
    NotComparable,
    NotRanked,
    OtherVerdicts,
    Overlapping,
    SameCompute,
    ScoreLeaders,
    Truncated,
    UnequalSettings,
)
from leaderboards.board.rows import Board
from leaderboards.report.wording import (
    METRIC_NAMES,
    UNLIKE_MARK,
    VERDICT_WORDS,
    enumerated,
    label,
    large,
    percent,
    tested,
)

_MAX_NAMED = 6
_MAX_GROUPS = 6
_MAX_CELLS = 4


def sentences(findings: Iterable[Finding], board: Board) -> tuple[str, ...]:
    """A sentence, or a few, for each finding of a board."""
    return tuple(sentence(finding, board) for finding in findings)


@singledispatch
def sentence(finding: Finding, board: Board) -> str:
    """The finding in words, with the board's names and figures."""
    raise NotImplementedError(type(finding))


def _labels(rows: Sequence[int], board: Board) -> list[str]:
    return [label(board.rows[row], board) for row in rows]


def _few(names: Sequence[str]) -> str:
    rest = [f"{len(names) - _MAX_NAMED} more"] if len(names) > _MAX_NAMED else []
    return enumerated([*names[:_MAX_NAMED], *rest])


@sentence.register
def _(finding: Headline, board: Board) -> str:
    metric, count = METRIC_NAMES[board.rank_by], len(board.benchmarks)
    over = "1 benchmark" if count == 1 else f"{count} benchmarks"
    if not board.family_macro:
        return f"Nothing could be compared with {board.reference} on {metric} over all of {over}."
    if finding.better:
        names = ", ".join(_labels(finding.better, board))
        return f"Better than {board.reference} on {metric} over {over}: {names}."
    return f"No entry is better than {board.reference} on {metric} over {over}."


@sentence.register
def _(finding: AgainstReference, board: Board) -> str:
    row = board.rows[finding.row]
    found = row.macro and row.macro.metric(board.rank_by).comparison
    assert found
    difference = found.difference
    undecided = found.verdict == "not distinguishable" and (difference.low > 0 or difference.high < 0)
    correction = f" once corrected for {board.family_macro} comparisons" if undecided else ""
    ratio = finding.compute_ratio
    compute = "" if ratio is None else f", with {ratio:.2f} times its training compute"
    return (
        f"{label(row, board)} {VERDICT_WORDS[found.verdict]} {board.reference} on "
        f"{METRIC_NAMES[board.rank_by]}{correction} ({tested(found, board.confidence)}){compute}."
    )


@sentence.register
def _(finding: ComputeMatch, board: Board) -> str:
    prepared = [
        f"{name} {large(tokens)}"
        for name, (_, tokens) in zip(
            _labels([row for row, _ in finding.reference_tokens], board),
            finding.reference_tokens,
            strict=True,
        )
    ]
    on_top = f" On top of that, forward tokens to prepare a reference model: {', '.join(prepared)}."
    return _matching(finding, board) + (on_top if prepared else "")


def _matching(finding: ComputeMatch, board: Board) -> str:
    first, *others = finding.groups
    if not others:
        of_model = f" of {finding.model}" if finding.model is not None else ""
        return (
            f"Compute-matched: all {len(first.rows)} trained entries{of_model} took {_amount(first)} "
            f"(within {100 * UNMATCHED:.0f} %)."
        )
    shown = [
        f"{enumerated(_labels(group.rows, board))} took {_amount(group)}"
        for group in finding.groups[:_MAX_GROUPS]
    ]
    rest = sum(len(group.rows) for group in finding.groups[_MAX_GROUPS:])
    if rest:
        shown.append(f"{rest} more took yet other amounts")
    return f"Not compute-matched: {'; '.join(shown)}."


def _amount(group: SameCompute) -> str:
    return f"{group.steps:.0f} optimiser steps and {large(group.tokens_forward)} forward tokens"


@sentence.register
def _(finding: Detectable, board: Board) -> str:
    (least, smallest), (most, largest) = finding.least, finding.most
    span = f"{percent(smallest)} points ({label(board.rows[least], board)})"
    if most != least:
        span += f" to {percent(largest)} ({label(board.rows[most], board)})"
    return (
        f"Not distinguishable does not mean equal: before any correction, the questions and seeds here "
        f"find a true difference to {board.reference} four times in five only from {span} on."
    )


@sentence.register
def _(finding: FewSeeds, board: Board) -> str:
    names = ", ".join(_labels(finding.rows, board))
    if finding.single:
        return (
            f"Only 1 seed for {names}: the intervals hold question sampling alone, and another "
            "seed could turn the verdict round."
        )
    return (
        f"Fewer than {MIN_SEEDS} seeds for {names}: how much seeds matter is hardly known, and "
        "the intervals are rough."
    )


@sentence.register
def _(finding: FewQuestions, board: Board) -> str:
    n = finding.num_questions
    return (
        f"{finding.benchmark} has only {n} question{'s' if n != 1 else ''}: its intervals are up to "
        f"{percent(finding.width)} points wide, too wide for small differences."
    )


@sentence.register
def _(finding: NotRanked, board: Board) -> str:
    names = ", ".join(_labels(finding.rows, board))
    if finding.why == "results":
        return f"Not ranked, for want of results on the same questions of all benchmarks: {names}."
    return f"Not ranked, since their {METRIC_NAMES[board.rank_by]} holds another kind of format: {names}."


@sentence.register
def _(finding: NearZero, board: Board) -> str:
    return (
        "Every accuracy is near zero: these benchmarks cannot tell such entries apart, and no difference "
        "here says anything about the methods."
    )


@sentence.register
def _(finding: Truncated, board: Board) -> str:
    many = [
        f"{label(board.rows[row], board)} on {benchmark} ({percent(share)} %)"
        for row, benchmark, share in finding.cells
    ]
    rest = f" and {len(many) - _MAX_CELLS} more" if len(many) > _MAX_CELLS else ""
    return (
        f"Generation budget too small: more than {100 * MANY_TRUNCATED:.0f} % of the outputs were cut at "
        f"the token limit: {', '.join(many[:_MAX_CELLS])}{rest}. Raise the limit before reading anything "
        "into these figures."
    )


@sentence.register
def _(finding: Overlapping, board: Board) -> str:
    found = finding.overlap
    example = "" if not found.examples else " (such as {} in {})".format(*found.examples[0])
    return (
        f"{finding.benchmark}: {found.ngram:,} of the {found.n:,} test questions "
        f"({percent(found.ngram / found.n)} %) share a run of {found.ngram_size} words with the training "
        f"data of {_few(_labels(finding.rows, board))} ({found.num_train:,} records), {found.exact:,} of "
        f"them word for word{example}: what looks like skill may be memory."
    )


@sentence.register
def _(finding: OtherVerdicts, board: Board) -> str:
    many = [
        f"{label(board.rows[row], board)} on {benchmark} ({differ:,} of {n:,})"
        for row, benchmark, differ, n in finding.cells
    ]
    return (
        f"The engine does not give what the reference engine gives: over {100 * MANY_VERDICTS:.0f} % of "
        f"the outputs made again were judged otherwise: {', '.join(many)}."
    )


@sentence.register
def _(finding: NotComparable, board: Board) -> str:
    return (
        f"{UNLIKE_MARK} {finding.entry} is not comparable on {enumerated(finding.benchmarks)}: {finding.how}."
    )


@sentence.register
def _(finding: UnequalSettings, board: Board) -> str:
    settings = "; ".join(
        f"{setting.name} "
        + " / ".join(f"{value} ({_few(_labels(rows, board))})" for value, rows in setting.values)
        for setting in finding.settings
    )
    return (
        f"{enumerated(finding.benchmarks)}: entries were generated by different engines, which may be all "
        f"that a difference shows: {settings}."
    )


@sentence.register
def _(finding: ScoreLeaders, board: Board) -> str:
    names = _labels([row for _, _, row in finding.spans], board)
    if len(names) == 1:
        lead = f"{names[0]} leads for every α from 0 to 1"
    else:
        spans = [
            f"{name} for α from {low:.2f} to {high:.2f}"
            for name, (low, high, _) in zip(names, finding.spans, strict=True)
        ]
        lead = f"{enumerated(spans)} lead"
    changes = finding.num_changes
    places = {0: "no two entries change places", 1: "there is 1 change of place"}.get(
        changes, f"there are {changes} changes of place"
    )
    apart = f", {finding.num_apart} of them between entries that differ in both accuracy and format"
    return f"By score, {lead}; {places} between α = 0 and 1{apart if changes else ''}."


@sentence.register
def _(finding: NoOverlap, board: Board) -> str:
    benchmarks = [f"{benchmark} ({n:,})" for benchmark, n in finding.benchmarks]
    return (
        f"None of the test questions of {enumerated(benchmarks)} stands in the training data of "
        f"{_few(_labels(finding.rows, board))} ({finding.num_train:,} records), word for word or by a run of "
        f"{finding.ngram_size} words."
    )


@sentence.register
def _(finding: MadeAgain, board: Board) -> str:
    return (
        f"Of {finding.n:,} outputs made again by the reference engine ({finding.engine}) for "
        f"{_few(_labels(finding.rows, board))} on {enumerated(finding.benchmarks)}, "
        f"{finding.texts_differ:,} differ in their text and {finding.verdicts_differ:,} in their verdict."
    )


@sentence.register
def _(finding: JudgeBesideRule, board: Board) -> str:
    named = ", ".join(f"{label(board.rows[row], board)} {count:,}" for row, count in finding.differ if count)
    unreadable = finding.unreadable
    return (
        f"{finding.benchmark}: judge and rule differ on {sum(count for _, count in finding.differ):,} of "
        f"{finding.n:,} outputs"
        + (f" ({named})." if named else ".")
        + (f" {unreadable:,} of the judge's verdicts could not be read." if unreadable else "")
    )
