"""How often something false is claimed where seeds are added until it is shown, written into the document.

    python -m studies sequential [--replications 1000] [--seed 2026] [--out docs/statistics.md]

Two variants, alike or one of them better, look after look (`simulated/looks.py`): several rules are held
against the same looks. The default took 35 minutes on two cores (`--replications 800` should take 28).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from statistics import mean
from typing import NamedTuple

import numpy as np

from studies.simulated.cores import on_all_cores
from studies.simulated.families import EFFECTS, SHIFT, Family
from studies.simulated.looks import FIRST, RULES, Stopped, called_alike, paths, stopped
from studies.simulated.page import parser_of, write_between
from studies.simulated.report import table

MOST = (5, 13, 23)
"""Seeds at the last look: 2, 10 and 20 looks."""
QUESTIONS = ((50,) * 4, (250,) * 4)
ACCURACIES = (0.5, 0.9)
MARKS = "sequential"


class Cell(NamedTuple):
    """Two variants of a kind: how paths end by rule and most seeds, with and without a difference.

    `alike` is the share in which two that differ by the margin are called equivalent, by most seeds.
    """

    family: Family
    null: dict[tuple[str, int], Stopped]
    power: dict[tuple[str, int], Stopped]
    alike: dict[int, float]


def main(argv: Sequence[str]) -> None:
    """Simulates and writes the tables between the two marks of the document."""
    options = parser_of(MARKS, __doc__, 1000, "pairs of variants of each cell").parse_args(argv)
    started = time.monotonic()
    cells = simulate(options.replications, options.seed)
    text = document(cells, options.replications, options.seed, time.monotonic() - started)
    write_between(options.out, text, MARKS)
    print(f"{options.out}: {len(cells)} cells, {time.monotonic() - started:.0f} s, {os.cpu_count()} cores")


def simulate(replications: int, seed: int) -> list[Cell]:
    """All cells, on all cores; a cell's random numbers depend on nothing but the cell and the seed."""
    kinds = product(EFFECTS, QUESTIONS, ACCURACIES)
    wanted = [Family(1, MOST[-1], questions, effect, 1.0, at) for effect, questions, at in kinds]
    return on_all_cores(partial(simulate_cell, replications=replications, seed=seed), wanted)


def simulate_cell(family: Family, replications: int, seed: int) -> Cell:
    """One cell; where there is a difference, a third of the replications will do."""
    numbers = [seed, family.seeds, *family.questions, list(EFFECTS).index(family.effect)]
    null, shifted = (
        paths(family, count, np.random.default_rng([*numbers, round(100 * family.accuracy), number]), shift)
        for number, (count, shift) in enumerate(((replications, 0.0), (max(replications // 3, 1), SHIFT)))
    )
    keys = list(product(RULES, (most for most in MOST if most <= family.seeds)))
    ended = (
        {(name, most): stopped(found, RULES[name], most) for name, most in keys} for found in (null, shifted)
    )
    return Cell(family, *ended, {most: called_alike(shifted, most) for _, most in keys})


def document(cells: Sequence[Cell], replications: int, seed: int, seconds: float) -> str:
    """Everything between the marks."""
    error = 100 * (0.05 * 0.95 / replications) ** 0.5
    alike = max(share for cell in cells for share in cell.alike.values())
    return "\n".join(
        [
            f"Seed {seed}, {len(cells)} cells (effect of a seed × 4 × 50 or 4 × 250 questions × accuracy "
            f"{' or '.join(f'{at:g}' for at in ACCURACIES)}; interaction 1 logit), {replications} pairs of "
            f"variants each (Monte Carlo standard error {error:.1f} points at 5 %), {seconds:.0f} s. The "
            f"first look is at {FIRST} seeds, the last at {', '.join(map(str, MOST[:-1]))} or {MOST[-1]}.",
            "",
            "*False*: how often a difference is claimed of two alike ones, mean of the cells and highest. "
            f"*Found* and *seeds*: how often a difference of {100 * SHIFT:.0f} points is claimed, and after "
            f"how many seeds that ends. In bold the rule of the harness, which calls two that differ by the "
            f"margin equivalent in at most {100 * alike:.1f} % (highest of the cells).",
            "",
            *table(
                ["rule", *(f"{what}, {most}" for most in MOST for what in ("false, %", "found, %", "seeds"))],
                [[name, *(text for most in MOST for text in _figures(cells, name, most))] for name in RULES],
            ),
            "",
            "The harness's rule by the effect of a seed:",
            "",
            *table(
                [
                    "effect",
                    *(f"{what}, {most}" for most in MOST for what in ("false, %", "found, %", "seeds")),
                ],
                [
                    [effect, *(text for most in MOST for text in _figures(own, "**0.75 α t²**", most))]
                    for effect in EFFECTS
                    if (own := [cell for cell in cells if cell.family.effect == effect])
                ],
            ),
        ]
    )


def _figures(cells: Sequence[Cell], rule: str, most: int) -> list[str]:
    null = [100 * cell.null[rule, most].claimed for cell in cells]
    power = [cell.power[rule, most] for cell in cells]
    found, seeds = 100 * mean(one.claimed for one in power), mean(one.seeds for one in power)
    return [f"{mean(null):.1f} ({max(null):.1f})", f"{found:.0f}", f"{seeds:.1f}"]
