"""Every objective once more, token by token in plain Python, written from its formula alone.

Each function gets the tokens twice: as they are `now`, and as they were when the parts behind a stop-gradient
were evaluated (`frozen`). Moving `now` alone therefore moves what the gradient must follow, and nothing else.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

ANSWER_SIDE = {"answer_tag", "answer", "end"}
THINKING_SIDE = {"thinking_tag", "thinking"}


@dataclass(frozen=True)
class Token:
    """One weighted position."""

    log_p: float
    weight: float
    segment: str
    example: int
    reference_log_p: float
    reference_kl: float
    old_log_p: float
    cleaning_rank: float
    top_entropy: float


Step = dict[str, float]
"""Weight of each segment in the whole optimiser step."""

Naive = Callable[..., list[float]]
NAIVE: dict[str, Naive] = {}


def naive(name: str) -> Callable[[Naive], Naive]:
    def register(function: Naive) -> Naive:
        NAIVE[name] = function
        return function

    return register


def by_example(tokens: list[Token]) -> list[list[int]]:
    """Positions of the tokens of each example."""
    groups = groupby(range(len(tokens)), key=lambda i: tokens[i].example)
    return [list(positions) for _, positions in groups]


@naive("cross-entropy")
def cross_entropy(now: list[Token], frozen: list[Token], step: Step) -> list[float]:
    return [-token.log_p for token in now]


@naive("focal")
def focal(now: list[Token], frozen: list[Token], step: Step, gamma: float = 2.0) -> list[float]:
    return [-((1 - math.exp(token.log_p)) ** gamma) * token.log_p for token in now]


@naive("dft")
def dft(now: list[Token], frozen: list[Token], step: Step) -> list[float]:
    return [-math.exp(was.log_p) * token.log_p for token, was in zip(now, frozen, strict=True)]


@naive("power")
def power(now: list[Token], frozen: list[Token], step: Step, k: float = 0.5) -> list[float]:
    return [-(math.exp(token.log_p) ** k) for token in now]


@naive("prift")
def prift(now: list[Token], frozen: list[Token], step: Step) -> list[float]:
    return [-math.exp(token.reference_log_p) * token.log_p for token in now]


@naive("first-half")
def first_half(now: list[Token], frozen: list[Token], step: Step, share: float = 0.5) -> list[float]:
    losses = [0.0] * len(now)
    for positions in by_example(now):
        thinking = [i for i in positions if now[i].segment in THINKING_SIDE]
        first = thinking[: math.ceil(share * len(thinking))]
        for i in first:
            scale = sum(now[j].weight for j in positions) / sum(now[j].weight for j in first)
            losses[i] = -now[i].log_p * scale
    return losses


@naive("profit")
def profit(now: list[Token], frozen: list[Token], step: Step, threshold: float = 0.1) -> list[float]:
    pairs = zip(now, frozen, strict=True)
    return [-token.log_p if math.exp(was.log_p) > threshold else 0.0 for token, was in pairs]


@naive("eaft")
def eaft(now: list[Token], frozen: list[Token], step: Step, alpha: float = 1.0) -> list[float]:
    return [-(token.top_entropy**alpha) * token.log_p for token in now]


@naive("asft")
def asft(now: list[Token], frozen: list[Token], step: Step, kl: float = 0.1) -> list[float]:
    pairs = zip(now, frozen, strict=True)
    return [-math.exp(was.log_p) * token.log_p + kl * token.reference_kl for token, was in pairs]


@naive("iw-sft")
def iw_sft(
    now: list[Token], frozen: list[Token], step: Step, temperature: float = 1.0, clip: float = 16.0
) -> list[float]:
    losses = []
    for positions in by_example(now):
        log_ratio = sum(frozen[i].log_p - frozen[i].reference_log_p for i in positions)
        importance = min(math.exp(temperature * log_ratio / len(positions)), clip)
        losses += [-importance * now[i].log_p for i in positions]
    return losses


@naive("psft")
def psft(
    now: list[Token], frozen: list[Token], step: Step, epsilon: float = 0.28, refresh: float = 8
) -> list[float]:
    """Which model is the old one is the trainer's matter: `refresh` changes nothing here."""
    losses = []
    for token in now:
        ratio = math.exp(token.log_p) / math.exp(token.old_log_p)
        clipped = max(1 - epsilon, min(ratio, 1 + epsilon))
        losses.append(-min(ratio, clipped))
    return losses


@naive("rho-1")
def rho_1(now: list[Token], frozen: list[Token], step: Step, share: float = 0.6) -> list[float]:
    losses = [0.0] * len(now)
    for positions in by_example(now):
        excess = {i: -frozen[i].log_p + frozen[i].reference_log_p for i in positions}
        best = sorted(positions, key=lambda i: -excess[i])[: math.ceil(share * len(positions))]
        scale = sum(now[i].weight for i in positions) / sum(now[i].weight for i in best)
        for i in best:
            losses[i] = -now[i].log_p * scale
    return losses


@naive("token-cleaning")
def token_cleaning(now: list[Token], frozen: list[Token], step: Step, share: float = 0.6) -> list[float]:
    return [-token.log_p / share if token.cleaning_rank < share else 0.0 for token in now]


@naive("answer-weighted")
def answer_weighted(now: list[Token], frozen: list[Token], step: Step, weight: float = 3.0) -> list[float]:
    counts = {segment: weight if segment in ANSWER_SIDE else 1.0 for segment in step}
    mean = sum(counts[segment] * step[segment] for segment in step) / sum(step.values())
    return [-counts[token.segment] * token.log_p / mean for token in now]


@naive("prompt-loss-weight")
def prompt_loss_weight(now: list[Token], frozen: list[Token], step: Step, weight: float = 0.1) -> list[float]:
    response = sum(total for segment, total in step.items() if segment != "prompt")
    mean = (weight * step["prompt"] + response) / (step["prompt"] + response)
    return [-(weight if token.segment == "prompt" else 1.0) * token.log_p / mean for token in now]


@naive("span-balanced")
def span_balanced(
    now: list[Token], frozen: list[Token], step: Step, answer: float = 0.5, thinking: float = 0.5
) -> list[float]:
    losses = []
    for token in now:
        factor = 0.0
        for side, share in ((ANSWER_SIDE, answer), (THINKING_SIDE, thinking)):
            if token.segment in side:
                factor = share * sum(step.values()) / sum(step[segment] for segment in side)
        losses.append(-factor * token.log_p)
    return losses


@naive("sft-go")
def sft_go(now: list[Token], frozen: list[Token], step: Step, weight: float = 0.5) -> list[float]:
    losses = []
    for positions in by_example(now):
        sides = []
        for side in (ANSWER_SIDE, THINKING_SIDE):
            inside = [i for i in positions if now[i].segment in side]
            if inside:
                total = sum(now[i].weight for i in inside)
                sides.append((sum(-frozen[i].log_p * now[i].weight for i in inside) / total, total, side))
        _, side_weight, worst = max(sides, key=lambda side: side[0], default=(0.0, 1.0, set()))
        example_weight = sum(now[i].weight for i in positions)
        for i in positions:
            on_worst = example_weight / side_weight if now[i].segment in worst else 0.0
            losses.append(-now[i].log_p * (1 - weight + weight * on_worst))
    return losses
