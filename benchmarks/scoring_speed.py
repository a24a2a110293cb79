"""How many outputs are scored in a second, by kind of answer: in one process, in all, and by Math-Verify.

`python -m benchmarks scoring_speed [--samples 2000] [--data-dir DIR]`. The outputs are made of reference
answers, from the benchmarks' files where they are at hand and else made up: reasoning, then the answer
between tags; three in five give the right one, half of these written otherwise. Every side scores the same
outputs, each time in a fresh process, so that nothing is remembered. Math-Verify is called as its
documentation shows, `verify(parse(gold), parse(output))`; for kinds choice and text it has nothing to say.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.gsm8k import add_data_dir
from benchmarks.measure.tables import machine, spread, table
from tasks.benchmarks import load_benchmark
from tasks.records import KINDS, Kind
from tasks.scoring import Item, score, score_many
from tasks.tags import get_tag_format

BENCHMARK_OF: dict[Kind, str] = {"number": "gsm8k", "choice": "arc_challenge", "latex": "college_math"}
JUDGED_BY_MATH_VERIFY: tuple[Kind, ...] = ("number", "latex")
SHARE_RIGHT = 0.6
SENTENCE = "so we add the first part to what is left and then take half of it which gives"
WORDS = SENTENCE.split()
TAGS = get_tag_format("think-answer")


@dataclass(frozen=True)
class Reference:
    """What is asked for: an answer, and the choices where there are any."""

    answer: str
    choices: tuple[str, ...] | None = None


def references(kind: Kind, data_dir: Path, count: int) -> tuple[list[Reference], str]:
    """Reference answers of a kind, and where they come from."""
    name = BENCHMARK_OF.get(kind)
    if name and (data_dir / name / "test.jsonl").is_file():
        records = load_benchmark(name).records("test", data_dir)
        there = [Reference(record.answer, record.choices) for record in records]
        return [there[i % len(there)] for i in range(count)], name
    rng = random.Random(kind)
    return [made_up(kind, rng) for _ in range(count)], "made up"


def made_up(kind: Kind, rng: random.Random) -> Reference:
    """A reference answer of the sort that benchmarks of its kind have."""
    a, b, c = (rng.randint(2, 99) for _ in range(3))
    if kind == "number":
        return Reference(f"{a * b * c:,}")
    if kind == "choice":
        return Reference(
            rng.choice("ABCD"), tuple(" ".join(rng.choices(WORDS, k=3)) + str(i) for i in range(4))
        )
    if kind == "latex":
        forms = (
            rf"\frac{{{a}}}{{{b}}}",
            rf"{a} x^{{2}}-{b} x+{c}",
            rf"{a} \sqrt{{{b}}}",
            rf"x={a}",
            rf"({a}, {b})",
        )
        return Reference(f"${rng.choice(forms)}$")
    return Reference(" ".join(rng.choices(WORDS, k=3)))


def outputs(kind: Kind, data_dir: Path, count: int) -> tuple[list[Item], str]:
    """Outputs to be scored, and where their references come from."""
    wanted, source = references(kind, data_dir, count)
    rng = random.Random(f"outputs {kind}")
    items = []
    for reference in wanted:
        right = rng.random() < SHARE_RIGHT
        answer = reference.answer if right else rng.choice(wanted).answer
        if right and rng.random() < 0.5:
            answer = written_otherwise(answer, kind, reference.choices)
        reasoning = " ".join(rng.choices(WORDS, k=rng.randint(40, 200)))
        text = f"<think>\n{reasoning} {rng.randint(1, 99)}.\n</think>\n<answer>\n{answer}\n</answer>"
        items.append(Item(text, reference.answer, kind, reference.choices, TAGS))
    return items, source


def written_otherwise(answer: str, kind: Kind, choices: Sequence[str] | None) -> str:
    """The same answer in another form that models use."""
    if kind == "number":
        return f"The answer is ${answer}."
    if kind == "choice":
        return choices[ord(answer) - ord("A")] if choices else f"({answer})"
    if kind == "latex":
        return rf"$\boxed{{{answer.strip('$').replace('frac', 'dfrac')}}}$"
    return f"The {answer.upper()}."


def ours(items: list[Item], workers: int) -> float:
    """Seconds to score; what is started once is started before."""
    score(items[0])
    start = time.perf_counter()
    for _ in score_many(items[1:], workers):
        pass
    return time.perf_counter() - start


def math_verify(items: list[Item]) -> float:
    """Seconds that Math-Verify takes for the same."""
    from math_verify import parse, verify

    def judge(item: Item) -> bool:
        return bool(verify(parse(item.gold), parse(item.output)))

    judge(items[0])
    start = time.perf_counter()
    for item in items[1:]:
        judge(item)
    return time.perf_counter() - start


def in_fresh_process(measured: Callable[..., float], *arguments: object) -> float:
    """What a function returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as one:
        return one.submit(measured, *arguments).result()


def row(kind: Kind, items: list[Item], source: str, workers: int, repeats: int) -> list[str]:
    """A line of the table: samples per second of each side, and ratios of medians."""
    sides: dict[str, list[float]] = {"one": [], "all": [], "theirs": []}
    for _ in range(repeats):
        sides["one"].append(in_fresh_process(ours, items, 1))
        sides["all"].append(in_fresh_process(ours, items, workers))
        if kind in JUDGED_BY_MATH_VERIFY:
            sides["theirs"].append(in_fresh_process(math_verify, items))
    rates = {side: [(len(items) - 1) / seconds for seconds in taken] for side, taken in sides.items()}
    shown = [spread(rates[side], 0) if rates[side] else "–" for side in sides]
    middle = {side: sorted(found)[len(found) // 2] for side, found in rates.items() if found}
    ratios = [
        f"{middle[side] / middle['theirs']:.1f}" if "theirs" in middle else "–" for side in ("one", "all")
    ]
    print(f"{kind}: done", file=sys.stderr)
    return [kind, source, *shown, *ratios]


def main(arguments: Sequence[str]) -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scoring_speed", description=__doc__)
    parser.add_argument("--samples", type=int, default=2_000, help="outputs of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of answers")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count(), help="processes at most")
    parser.add_argument("--repeats", type=int, default=3, help="times that each side scores")
    add_data_dir(parser)
    asked = parser.parse_args(arguments)
    rows = [
        row(kind, *outputs(kind, asked.data_dir, asked.samples), asked.workers, asked.repeats)
        for kind in asked.kinds
    ]
    head = ["kind", "references", "one process", f"{asked.workers} processes", "Math-Verify"]
    head += ["one / Math-Verify", "all / Math-Verify"]
    print(f"{machine()}\n\n{asked.samples} outputs of each kind; outputs a second, median (range)\n")
    print(table(head, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
