r"""Rewards: what an output is worth to a stage that learns from a model's own outputs.

Each is one function of a judged output, with its formula and source, in `REWARDS`; `RewardSum` adds several
up. They rest on the verdict of the one scorer, so that what is rewarded and what a board reports cannot drift
apart; where they ask for less than it does, that can be used against them, which is what `soft-format` and
`tag-count` are there to show. In the formulas y is the output, |y| its tokens, L its token budget.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.described import field_of, summary_of
from tasks.errors import InputError, did_you_mean
from tasks.scoring import Item, Score

LOWEST_LOG_PROB = -20.0
"""Of an answer, in nats: less is as bad, and an output without reasoning has none to ask after."""
_FORGIVEN = {"text_outside", "whitespace"}
_NGRAM = 3
_OVERLONG = 0.2
"""Share of the token budget in which the soft penalty grows: DAPO's 4,096 of 20,480."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An output, with all that a reward may look at.

    Attributes:
        item: What was scored.
        score: The verdict.
        num_tokens: Tokens of the output.
        max_new_tokens: Its token budget.
        log_prob: log p of the reference answer after the output's own reasoning, in nats; None where it was
            not measured.
    """

    item: Item
    score: Score
    num_tokens: int
    max_new_tokens: int
    log_prob: float | None = None


@dataclass(frozen=True)
class Reward:
    """A registered reward.

    Attributes:
        name: What variants call it.
        function: From a judged output to a finite number; never raises.
        measured: Whether it needs `Judged.log_prob`.
    """

    name: str
    function: Callable[[Judged], float]
    measured: bool = False

    @property
    def summary(self) -> str:
        """What it rewards, in one line."""
        return summary_of(self.function)

    def field(self, label: str) -> str:
        """`Formula` or `Source` of its description."""
        return field_of(self.function, label)


REWARDS: dict[str, Reward] = {}


def reward(
    name: str, *, measured: bool = False
) -> Callable[[Callable[[Judged], float]], Callable[[Judged], float]]:
    """Registers a function as a reward."""

    def register(function: Callable[[Judged], float]) -> Callable[[Judged], float]:
        REWARDS[name] = Reward(name, function, measured)
        return function

    return register


@reward("accuracy")
def accuracy(one: Judged) -> float:
    """The answer, found as best one can, is right.

    Formula: r = 1[answer(y) = a*]
    Source: arXiv 2501.12948
    """
    return float(one.score.accuracy)


@reward("accuracy-strict")
def accuracy_strict(one: Judged) -> float:
    """The answer is right and stands where the format wants it.

    Formula: r = 1[answer(y) = a*] · 1[y is valid]
    Source: the strict accuracy of the boards
    """
    return float(one.score.accuracy_strict)


@reward("format")
def valid_format(one: Judged) -> float:
    """The output keeps exactly to its tag format.

    Formula: r = 1[y is valid]
    Source: arXiv 2501.12948
    """
    return float(one.score.format_valid)


@reward("soft-format")
def soft_format(one: Judged) -> float:
    """Reasoning and answer stand in their tags, whatever else stands around them.

    Formula: r = 1[y has no defect but text outside of its spans and whitespace]
    Source: the soft format reward of GRPO recipes for arXiv 2501.12948
    """
    return float(not {*one.score.defects} - _FORGIVEN)


@reward("tag-count")
def tag_count(one: Judged) -> float:
    """The share of the format's tags that occur exactly once, in whatever order.

    Formula: r = (1/n) Σᵢ 1[count(tagᵢ, y) = 1]
    Source: open-r1's tag count reward
    """
    tags = one.item.tag_format.tag_strings
    return sum(one.item.output.count(tag) == 1 for tag in tags) / len(tags) if tags else 0.0


@reward("cosine-length")
def cosine_length(one: Judged) -> float:
    """A right output is worth more the shorter it is, a wrong one costs less the longer it is.

    Formula: right: r = 0.5 + 0.25·(1 + cos(π|y|/L)); wrong: r = −0.5 − 0.25·(1 + cos(π|y|/L))
    Source: arXiv 2502.03373, with open-r1's constants
    """
    share = min(one.num_tokens / one.max_new_tokens, 1.0)
    size = 0.5 + 0.25 * (1 + math.cos(math.pi * share))
    return size if one.score.accuracy else -size


@reward("repetition")
def repetition(one: Judged) -> float:
    """What repeats its words costs.

    Formula: r = −(1 − distinct / all) over the runs of 3 words of y; 0 where there are none
    Source: arXiv 2502.03373
    """
    words = one.item.output.casefold().split()
    runs = Counter(zip(*(words[i:] for i in range(_NGRAM)), strict=False))
    return len(runs) / runs.total() - 1.0 if runs else 0.0


@reward("overlong")
def overlong(one: Judged) -> float:
    """Nothing for most of the token budget, then a penalty that grows to 1 at its end.

    Formula: r = −min(1, max(0, (|y| − (L − c)) / c)), c = L/5
    Source: arXiv 2503.14476, equation 13
    """
    room = _OVERLONG * one.max_new_tokens
    return -min(1.0, max(0.0, (one.num_tokens - (one.max_new_tokens - room)) / room))


@reward("score")
def weighed(one: Judged) -> float:
    """The Score of the boards, with the run's α.

    Formula: r = α·1[answer(y) = a*] + (1 − α)·1[y is valid]
    Source: arXiv 2512.21017
    """
    return one.score.score


@reward("log-prob", measured=True)
def log_prob(one: Judged) -> float:
    """How likely the right answer is after the output's own reasoning: needs no verifier.

    Formula: r = max(log π(a*|x, z), −20), z the reasoning of y; −20 where y has none
    Source: arXiv 2602.03979; without a logarithm arXiv 2505.21493
    """
    if one.log_prob is None or not math.isfinite(one.log_prob):
        return LOWEST_LOG_PROB
    return max(one.log_prob, LOWEST_LOG_PROB)


@dataclass(frozen=True)
class RewardSum:
    """Rewards added up.

    Attributes:
        weights: Weight of each by name; one of weight 0 is computed and logged, and counts for nothing.
        normalised: Whether each is first normalised by itself within the outputs to one question, to mean 0
            and spread 1 (arXiv 2601.05242), so that one of a wide range does not drown the others.
    """

    weights: Mapping[str, float]
    normalised: bool = False

    def check(self, where: str) -> None:
        """InputError where a reward is not known, or nothing would be rewarded."""
        for name in self.weights:
            if name not in REWARDS:
                raise InputError(f"{where}: no reward {name!r}: {did_you_mean(name, REWARDS)}")
        if not any(self.weights.values()) or not all(map(math.isfinite, self.weights.values())):
            raise InputError(f"{where}: the weights of rewards must be numbers, and one of them not 0")

    @property
    def measured(self) -> bool:
        """Whether one of them needs `Judged.log_prob`."""
        return any(REWARDS[name].measured for name in self.weights)

    def parts(self, one: Judged) -> dict[str, float]:
        """Each reward of an output, by name."""
        return {name: REWARDS[name].function(one) for name in self.weights}

    def totals(self, group: Sequence[Mapping[str, float]]) -> list[float]:
        """The sum for each of the outputs to one question, from their `parts`."""
        columns = {name: [parts[name] for parts in group] for name in self.weights}
        if self.normalised:
            columns = {name: _normalised(values) for name, values in columns.items()}
        return [sum(self.weights[name] * columns[name][i] for name in columns) for i in range(len(group))]


def _normalised(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / spread if spread > 1e-9 else 0.0 for value in values]
