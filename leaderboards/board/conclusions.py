"""What is found on a board: never more than the paired test supports, and whether it can be trusted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import TypeVar

import numpy as np

from leaderboards.board import findings
from leaderboards.board.rows import AlphaChange, Comparison, Row
from leaderboards.results.merge import Group
from leaderboards.results.schema import Evaluation, Metric, TrainingCost
from leaderboards.stats import Estimate
from leaderboards.stats.seeds import WILD_LOGITS

MIN_QUESTIONS = 200
NEAR_ZERO = 0.05
UNEQUAL_COMPUTE = 0.05

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Evaluated = tuple[int, Evaluation]
"""The position of a row, and an evaluation of it."""


def summary(rows: Sequence[Row], rank_by: Metric) -> tuple[findings.SummaryFinding, ...]:
    """The headline, each row that was compared with the reference, and whether compute was equal."""
    compared = [(at, found) for at, row in enumerate(rows) if (found := _comparison(row, rank_by))]
    return (
        findings.Headline(tuple(at for at, found in compared if found.verdict == "better")),
        *(findings.AgainstReference(at, _unequal_compute(rows, rows[at])) for at, _ in compared),
        *_compute_matches(rows),
    )


def cautions(
    rows: Sequence[Row], groups: Sequence[Group], benchmarks: Sequence[str], rank_by: Metric
) -> tuple[findings.Caution, ...]:
    """What to beware of in the figures, and in how they came about; the groups are those of the rows."""
    evaluated = _evaluated(groups, benchmarks)
    return (
        *_detectable(rows, rank_by),
        *_seeds(rows, rank_by),
        *_few_questions(rows, benchmarks, rank_by),
        *_of_rows(rows),
        *_repeated(groups, benchmarks),
        *_tuning(rows),
        *_overlapping(evaluated),
        *_other_verdicts(evaluated),
        *_not_comparable(groups),
        *_unequal_settings(evaluated),
    )


def checks(
    rows: Sequence[Row], groups: Sequence[Group], benchmarks: Sequence[str], changes: Sequence[AlphaChange]
) -> tuple[findings.Check, ...]:
    """What was checked, and found well or left to the reader's judgement; the first is who leads by score."""
    evaluated = _evaluated(groups, benchmarks)
    return (
        *_tuned(rows),
        *_score_leaders(rows, changes),
        *_no_overlap(evaluated),
        *_made_again(evaluated),
        *_judges(rows, benchmarks),
    )


def gained_points(row: Row, rows: Sequence[Row]) -> float | None:
    """Points of macro accuracy above the untrained base of the same model; None where that is not known."""
    base = next((r for r in rows if r.role == "base" and r.model == row.model), None)
    if row.cost is None or row.macro is None or base is None or base.macro is None:
        return None
    mine, theirs = (each.metric("accuracy").estimate.mean for each in (row.macro, base.macro))
    return 100 * (mine - theirs)


def flops_per_point(row: Row, rows: Sequence[Row]) -> float | None:
    """All FLOPs of one seed, its reference model's too, for each point gained; None where none was gained."""
    gained = gained_points(row, rows)
    return row.cost.total_flops / gained if row.cost and gained and gained > 0 else None


def _comparison(row: Row, rank_by: Metric) -> Comparison | None:
    return row.macro.metric(rank_by).comparison if row.macro else None


def _unequal_compute(rows: Sequence[Row], row: Row) -> float | None:
    """How often the reference's training compute a row took; None where about as much."""
    ratio = _compute_ratio(rows, row)
    return ratio if ratio is not None and abs(ratio - 1) > UNEQUAL_COMPUTE else None


def _compute_ratio(rows: Sequence[Row], row: Row) -> float | None:
    """The same, all of it counted; None where either is not known."""
    reference = next((r for r in rows if r.is_reference and r.model == row.model), None)
    if reference is None or reference.cost is None or row.cost is None or not reference.cost.total_flops:
        return None
    return row.cost.total_flops / reference.cost.total_flops


