"""Whether the answer to a claim hangs on a choice: who judges, which benchmarks, how accuracy weighs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaderboards.board.claim_text import parse_claim
from leaderboards.board.claims import p_values, verdict_of
from leaderboards.board.rows import FORMAT_DEPENDENT, Answer, Variation
from leaderboards.board.values import Measure, Paired, spread_of
from leaderboards.results.merge import Group

_ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MEASURES: dict[Measure, str] = {
    "accuracy": "lenient accuracy",
    "accuracy_strict": "strict accuracy",
    "judge": "the judge's accuracy",
}


def variations(answer: Answer, groups: Sequence[Group], margin: float) -> tuple[Variation, ...]:
    """The same question, each time with one choice made otherwise, tested by itself at the answer's level.

    Args:
        answer: To the claim.
        groups: Of the board's rows, in their order.
        margin: Within how much two entries are equivalent.
    """
    claim = parse_claim(answer.claim)
    pair = (groups[answer.first], groups[answer.second])
    found = []
    for what, measure, benchmarks, alpha in _choices(answer, pair):
        difference = Paired.of(*pair, benchmarks).difference(
            measure, alpha, spread_of(groups, benchmarks, measure, alpha)
        )
        verdict, _ = verdict_of(claim, difference, p_values(claim, difference, margin), answer.level)
        found.append(Variation(what, difference, *difference.interval(answer.level), verdict))
    return tuple(found)


def _choices(
    answer: Answer, pair: tuple[Group, Group]
) -> Iterator[tuple[str, Measure, tuple[str, ...], float]]:
    """What is otherwise, in words, the measure, the benchmarks and α."""
    asked, own = answer.benchmarks, parse_claim(answer.claim).metric
    alike = pair[0].entries[0].tagged == pair[1].entries[0].tagged
    judged = all(of.outcomes[name].judge is not None for of in pair for name in asked)
    for measure, name in _MEASURES.items():
        if (judged or measure != "judge") and (alike or measure not in FORMAT_DEPENDENT):
            yield name, measure, asked, 1.0
    for left_out in asked if len(asked) > 1 else ():
        yield f"without {left_out}", own, tuple(name for name in asked if name != left_out), answer.alpha
    for alpha in _ALPHAS if alike else ():
        yield f"score, α = {alpha:g}", "score", asked, alpha
