"""Feeds the scorer mutated outputs: nothing may raise, take a second, or depend on the order of sides.

    python -m benchmarks fuzz_scorer --seconds 60

Realistic outputs (of the data directory, where there is one) are cut, turned, spliced, repeated and sown
with what breaks parsers; each is scored in a random format and kind. Prints how many were, what failed, and
what took longest; exits with 1 where anything failed.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.measure.gsm8k import add_data_dir
from benchmarks.measure.tables import machine, table
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError
from tasks.records import KINDS, Kind
from tasks.scoring import Item, answers_equal, score
from tasks.scoring.math_verify import MATH_VERIFY
from tasks.tags import TAG_FORMATS

LIMIT_SECONDS = 1.0
_CHOICES = ("a marsh", "a tundra", "18 km", "20 km", "none of these")
_BENCHMARKS = (("gsm8k", "test"), ("college_math", "test"), ("aqua_rat", "test"))
_ANSWERS = (
    *("18", "-5", "1,234", "12:30", "5:30 PM", "3/4", "1 1/2", "½", "25%", "$18.00", "3e5", "twenty-three"),
    *("3, 4", "(1,2)", "[1,2)", "\\frac{3}{56}", "2\\sqrt{113}", "x \\in [-2,7]", "6 - 5i", "p - q", "10\\%"),
    *(
        "90^\\circ",
        "\\text{(C)}",
        "1 \\pm \\sqrt{19}",
        "4210_5",
        "x=5",
        "B",
        "(-\\infty,-9] \\cup [2, \\infty)",
    ),
    *("5 hours 30 minutes", "5 km/h", "\\{1,2\\}", "y = 2x+3", "no solution"),
    "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
)
_FRAMES = (
    *("{}", "The answer is {}.", "\\boxed{{{}}}", "#### {}", "A: {}", "**Final Answer:** ${}$", "so = {}"),
    "<Thinking>It is so.</Thinking>\n<Answer>{}</Answer>",
    "<think>\nso\n</think>\n<answer>\n{}\n</answer>",
    "The answer is {}.\n\nQuestion: another?\nThe answer is 7.",
)
_SEEDS = (
    *(
        "\\boxed{",
        "}",
        "{",
        "$",
        "\\frac",
        "\\sqrt{",
        "^{",
        "_",
        "9**9**9**9",
        "10^{10^{10}}",
        "\\left(",
        "&",
    ),
    *("<Answer>", "</Answer>", "<think>", "</think>", "The answer is ", "answer to ", "####", "\nQuestion:"),
    *("\n", " ", "1", "1,", "-", "/", "!", "(", ")", "[", "\\\\", "%", "^9", "\\text{", "answer", "5 hours"),
    *("½", "\u2028", "\x00", "é", "\ud800", "٣", "𝟙"),
)


@dataclass
class Findings:
    """What the fuzzing has found so far."""

    scored: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)

    def timed(self, what: str, call: Callable[[], object]) -> object:
        """Calls, notes how long it took, and that it raised or was too slow."""
        start = time.monotonic()
        try:
            return call()
        except Exception as error:
            self.failed.append(f"{type(error).__name__}: {what}")
            return None
        finally:
            seconds = time.monotonic() - start
            if seconds > LIMIT_SECONDS:
                self.failed.append(f"{seconds:.2f} s: {what}")
            heapq.heappush(self.slowest, (seconds, what))
            if len(self.slowest) > 10:
                heapq.heappop(self.slowest)


def realistic_outputs(data_dir: Path) -> list[str]:
    """Solutions of the data directory, where there is one, and answers in their frames."""
    outputs = [frame.format(answer) for frame in _FRAMES for answer in _ANSWERS]
    for name, split in _BENCHMARKS:
        try:
            for record in load_benchmark(name).records(split, data_dir):
                frame = _FRAMES[len(outputs) % len(_FRAMES)].format(record.answer)
                outputs.append(f"{record.rationale or ''}\n{frame}")
        except InputError as error:
            print(f"without {name}: {error}", file=sys.stderr)
    return outputs


def mutate(output: str, others: Sequence[str], dice: random.Random) -> str:
    """Changes an output in one to four ways; now and then it becomes megabytes long."""
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(output) + 1)
        seed = dice.choice(_SEEDS)
        match dice.randrange(7):
            case 0:
                output = output[:place] + seed + output[place:]
            case 1:
                output = output[:place]
            case 2:
                output = output[place:] + output[:place]
            case 3:
                output = output[:place] + dice.choice(others) + output[place:]
            case 4:
                output = output[:place] + seed * dice.choice((3, 30, 300, 3_000)) + output[place:]
            case 5:
                output = output.replace(dice.choice("0123456789{}().,"), seed, dice.randint(1, 5))
            case _:
                output = output[:place] + output[place + dice.randint(1, 20) :]
        output = output[:100_000]
    if output and dice.random() < 0.01:
        output *= 10_000_000 // len(output)
    return output


def fuzz(seconds: float, outputs: Sequence[str], dice: random.Random) -> Findings:
    """Scores mutated outputs until the time is over."""
    findings, until = Findings(), time.monotonic() + seconds
    while time.monotonic() < until:
        kind: Kind = dice.choice(KINDS)
        tag_format = dice.choice(list(TAG_FORMATS.values()))
        output, gold = mutate(dice.choice(outputs), outputs, dice), dice.choice(_ANSWERS)
        choices = _CHOICES if kind == "choice" else None
        gold = dice.choice("ABCDE") if choices else gold
        told = f"{kind}, {tag_format.name}, gold {gold!r}, {len(output)} characters, {output[:80]!r}"
        item = Item(output, gold, kind, choices, tag_format, truncated=dice.random() < 0.2)
        findings.timed(told, partial(score, item))
        findings.scored[kind] += 1
        _compare(findings, kind, mutate(dice.choice(_ANSWERS), _ANSWERS, dice)[:5_000], gold)
    return findings


def _compare(findings: Findings, kind: Kind, answer: str, gold: str) -> None:
    """A short answer: compared both ways (equal numbers and words have no direction), and with itself."""
    choices = _CHOICES if kind == "choice" else None
    told = f"{kind}, {gold!r} and {answer[:120]!r}"
    forth = findings.timed(told, lambda: answers_equal(gold, answer, kind, choices))
    if kind in ("number", "text"):
        back = findings.timed(told, lambda: answers_equal(answer, gold, kind, choices))
        if forth != back:
            findings.failed.append(f"one way alone: {told}")
    if kind in ("latex", "text") and not findings.timed(
        told, lambda: answers_equal(gold, gold, kind, choices)
    ):
        findings.failed.append(f"not equal to itself: {gold!r}")


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz_scorer", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), help="to repeat a run")
    add_data_dir(parser)
    asked = parser.parse_args(arguments)
    MATH_VERIFY.wait()
    findings = fuzz(asked.seconds, realistic_outputs(asked.data_dir), random.Random(asked.seed))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{machine()}\n\n{asked.seconds:g} s, seed {asked.seed}, {peak:.0f} MiB at most\n")
    print(
        table(["kind", "outputs scored"], [[kind, f"{count:,}"] for kind, count in findings.scored.items()])
    )
    print("\nSlowest\n")
    print(
        table(
            ["s", "input"], [[f"{spent:.3f}", what] for spent, what in sorted(findings.slowest, reverse=True)]
        )
    )
    print(f"\nFailed: {len(findings.failed)}")
    for failure in findings.failed[:20]:
        print(f"- {failure}")
    sys.exit(bool(findings.failed))


if __name__ == "__main__":
    main(sys.argv[1:])