def _compute_matches(rows: Sequence[Row]) -> Iterator[findings.ComputeMatch]:
    """For each model with several trained rows, which took the same steps and forward tokens."""
    models = list(dict.fromkeys(row.model for row in rows))
    for model in models:
        trained = [(at, row.cost) for at, row in enumerate(rows) if row.model == model and row.cost]
        if len(trained) > 1:
            ordered = sorted(trained, key=lambda each: not rows[each[0]].is_reference)
            groups = _same_compute([each for each in ordered if not each[1].sampled_tokens])
            prepared = ((at, cost.reference_tokens) for at, cost in trained if cost.reference_tokens)
            of = model if len(models) > 1 else None
            sampled = (
                (at, cost.sampled_tokens, _compute_ratio(rows, rows[at]))
                for at, cost in trained
                if cost.sampled_tokens
            )
            yield findings.ComputeMatch(of, groups, tuple(prepared), tuple(sampled))


def _same_compute(trained: Sequence[tuple[int, TrainingCost]]) -> tuple[findings.SameCompute, ...]:
    """Rows of like compute together, in the order of the first of each; that one's figures stand for all."""
    groups: list[findings.SameCompute] = []
    for at, cost in trained:
        for number, (rows, steps, tokens) in enumerate(groups):
            pairs = ((steps, cost.steps), (tokens, cost.tokens_forward))
            if all(abs(mine - theirs) <= findings.UNMATCHED * mine for mine, theirs in pairs):
                groups[number] = findings.SameCompute((*rows, at), steps, tokens)
                break
        else:
            groups.append(findings.SameCompute((at,), cost.steps, cost.tokens_forward))
    return tuple(groups)


def _detectable(rows: Sequence[Row], rank_by: Metric) -> Iterator[findings.Detectable]:
    """What could have been found: else "undecided" is read as "the same"."""
    compared = ((at, _comparison(row, rank_by)) for at, row in enumerate(rows))
    untold = [(at, of) for at, of in compared if of and of.verdict == "undecided" and of.difference.known]
    if found := sorted([(at, of.detectable) for at, of in untold], key=lambda each: each[1]):
        yield findings.Detectable(found[0], found[-1])


def _seeds(
    rows: Sequence[Row], rank_by: Metric
) -> Iterator[findings.OneSeed | findings.SeedsUnknown | findings.SeedsFarApart]:
    if single := tuple(at for at, row in enumerate(rows) if row.role == "trained" and len(row.seeds) == 1):
        yield findings.OneSeed(single)
    means = [(at, row.macro.metric(rank_by).estimate) for at, row in enumerate(rows) if row.macro]
    if unknown := tuple(at for at, mean in means if not mean.known):
        yield findings.SeedsUnknown(unknown)
    for at, mean in means:
        if len(mean.by_seed) > 1 and _far_apart(mean):
            yield findings.SeedsFarApart(at, tuple(sorted(mean.by_seed)))


def _far_apart(mean: Estimate) -> bool:
    """Whether seeds may lie on two sides of a jump, in points, or in logits where they are near 0 or 1."""
    shares = (np.asarray(mean.by_seed) * mean.num_questions + 0.5) / (mean.num_questions + 1)
    return bool(
        np.ptp(mean.by_seed) > findings.FAR_APART or np.log(shares / (1 - shares)).std(ddof=1) > WILD_LOGITS
    )


def _few_questions(
    rows: Sequence[Row], benchmarks: Sequence[str], rank_by: Metric
) -> Iterator[findings.FewQuestions]:
    for benchmark in benchmarks:
        estimates = [cell.metric(rank_by).estimate for row in rows if (cell := row.cell(benchmark))]
        n = min(estimate.num_questions for estimate in estimates)
        width = max(estimate.high - estimate.low for estimate in estimates)
        if n < MIN_QUESTIONS:
            yield findings.FewQuestions(benchmark, n, width)


def _of_rows(rows: Sequence[Row]) -> Iterator[findings.Caution]:
    if missing := tuple(at for at, row in enumerate(rows) if row.macro is None):
        yield findings.NotRanked(missing, "results")
    if other := tuple(at for at, row in enumerate(rows) if row.macro and row.rank is None):
        yield findings.NotRanked(other, "format")
    highest = [row.macro.metric("accuracy").estimate.high for row in rows if row.macro]
    if highest and max(highest) <= NEAR_ZERO:
        yield findings.NearZero(max(highest))
    cells = ((at, cell.benchmark, cell.truncated) for at, row in enumerate(rows) for cell in row.cells)
    if many := tuple(cell for cell in cells if cell[2] > findings.MANY_TRUNCATED):
        yield findings.Truncated(many)
    counts = ((at, cell.benchmark, cell.undecided) for at, row in enumerate(rows) for cell in row.cells)
    if some := tuple(count for count in counts if count[2]):
        yield findings.UndecidedVerdicts(some)


