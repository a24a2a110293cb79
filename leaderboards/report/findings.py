"""A board's findings in words: one sentence for each kind, the same in every form of the report."""

from collections.abc import Iterable, Sequence
from functools import singledispatch

from leaderboards.board import findings as found
from leaderboards.board.claim_text import Claim, parse_claim
from leaderboards.board.rows import Answer, Board, ClaimVerdict, Standing
from leaderboards.report import wording
from leaderboards.report.wording import METRIC_NAMES, bounds, enumerated, label, large, percent, points
from tasks.shown import printable

_MAX_NAMED = 6
_MAX_GROUPS = 6
_MAX_CELLS = 4
_PAPERS_GAIN = 0.05
"""Of sftkey-tag over sft, mean of five models, to the point (`entries/sftkey_paper.yaml`)."""
_STANDINGS: dict[Standing, str] = {
    "before": "This was claimed before training",
    "after": "This was asked after results may have been seen, so that it proves little",
    "default": "This is asked by default: nothing was claimed before training",
}
_CLAIM_VERDICTS: dict[ClaimVerdict, str] = {
    "confirmed": "Yes, confirmed",
    "refuted": "No, refuted",
    "equivalent": "No, they are equivalent within {margin:g} points",
    "undecided": "Undecided",
    "unknown": "Not known, since seeds are too few or too unlike to tell how far they differ",
}


def sentences(findings: Iterable[found.Finding | Answer], board: Board) -> tuple[str, ...]:
    """A sentence, or a few, for each finding of a board; on one line, whatever its names hold."""
    return tuple(printable(sentence(finding, board)) for finding in findings)


@singledispatch
def sentence(finding: found.Finding | Answer, board: Board) -> str:
    """The finding in words, with the board's names and figures."""
    raise NotImplementedError(type(finding))


def _label(row: int, board: Board) -> str:
    return label(board.rows[row], board)


def _labels(rows: Sequence[int], board: Board) -> list[str]:
    return [_label(row, board) for row in rows]


def _few(rows: Sequence[int], board: Board) -> str:
    names = _labels(rows, board)
    rest = [f"{len(names) - _MAX_NAMED} more"] if len(names) > _MAX_NAMED else []
    return enumerated([*names[:_MAX_NAMED], *rest])


@sentence.register
def _(finding: Answer, board: Board) -> str:
    claim, of, level = parse_claim(finding.claim), finding.difference, 100 * (1 - finding.level)
    first, second = _label(finding.first, board), _label(finding.second, board)
    size = f"{100 * abs(claim.threshold):g} point{'s' if abs(claim.threshold) != 0.01 else ''}"
    asked = f"Is {first} {f'at least {size} ' if claim.threshold else ''}better than {second}"
    if claim.alike:
        asked = f"Do {first} and {second} differ by less than {size}"
    elif claim.threshold < 0:
        asked = f"Is {first} at most {size} worse than {second}"
    places, count = finding.benchmarks, len(board.benchmarks)
    over = f" over all {count} benchmarks" if len(places) == count > 1 else f" of {enumerated(places)}"
    verdict = _CLAIM_VERDICTS[finding.verdict].format(margin=100 * board.margin)
    most = finding.declared and finding.declared.most_seeds
    p = f"{'Holm ' if finding.family > 1 and not most else ''}p {wording.equals(wording.p_value(finding.p))}"
    test = f"{points(of.mean)} points in these checkpoints"
    if finding.verdict != "unknown":
        test = f"{points(of.mean)} points, {level:.3g} % CI {bounds(finding.low, finding.high)}, {p}"
    asked += f" on {METRIC_NAMES[claim.metric]}{over}"
    text = f"{asked}? {verdict} ({test}).{_excluded(finding, claim)} {_STANDINGS[finding.standing]}."
    if most:
        decided = finding.verdict not in ("undecided", "unknown")
        told = "Seeds were added until it was decided, at" if decided else "Not decided after"
        text += f" {told} {of.num_seeds} of at most {most}: each look spent a part of the 5 %, which other "
        text += "tests of these two know nothing of."
    return text


