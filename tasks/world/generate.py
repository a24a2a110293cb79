"""Word problems with step-by-step rationales, deterministic from a seed, disjoint by construction.

A problem is a chain of running totals: a start and two or more changes. Which split a chain belongs to is
decided by a hash of its numbers alone, so no train problem shares its arithmetic with a test problem,
whatever names and things dress it. Two benchmarks dress the same chains: `number` asks for the total,
`choice` asks which of four ranges the total lies in: its key is a letter, not a copy of the last step.
A rationale comes in two lengths: `short` is the arithmetic alone, `long` tells the story along with it.
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

WORLD_VERSION = 1
"""Raised whenever the same arguments would give other records."""
LARGEST_TOTAL = 20
LARGEST_CHANGE = 9
STEPS = (2, 3)
"""Fewest and most changes in a problem of training difficulty."""
HARD_STEPS = (4, 5)
"""Fewest and most changes in a harder problem: more than training ever shows."""

SPLIT_OF_BUCKET = {0: "test", 1: "test", 2: "validation"}
"""Bucket of ten that a chain's hash falls in -> split; the other seven are `train`."""
SPLIT_SIZE = {"train": 4000, "validation": 500, "test": 1000}

NAMES = ("Tom", "Ana", "Ben", "Mia", "Sam", "Lea", "Max", "Eva")
THINGS = ("apples", "coins", "books", "cards", "pens", "shells", "stamps", "beads")
GAINS = ("buys", "finds", "gets", "wins")
LOSSES = ("loses", "sells", "drops", "eats")
MARKUP_WORDS = ("Note", "Fact", "Sum", "Name", "Thinking", "Answer")
RANGES = ("1 to 5", "6 to 10", "11 to 15", "16 to 20")
"""The choices of every `choice` problem: which range the total lies in."""
RANGE_WIDTH = 5

RationaleLength = Literal["short", "long"]
BENCHMARKS, RATIONALES = ("number", "choice"), get_args(RationaleLength)


@dataclass(frozen=True, slots=True)
class Chain:
    """The arithmetic of one problem: a start and the signed changes to it."""

    start: int
    changes: tuple[int, ...]

    @property
    def totals(self) -> tuple[int, ...]:
        """The running total after each change."""
        return tuple(accumulate(self.changes, initial=self.start))[1:]

    @property
    def split(self) -> str:
        """The one split this chain may appear in."""
        text = f"{self.start}{self.changes}"
        bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 10
        return SPLIT_OF_BUCKET.get(bucket, "train")


@dataclass(frozen=True, slots=True)
class Story:
    """The words that dress a chain: who, what things, and a verb for each change."""

    name: str
    things: str
    verbs: tuple[str, ...]


def load(
    split: str,
    *,
    benchmark: str = "number",
    hard: bool = False,
    rationale: RationaleLength = "short",
    size: int | None = None,
    seed: int = 0,
) -> list[Record]:
    """Generates one split of one benchmark of the world.

    Args:
        split: `train`, `validation` or `test`.
        benchmark: `number` (the answer is the total) or `choice` (the letter of its range).
        hard: Whether problems have more steps than those of training difficulty.
        rationale: `short` or `long`; the same questions either way.
        size: Number of records; the split's usual size where None.
        seed: Decides which.

    Raises:
        InputError: The split, the benchmark or the length does not exist.
    """
    given = {"split": split, "benchmark": benchmark, "rationale": rationale}
    for (name, value), known in zip(given.items(), (SPLIT_SIZE, BENCHMARKS, RATIONALES), strict=True):
        if value not in known:
            raise InputError(f"world: no {name} {value!r}; there are {', '.join(known)}")
    return list(_records(split, benchmark, hard, rationale, size or SPLIT_SIZE[split], seed))