def _repeated(groups: Sequence[Group], benchmarks: Sequence[str]) -> Iterator[findings.Repeated]:
    found = {
        name: of.contents
        for group in groups
        for name in benchmarks
        if (of := group.outcomes.get(name)) and of.contents is not None
    }
    places = Counter[int]()
    for contents in found.values():
        places.update(contents[contents >= 0].tolist())
    if twice := {content for content, count in places.items() if count > 1}:
        where = tuple(name for name, contents in found.items() if not twice.isdisjoint(contents.tolist()))
        yield findings.Repeated(len(twice), where)


def _tuned(rows: Sequence[Row]) -> Iterator[findings.Tuned]:
    own = ((at, row.tuning) for at, row in enumerate(rows))
    if found := tuple((at, of.trials, of.seeds, of.gain) for at, of in own if of):
        yield findings.Tuned(found)


def _tuning(rows: Sequence[Row]) -> Iterator[findings.UnequalTuning | findings.AtEdge]:
    """Whether some rows' settings were chosen with more care than others', or not far enough."""
    trained = [(row.tuning.trials if row.tuning else 0, at) for at, row in enumerate(rows) if row.cost]
    groups = sorted(_grouped(trained).items(), reverse=True)
    if len(groups) > 1:
        yield findings.UnequalTuning(tuple((trials, tuple(own)) for trials, own in groups))
    edges = ((at, row.tuning.edges) for at, row in enumerate(rows) if row.tuning and row.tuning.edges)
    if found := tuple(edges):
        yield findings.AtEdge(found)


def _evaluated(groups: Sequence[Group], benchmarks: Sequence[str]) -> list[_Evaluated]:
    """Every evaluation with its row's position, by benchmark in the board's order."""
    pairs = [(at, evaluation) for at, group in enumerate(groups) for evaluation in group.evaluations]
    return sorted(pairs, key=lambda pair: benchmarks.index(pair[1].benchmark))


def _overlapping(evaluated: Sequence[_Evaluated]) -> Iterator[findings.Overlapping]:
    """Test questions that stand in training data; rows with the same finding together."""
    found = (((of.benchmark, of.overlap), at) for at, of in evaluated if of.overlap and of.overlap.ngram)
    for (benchmark, overlap), rows in _grouped(found).items():
        yield findings.Overlapping(benchmark, _once(rows), overlap)


def _score_leaders(rows: Sequence[Row], changes: Sequence[AlphaChange]) -> Iterator[findings.ScoreLeaders]:
    """Who leads by score for which α; nothing where no two rows can be ranked by it."""
    scores = [row.score_by_alpha for row in rows]
    if sum(own is not None for own in scores) > 1:
        edges = [0.0, *dict.fromkeys(change.alpha for change in changes), 1.0]
        num_apart = sum(change.distinguishable for change in changes)
        yield findings.ScoreLeaders(tuple(_spans(scores, edges)), len(changes), num_apart)


def _spans(
    scores: Sequence[Sequence[Estimate] | None], edges: Sequence[float]
) -> Iterator[tuple[float, float, int]]:
    """The spans of α and the position of the row that leads in each."""

    def leader(alpha: float) -> int:
        # The score is linear in α, so that its ends say what it is between them.
        at_alpha = [alpha * own[-1].mean + (1 - alpha) * own[0].mean if own else -1.0 for own in scores]
        return max(range(len(scores)), key=at_alpha.__getitem__)

    found = [(low, high, leader((low + high) / 2)) for low, high in pairwise(edges)]
    for row, spans in groupby(found, key=lambda span: span[2]):
        first, *rest = spans
        yield first[0], (rest or [first])[-1][1], row