def _excluded(finding: Answer, claim: Claim) -> str:
    """Which gains are not the truth, where the claim is that there is one and it is not confirmed."""
    if claim.alike or finding.verdict in ("confirmed", "unknown"):
        return ""
    bound = f"the upper bound is {points(finding.high)}"
    if (claim.first, claim.metric) != ("sftkey-tag", "accuracy"):
        return f" A larger gain than {points(finding.high)} points is excluded." if finding.high > 0 else ""
    excluded = "excluded" if finding.high < _PAPERS_GAIN else "not excluded"
    return f" A gain of {100 * _PAPERS_GAIN:g} points, the paper's over plain SFT, is {excluded}: {bound}."


@sentence.register
def _(finding: found.Headline, board: Board) -> str:
    metric, count = METRIC_NAMES[board.rank_by], len(board.benchmarks)
    over = "1 benchmark" if count == 1 else f"{count} benchmarks"
    if not board.family_macro:
        return f"Nothing could be compared with {board.reference} on {metric} over all of {over}."
    if finding.better:
        names = ", ".join(_labels(finding.better, board))
        return f"Better than {board.reference} on {metric} over {over}: {names}."
    return f"No entry is better than {board.reference} on {metric} over {over}."


@sentence.register
def _(finding: found.AgainstReference, board: Board) -> str:
    row = board.rows[finding.row]
    comparison = row.macro and row.macro.metric(board.rank_by).comparison
    assert comparison
    apart = comparison.difference.low > 0 or comparison.difference.high < 0
    undecided = apart and comparison.verdict == "undecided"
    correction = f" once corrected for all {board.family_macro} pairs" if undecided else ""
    if not comparison.difference.known:
        correction = " in more than these checkpoints"
    if comparison.verdict == "equivalent":
        correction = f", within {100 * board.margin:g} points"
    ratio = finding.compute_ratio
    test = wording.tested(comparison, board.confidence)
    compute = "" if ratio is None else f", with {ratio:.2f} times its training compute"
    return (
        f"{label(row, board)} {wording.VERDICT_WORDS[comparison.verdict]} {board.reference} on "
        f"{METRIC_NAMES[board.rank_by]}{correction} ({test}){compute}."
    )


@sentence.register
def _(finding: found.ComputeMatch, board: Board) -> str:
    if not finding.groups:
        return "Not compute-matched by steps and tokens." + _sampled(finding, board)
    first, *others = finding.groups
    if others:
        rest = sum(len(group.rows) for group in finding.groups[_MAX_GROUPS:])
        named = finding.groups[:_MAX_GROUPS]
        shown = [f"{enumerated(_labels(of.rows, board))} took {_amount(of)}" for of in named]
        shown += [f"{rest} more took yet other amounts"] if rest else []
        text = f"Not compute-matched: {'; '.join(shown)}."
    elif len(first.rows) == 1:
        text = f"{_label(first.rows[0], board)} took {_amount(first)}."
    else:
        of_model = f" of {finding.model}" if finding.model is not None else ""
        text = (
            f"Compute-matched: all {len(first.rows)} trained entries{of_model} took {_amount(first)} "
            f"(within {100 * found.UNMATCHED:.0f} %)."
        )
    prepared = [f"{_label(row, board)} {large(tokens)}" for row, tokens in finding.reference_tokens]
    on_top = f" On top of that, forward tokens to prepare a reference model: {', '.join(prepared)}."
    return text + (on_top if prepared else "") + _sampled(finding, board)


def _sampled(finding: found.ComputeMatch, board: Board) -> str:
    """What rows that learn from samples spent on these."""
    shown = [
        f"{_label(row, board)} {large(tokens)}"
        + ("" if ratio is None else f" ({ratio:.2f} times the compute of {board.reference} in all)")
        for row, tokens, ratio in finding.sampled
    ]
    return (
        f" Part of the budget went into drawing samples, forward tokens: {', '.join(shown)}." if shown else ""
    )


def _amount(group: found.SameCompute) -> str:
    return f"{group.steps:.0f} optimiser steps and {large(group.tokens_forward)} forward tokens"