@lru_cache(maxsize=32)
def _records(
    split: str, benchmark: str, hard: bool, rationale: str, size: int, seed: int
) -> tuple[Record, ...]:
    """What `load` gives, made once: plan, tasks and evaluation each ask for the same split."""
    rng = random.Random(f"world/{benchmark}/{split}/{hard}/{seed}")
    chains = _chains(rng, split, HARD_STEPS if hard else STEPS)
    prefix = f"world-{benchmark}{'-hard' if hard else ''}{'-long' if rationale == 'long' else ''}-{split}"
    records = []
    for i in range(size):
        chain = next(chains)
        verbs = tuple(rng.choice(GAINS if change > 0 else LOSSES) for change in chain.changes)
        story = Story(name=rng.choice(NAMES), things=rng.choice(THINGS), verbs=verbs)
        reasoning = " ".join(_steps(chain)) if rationale == "short" else _long_rationale(chain, story)
        total = chain.totals[-1]
        asked = (f"{prefix}-{i}", _question(chain, story))
        if benchmark == "number":
            records.append(Record(*asked, None, reasoning, str(total), "number"))
        else:
            records.append(Record(*asked, RANGES, reasoning, LETTERS[(total - 1) // RANGE_WIDTH], "choice"))
    return tuple(records)


def markup_drill(size: int, seed: int) -> list[Record]:
    """Items that put one thing between markup, for pre-training alone.

    A real base model has read markup; without this `<`, `>` and the words in tags would be tokens that the
    embedded one has never met. No item has the form of a tagged response.
    """
    rng = random.Random(f"world/markup/{seed}")
    records = []
    for i in range(size):
        number, word = rng.randint(1, LARGEST_TOTAL), rng.choice(MARKUP_WORDS)
        content = rng.choice(
            (f"{number}", f"{number} {rng.choice(THINGS)}", f"{rng.choice(NAMES)} has {number}.")
        )
        question, rationale = f"Mark {content} as {word}.", f"<{word}>{content}</{word}>"
        records.append(Record(f"world-markup-{i}", question, None, rationale, str(number), "number"))
    return records


def _chains(rng: random.Random, split: str, steps: tuple[int, int]) -> Iterator[Chain]:
    """Chains of a split; those of `validation` and `test` come once each, training may repeat itself."""
    seen: set[Chain] = set()
    while True:
        chain = _random_chain(rng, rng.randint(*steps))
        if chain.split != split or chain in seen:
            continue
        if split != "train":
            seen.add(chain)
        yield chain


def _random_chain(rng: random.Random, num_steps: int) -> Chain:
    start = total = rng.randint(2, LARGEST_TOTAL - 2)
    changes: list[int] = []
    for _ in range(num_steps):
        least, most = max(-LARGEST_CHANGE, 1 - total), min(LARGEST_CHANGE, LARGEST_TOTAL - total)
        changes.append(rng.choice([change for change in range(least, most + 1) if change]))
        total += changes[-1]
    return Chain(start, tuple(changes))


def _question(chain: Chain, story: Story) -> str:
    changes = zip(story.verbs, chain.changes, strict=True)
    events = ", ".join(f"{verb} {abs(change)}" for verb, change in changes)
    return f"{story.name} has {chain.start} {story.things}, {events}. How many now?"


def _long_rationale(chain: Chain, story: Story) -> str:
    """The arithmetic, and after each step its story; in words that the questions use too."""
    steps = zip(_steps(chain), story.verbs, chain.changes, chain.totals, strict=True)
    told = [
        f"{step} {story.name} {verb} {abs(change)}, has {after} {story.things}."
        for step, verb, change, after in steps
    ]
    return " ".join((f"{story.name} has {chain.start} {story.things}.", *told))


def _steps(chain: Chain) -> list[str]:
    before = (chain.start, *chain.totals)
    return [
        f"{total} {'+' if change > 0 else '-'} {abs(change)} = {after}."
        for total, change, after in zip(before, chain.changes, chain.totals, strict=False)
    ]
