"""What the figures say, and what of them to beware of: never more than the paired test supports."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from leaderboards.board.findings import (
    MIN_SEEDS,
    UNMATCHED,
    AgainstReference,
    Caution,
    ComputeMatch,
    Detectable,
    FewQuestions,
    FewSeeds,
    Headline,
    NearZero,
    NotRanked,
    SameCompute,
    ScoreLeaders,
    SummaryFinding,
)
from leaderboards.board.rows import AlphaChange, Comparison, Row
from leaderboards.results.schema import Metric, TrainingCost
from leaderboards.stats import Estimate

MIN_QUESTIONS = 200
NEAR_ZERO = 0.05
UNEQUAL_COMPUTE = 0.05

_Trained = tuple[int, TrainingCost]


def summary(rows: Sequence[Row], rank_by: Metric) -> tuple[SummaryFinding, ...]:
    """The headline, each row that was compared with the reference, and whether compute was equal."""
    compared = [(at, found) for at, row in enumerate(rows) if (found := _comparison(row, rank_by))]
    return (
        Headline(tuple(at for at, found in compared if found.verdict == "better")),
        *(AgainstReference(at, _unequal_compute(rows, rows[at])) for at, _ in compared),
        *_compute_matches(rows),
    )


def cautions(rows: Sequence[Row], benchmarks: Sequence[str], rank_by: Metric) -> tuple[Caution, ...]:
    """What lies in the figures themselves: few seeds, few questions, no rank, and figures near zero."""
    return (
        *_detectable(rows, rank_by),
        *_few_seeds(rows),
        *_few_questions(rows, benchmarks, rank_by),
        *_not_ranked(rows),
        *_near_zero(rows),
    )


def score_leaders(
    scores: Sequence[Sequence[Estimate] | None], changes: Sequence[AlphaChange]
) -> tuple[ScoreLeaders, ...]:
    """Who leads by score for which α; nothing where no two rows can be ranked by it.

    Args:
        scores: each row's score at each α, from 0 to 1; None where it cannot be ranked.
        changes: where rows change places.
    """
    if sum(own is not None for own in scores) < 2:
        return ()
    spans = tuple(_spans(scores, [0.0, *dict.fromkeys(change.alpha for change in changes), 1.0]))
    return (ScoreLeaders(spans, len(changes), sum(change.distinguishable for change in changes)),)


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
    """How often the reference's training compute a row took, all of it counted; None where about as much."""
    reference = next((r for r in rows if r.is_reference and r.model == row.model), None)
    if reference is None or reference.cost is None or row.cost is None or not reference.cost.total_flops:
        return None
    ratio = row.cost.total_flops / reference.cost.total_flops
    return ratio if abs(ratio - 1) > UNEQUAL_COMPUTE else None


def _compute_matches(rows: Sequence[Row]) -> Iterator[ComputeMatch]:
    """For each model with several trained rows, which took the same steps and forward tokens."""
    models = list(dict.fromkeys(row.model for row in rows))
    for model in models:
        trained = [(at, row.cost) for at, row in enumerate(rows) if row.model == model and row.cost]
        if len(trained) > 1:
            groups = _same_compute(sorted(trained, key=lambda each: not rows[each[0]].is_reference))
            prepared = ((at, cost.reference_tokens) for at, cost in trained if cost.reference_tokens)
            yield ComputeMatch(model if len(models) > 1 else None, groups, tuple(prepared))


def _same_compute(trained: Sequence[_Trained]) -> tuple[SameCompute, ...]:
    """Rows of like compute together, in the order of the first of each; that one's figures stand for all."""
    groups: list[list[_Trained]] = []
    for at, cost in trained:
        group = next((group for group in groups if _alike(group[0][1], cost)), None)
        if group is None:
            groups.append([(at, cost)])
        else:
            group.append((at, cost))
    return tuple(
        SameCompute(tuple(at for at, _ in group), group[0][1].steps, group[0][1].tokens_forward)
        for group in groups
    )


def _alike(first: TrainingCost, other: TrainingCost) -> bool:
    pairs = ((first.steps, other.steps), (first.tokens_forward, other.tokens_forward))
    return all(abs(mine - theirs) <= UNMATCHED * mine for mine, theirs in pairs)


def _detectable(rows: Sequence[Row], rank_by: Metric) -> Iterator[Detectable]:
    """What could have been found: else "not distinguishable" is read as "the same"."""
    found = [
        (at, comparison.difference.detectable)
        for at, row in enumerate(rows)
        if (comparison := _comparison(row, rank_by)) and comparison.verdict == "not distinguishable"
    ]
    if found:
        found.sort(key=lambda each: each[1])
        yield Detectable(found[0], found[-1])


def _few_seeds(rows: Sequence[Row]) -> Iterator[FewSeeds]:
    few = [
        (at, len(row.seeds))
        for at, row in enumerate(rows)
        if row.role == "trained" and len(row.seeds) < MIN_SEEDS
    ]
    for single in (True, False):
        if own := tuple(at for at, num_seeds in few if (num_seeds == 1) == single):
            yield FewSeeds(own, single)


def _few_questions(rows: Sequence[Row], benchmarks: Sequence[str], rank_by: Metric) -> Iterator[FewQuestions]:
    for benchmark in benchmarks:
        cells = [cell for row in rows if (cell := row.cell(benchmark))]
        estimates = [cell.metric(rank_by).estimate for cell in cells]
        n = min(estimate.num_questions for estimate in estimates)
        if n < MIN_QUESTIONS:
            yield FewQuestions(benchmark, n, max(estimate.high - estimate.low for estimate in estimates))


def _not_ranked(rows: Sequence[Row]) -> Iterator[NotRanked]:
    if missing := tuple(at for at, row in enumerate(rows) if row.macro is None):
        yield NotRanked(missing, "results")
    if other := tuple(at for at, row in enumerate(rows) if row.macro and row.rank is None):
        yield NotRanked(other, "format")


def _near_zero(rows: Sequence[Row]) -> Iterator[NearZero]:
    highest = [row.macro.metric("accuracy").estimate.high for row in rows if row.macro]
    if highest and max(highest) <= NEAR_ZERO:
        yield NearZero(max(highest))