@sentence.register
def _(finding: found.Detectable, board: Board) -> str:
    (least, smallest), (most, largest) = finding.least, finding.most
    span = f"{percent(smallest)} points ({_label(least, board)})"
    if most != least:
        span += f" to {percent(largest)} ({_label(most, board)})"
    return (
        f"Not shown to differ does not mean equal: after the correction, the questions and seeds here find "
        f"a true difference to {board.reference} four times in five only from {span} on."
    )


@sentence.register
def _(finding: found.OneSeed, board: Board) -> str:
    return (
        f"Only 1 seed for {_few(finding.rows, board)}: the figures are those of these checkpoints; nothing "
        "is claimed of the methods, and another seed could turn the order round."
    )


@sentence.register
def _(finding: found.SeedsUnknown, board: Board) -> str:
    seeds = enumerated(sorted({str(len(board.rows[row].seeds)) for row in finding.rows}))
    return (
        f"How far seeds differ is not known from {seeds} seeds of {_few(finding.rows, board)}: their "
        "intervals may be too short, and nothing is claimed of the methods. More seeds, or more variants "
        "beside them, would tell."
    )


@sentence.register
def _(finding: found.SeedsFarApart, board: Board) -> str:
    means = enumerated([percent(mean) for mean in finding.by_seed])
    name = _label(finding.row, board)
    return f"The seeds of {name} lie far apart ({means} %): its mean describes none of them."


@sentence.register
def _(finding: found.FewQuestions, board: Board) -> str:
    n = finding.num_questions
    return (
        f"{finding.benchmark} has only {n} question{'s' if n != 1 else ''}: its intervals are up to "
        f"{percent(finding.width)} points wide, too wide for small differences."
    )


@sentence.register
def _(finding: found.NotRanked, board: Board) -> str:
    names = ", ".join(_labels(finding.rows, board))
    if finding.why == "results":
        return f"Not ranked, for want of results on the same questions of all benchmarks: {names}."
    return f"Not ranked, since their {METRIC_NAMES[board.rank_by]} holds another kind of format: {names}."


@sentence.register
def _(finding: found.NearZero, board: Board) -> str:
    return (
        "Every accuracy is near zero: these benchmarks cannot tell such entries apart, and no difference "
        "here says anything about the methods."
    )


def _places(cells: Iterable[tuple[int, str, str]], board: Board) -> str:
    """Rows on benchmarks, each with what is to be said of it, the first few by name."""
    named = [f"{_label(row, board)} on {place} ({what})" for row, place, what in cells]
    return ", ".join(named[:_MAX_CELLS]) + (
        f" and {len(named) - _MAX_CELLS} more" if len(named) > _MAX_CELLS else ""
    )


@sentence.register
def _(finding: found.Truncated, board: Board) -> str:
    many = _places(((row, place, f"{percent(share)} %") for row, place, share in finding.cells), board)
    return (
        f"Generation budget too small: more than {100 * found.MANY_TRUNCATED:.0f} % of the outputs were "
        f"cut at the token limit: {many}. Raise the limit before reading anything into these figures."
    )


@sentence.register
def _(finding: found.UndecidedVerdicts, board: Board) -> str:
    some = _places(((row, place, f"{count:,}") for row, place, count in finding.cells), board)
    return (
        f"Undecided, and counted as wrong, are outputs whose comparison reached a limit of time or memory: "
        f"{some}. `harness rescore` tries them again."
    )


@sentence.register
def _(finding: found.UnequalTuning, board: Board) -> str:
    groups = [
        f"{_few(rows, board)} from {trials} settings" if trials else f"{_few(rows, board)} not at all"
        for trials, rows in finding.groups
    ]
    return f"Settings were not chosen with equal care: those of {'; '.join(groups)}."


@sentence.register
def _(finding: found.AtEdge, board: Board) -> str:
    named = [f"{_label(row, board)} ({enumerated(settings)})" for row, settings in finding.rows[:_MAX_NAMED]]
    return (
        f"The best that was tried lies at the grid's edge for {enumerated(named)}: better settings may lie "
        "beyond it."
    )


@sentence.register
def _(finding: found.Tuned, board: Board) -> str:
    named = [
        f"{_label(row, board)} {trials} × {seeds} seed{'s' if seeds > 1 else ''} ({points(gain)} points)"
        for row, trials, seeds, gain in finding.rows[:_MAX_NAMED]
    ]
    return (
        "Settings were chosen on validation questions (points above the mean of those tried): "
        f"{enumerated(named)}."
    )


