"""Comparisons of two running totals, with rationales: deterministic from a seed, disjoint by construction.

Two players have a number each, which changes once or twice: "Tom has 12, wins 7, loses 3. Ana has 20, gives
4. What is the difference?" The reference reasoning works out both totals, a step a sentence. How far the
answer is from it is the `gap`:

- 0: the reasoning ends with the answer, which only repeats it;
- 1: the answer is one operation away, which is not written out;
- 2: it is two operations away.

A `number` benchmark asks for the difference, with gap 2 for twice the difference. A `choice` benchmark asks
which player is ahead, or that neither is, with a letter for each in the order in which they are told of; with
gap 2, which is nearer to a third number. Each gap asks in words of its own, so that a question says how its
reasoning is to end. A rationale comes in two lengths: `short` is the arithmetic alone, `long` tells the story
along with it, at more than fifty tokens for the one of the answer.

Which split a problem belongs to is decided by a hash of its numbers alone, so no train problem shares its
arithmetic with a test problem, whatever names and verbs dress it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal, get_args

from tasks.errors import InputError
from tasks.records import LETTERS, Record

LARGEST_TOTAL = 30
LARGEST_CHANGE = 15
CHANGES = (1, 2)
"""Fewest and most changes of one player's number."""

SPLIT_OF_BUCKET = {0: "test", 1: "test", 2: "validation"}
"""Bucket of ten that a problem's hash falls in -> split; the other seven are `train`."""
SPLIT_SIZE = {"train": 4000, "validation": 1000, "test": 1000}

NAMES = ("Tom", "Ana", "Ben", "Mia", "Sam", "Lea", "Max", "Eva")
GAINS = ("buys", "finds", "gets", "wins")
LOSSES = ("loses", "sells", "drops", "gives")
TARGET = 15
ASKED = {
    "number": ("What is the difference?", "How far apart are they?", "What is twice the gap?"),
    "choice": ("Who has more?", "Who is ahead?", f"Who is nearer to {TARGET}?"),
}
"""The question of each kind and gap."""

Length = Literal["short", "long"]
KINDS, GAPS, LENGTHS = ("number", "choice"), (0, 1, 2), get_args(Length)


@dataclass(frozen=True, slots=True)
class Chain:
    """One player's arithmetic: a start and the signed changes to it."""

    start: int
    changes: tuple[int, ...]

    @property
    def totals(self) -> tuple[int, ...]:
        """The start, and the running total after each change."""
        return tuple(accumulate(self.changes, initial=self.start))


@dataclass(frozen=True, slots=True)
class Player:
    """A chain, and the words that dress it: a name, and a verb for each change."""

    chain: Chain
    name: str
    verbs: tuple[str, ...]


def load(
    split: str,
    *,
    kind: str = "number",
    gap: int = 0,
    rationale: Length = "short",
    size: int | None = None,
    seed: int = 0,
) -> list[Record]:
    """Generates one split of one benchmark of the world; no problem comes twice in it.

    Args:
        split: `train`, `validation` or `test`.
        kind: `number` or `choice`.
        gap: Operations between the end of the reasoning and the answer: 0, 1 or 2.
        rationale: `short` or `long`; the same questions either way.
        size: Number of records; the split's usual size where None.
        seed: Decides which.

    Raises:
        InputError: The split, the kind, the gap or the length does not exist.
    """
    given = {"split": split, "kind": kind, "gap": gap, "rationale": rationale}
    for (name, value), known in zip(given.items(), (SPLIT_SIZE, KINDS, GAPS, LENGTHS), strict=True):
        if value not in known:
            raise InputError(f"world: no {name} {value!r}; there are {', '.join(map(str, known))}")
    return list(_records(split, kind, gap, rationale, size or SPLIT_SIZE[split], seed))


@lru_cache(maxsize=32)
def _records(split: str, kind: str, gap: int, rationale: str, size: int, seed: int) -> tuple[Record, ...]:
    """What `load` gives, made once: plan, tasks and evaluation each ask for the same split."""
    rng = random.Random(f"world/{kind}/{gap}/{split}/{seed}")
    problems = _problems(rng, split, kind, gap)
    prefix = f"world-{kind}-gap{gap}{'-long' if rationale == 'long' else ''}-{split}"
    return tuple(
        problem(rng, next(problems), f"{prefix}-{i}", kind=kind, gap=gap, long=rationale == "long")
        for i in range(size)
    )