def _no_overlap(evaluated: Sequence[_Evaluated]) -> Iterator[findings.NoOverlap]:
    """Benchmarks of which no question stands in the training data, for rows of which this is equally true."""
    clean = _grouped(
        ((at, found.num_train, found.ngram_size), (of.benchmark, found.n))
        for at, of in evaluated
        if (found := of.overlap) and not found.ngram
    )
    # Seeds of one row have the same benchmarks: each counts once.
    rows = _grouped(
        ((num_train, ngram_size, tuple(dict(sizes).items())), at)
        for (at, num_train, ngram_size), sizes in clean.items()
    )
    for (num_train, ngram_size, benchmarks), of in rows.items():
        yield findings.NoOverlap(tuple(of), benchmarks, num_train, ngram_size)


def _made_again(evaluated: Sequence[_Evaluated]) -> Iterator[findings.MadeAgain]:
    """For each reference engine, how many outputs it gave otherwise, over all rows and benchmarks."""
    found = _grouped(
        (f"{check.engine}, {check.dtype}", (at, evaluation.benchmark, check))
        for at, evaluation in evaluated
        if (check := evaluation.exact)
    )
    for engine, made in found.items():
        rows, benchmarks, exact = zip(*made, strict=True)
        yield findings.MadeAgain(
            engine=engine,
            rows=_once(rows),
            benchmarks=_once(benchmarks),
            n=sum(check.n for check in exact),
            texts_differ=sum(check.texts_differ for check in exact),
            verdicts_differ=sum(check.verdicts_differ for check in exact),
        )


def _other_verdicts(evaluated: Sequence[_Evaluated]) -> Iterator[findings.OtherVerdicts]:
    found = _grouped(((at, of.benchmark), of.exact) for at, of in evaluated if of.exact)
    counts = (
        (*key, sum(check.verdicts_differ for check in of_seeds), sum(check.n for check in of_seeds))
        for key, of_seeds in found.items()
    )
    if many := tuple(each for each in counts if each[2] > findings.MANY_VERDICTS * each[3]):
        yield findings.OtherVerdicts(many)


def _judges(rows: Sequence[Row], benchmarks: Sequence[str]) -> Iterator[findings.JudgeBesideRule]:
    for benchmark in benchmarks:
        cells = ((at, row.cell(benchmark)) for at, row in enumerate(rows))
        if judged := [(at, cell.judged) for at, cell in cells if cell and cell.judged]:
            yield findings.JudgeBesideRule(
                benchmark=benchmark,
                differ=tuple((at, found.rule_only + found.judge_only) for at, found in judged),
                n=sum(found.n for _, found in judged),
                unreadable=sum(found.unreadable for _, found in judged),
            )


def _not_comparable(groups: Sequence[Group]) -> Iterator[findings.NotComparable]:
    """What the user allowed to differ, and in whose results it does."""
    found = _grouped(((group.name, one.mark()), one.benchmark) for group in groups for one in group.unlike)
    for (name, how), benchmarks in found.items():
        yield findings.NotComparable(name, _once(benchmarks), how)


def _unequal_settings(evaluated: Sequence[_Evaluated]) -> Iterator[findings.UnequalSettings]:
    by_benchmark = groupby(evaluated, key=lambda pair: pair[1].benchmark)
    found = _grouped((tuple(_differing(list(pairs))), benchmark) for benchmark, pairs in by_benchmark)
    for settings, benchmarks in found.items():
        if settings:
            yield findings.UnequalSettings(tuple(benchmarks), settings)


def _differing(pairs: Sequence[_Evaluated]) -> Iterator[findings.Setting]:
    """What may differ on a board, and ought to be known, where it does."""
    for name in ("engine", "dtype"):
        rows = _grouped((str(getattr(evaluation, name)), at) for at, evaluation in pairs)
        if len(rows) > 1:
            yield findings.Setting(name, tuple((value, _once(of)) for value, of in sorted(rows.items())))


def _grouped(pairs: Iterable[tuple[_Key, _Value]]) -> dict[_Key, list[_Value]]:
    found: dict[_Key, list[_Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def _once(values: Iterable[_Value]) -> tuple[_Value, ...]:
    """Each once, though several seeds of a row have what is told of it."""
    return tuple(dict.fromkeys(values))