@sentence.register
def _(finding: found.Repeated, board: Board) -> str:
    return (
        f"{finding.number:,} question{'s stand' if finding.number > 1 else ' stands'} several times in "
        f"{enumerated(finding.benchmarks)}; intervals and tests count each of them once."
    )


@sentence.register
def _(finding: found.Overlapping, board: Board) -> str:
    overlap = finding.overlap
    example = "" if not overlap.examples else " (such as {} in {})".format(*overlap.examples[0])
    return (
        f"{finding.benchmark}: {overlap.ngram:,} of the {overlap.n:,} test questions "
        f"({percent(overlap.ngram / overlap.n)} %) share a run of {overlap.ngram_size} words with the "
        f"training data of {_few(finding.rows, board)} ({overlap.num_train:,} records), "
        f"{overlap.exact:,} of them word for word{example}: what looks like skill may be memory."
    )


@sentence.register
def _(finding: found.OtherVerdicts, board: Board) -> str:
    many = [f"{_label(row, board)} on {on} ({differ:,} of {n:,})" for row, on, differ, n in finding.cells]
    return (
        f"The engine does not give what the reference engine gives: over {100 * found.MANY_VERDICTS:.0f} % "
        f"of the outputs made again were judged otherwise: {', '.join(many)}."
    )


@sentence.register
def _(finding: found.NotComparable, board: Board) -> str:
    where = enumerated(finding.benchmarks)
    return f"{wording.UNLIKE_MARK} {finding.entry} is not comparable on {where}: {finding.how}."


@sentence.register
def _(finding: found.UnequalSettings, board: Board) -> str:
    settings = "; ".join(
        f"{name} " + " / ".join(f"{value} ({_few(rows, board)})" for value, rows in values)
        for name, values in finding.settings
    )
    return (
        f"{enumerated(finding.benchmarks)}: entries were generated by different engines, which may be all "
        f"that a difference shows: {settings}."
    )


@sentence.register
def _(finding: found.ScoreLeaders, board: Board) -> str:
    spans = [(_label(row, board), low, high) for low, high, row in finding.spans]
    ranges = [f"{name} for α from {low:.2f} to {high:.2f}" for name, low, high in spans]
    lead = f"{enumerated(ranges)} lead"
    if len(spans) == 1:
        lead = f"{spans[0][0]} leads for every α from 0 to 1"
    changes = finding.num_changes
    places = {0: "no two entries change places", 1: "there is 1 change of place"}.get(
        changes, f"there are {changes} changes of place"
    )
    apart = f", {finding.num_apart} of them between entries that differ in both accuracy and format"
    return f"By score, {lead}; {places} between α = 0 and 1{apart if changes else ''}."


@sentence.register
def _(finding: found.NoOverlap, board: Board) -> str:
    benchmarks = [f"{benchmark} ({n:,})" for benchmark, n in finding.benchmarks]
    return (
        f"None of the test questions of {enumerated(benchmarks)} stands in the training data of "
        f"{_few(finding.rows, board)} ({finding.num_train:,} records), word for word or by a run of "
        f"{finding.ngram_size} words."
    )


@sentence.register
def _(finding: found.MadeAgain, board: Board) -> str:
    return (
        f"Of {finding.n:,} outputs made again by the reference engine ({finding.engine}) for "
        f"{_few(finding.rows, board)} on {enumerated(finding.benchmarks)}, "
        f"{finding.texts_differ:,} differ in their text and {finding.verdicts_differ:,} in their verdict."
    )


@sentence.register
def _(finding: found.JudgeBesideRule, board: Board) -> str:
    named = ", ".join(f"{_label(row, board)} {count:,}" for row, count in finding.differ if count)
    unreadable = finding.unreadable
    return (
        f"{finding.benchmark}: judge and rule differ on {sum(count for _, count in finding.differ):,} of "
        f"{finding.n:,} outputs{f' ({named})' if named else ''}."
        + (f" {unreadable:,} of the judge's verdicts could not be read." if unreadable else "")
    )