def problem(
    rng: random.Random, chains: tuple[Chain, Chain], record_id: str, *, kind: str, gap: int, long: bool
) -> Record:
    """Dresses two chains as a problem; `long` draws no more from `rng` than short does."""
    names = rng.sample(NAMES, 2)
    players = [
        Player(chain, name, tuple(rng.choice(GAINS if change > 0 else LOSSES) for change in chain.changes))
        for chain, name in zip(chains, names, strict=True)
    ]
    question = " ".join((*map(_told, players), ASKED[kind][gap]))
    reasoning = [sentence for player in players for sentence in _reasoned(player, long)]
    reasoning = reasoning or ["Nothing changes."]  # in pre-training alone
    one, other = (chain.totals[-1] for chain in chains)
    if kind == "choice":
        which = outcome(one, other, gap)
        letter = LETTERS[which]
        if gap == 0:
            reasoning.append(f"{one} {'><='[which]} {other}, so {letter}.")
        return Record(record_id, question, (*names, "neither"), " ".join(reasoning), letter, "choice")
    difference = abs(one - other)
    if gap == 0:
        reasoning.append(f"{max(one, other)} - {min(one, other)} = {difference}.")
    answer = difference * (2 if gap == 2 else 1)
    return Record(record_id, question, None, " ".join(reasoning), str(answer), "number")


def outcome(one: int, other: int, gap: int) -> int:
    """Which choice is right of these totals: the first player's (0), the second's (1) or neither's (2)."""
    if gap == 2:
        one, other = -abs(one - TARGET), -abs(other - TARGET)
    return 0 if one > other else 1 if one < other else 2


def _problems(rng: random.Random, split: str, kind: str, gap: int) -> Iterator[tuple[Chain, Chain]]:
    """Pairs of chains of a split, each once, whichever of the two comes first."""
    seen: set[frozenset[Chain]] = set()
    while True:
        changes = rng.randint(*CHANGES), rng.randint(*CHANGES)
        pair = random_pair(rng, changes, kind, gap)
        if split_of(*pair) == split and frozenset(pair) not in seen:
            seen.add(frozenset(pair))
            yield pair


def random_pair(rng: random.Random, changes: tuple[int, int], kind: str, gap: int) -> tuple[Chain, Chain]:
    """Two chains with so many changes; of choices each outcome is as likely as the others."""
    wanted = rng.randrange(3)  # two totals are seldom equal by themselves
    while True:
        ends = rng.randint(1, LARGEST_TOTAL), rng.randint(1, LARGEST_TOTAL)
        if kind != "choice" or outcome(*ends, gap) == wanted:
            one, other = (_random_chain(rng, *each) for each in zip(ends, changes, strict=True))
            return one, other


def _random_chain(rng: random.Random, end: int, num_changes: int) -> Chain:
    """A chain that ends there, drawn from its end on; all its totals lie between 1 and `LARGEST_TOTAL`."""
    start, changes = end, list[int]()
    for _ in range(num_changes):
        least, most = max(-LARGEST_CHANGE, start - LARGEST_TOTAL), min(LARGEST_CHANGE, start - 1)
        change = least + rng.randrange(most - least)
        change += change >= 0  # each but 0 is as likely as the others
        changes.append(change)
        start -= change
    return Chain(start, tuple(reversed(changes)))


def split_of(one: Chain, other: Chain) -> str:
    """The one split that a problem of these two chains may appear in, whatever their order."""
    text = "/".join(sorted(f"{chain.start}{chain.changes}" for chain in (one, other)))
    bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 10
    return SPLIT_OF_BUCKET.get(bucket, "train")


def _told(player: Player) -> str:
    changes = zip(player.verbs, player.chain.changes, strict=True)
    events = "".join(f", {verb} {abs(change)}" for verb, change in changes)
    return f"{player.name} has {player.chain.start}{events}."


def _reasoned(player: Player, long: bool) -> Iterator[str]:
    """The steps of a player's arithmetic; where `long` each with its story, in words of the questions."""
    name, chain = player.name, player.chain
    if long:
        yield f"{name} has {chain.start} to begin with."
    steps = zip(chain.totals, chain.changes, chain.totals[1:], player.verbs, strict=False)
    for before, change, after, verb in steps:
        yield f"{before} {'+' if change > 0 else '-'} {abs(change)} = {after}."
        if long:
            yield f"{name} {verb} {abs(change)}, and now {name} has {after}."
