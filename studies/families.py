"""How often a board says something false of a whole family of variants, written into `docs/statistics.md`.

    python -m studies families [--share 0.5] [--replications 600] [--seed 2026] [--out docs/statistics.md]

Every cell is a kind of family (`simulated/families.py`). Those in which more than `SUSPECT` of the families
got a false claim are simulated again, with four times as many replications and other random numbers, and
only these count: a cell is neither cleared nor condemned by the numbers that drew attention to it. The
default half of the cells, drawn by the seed, takes about 34 minutes on two cores.
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
from studies.simulated.families import EFFECTS, SHIFT, UNLIKE, WILD_SD, Claims, Family, claims
from studies.simulated.page import parser_of, write_between
from studies.simulated.report import table

VARIANTS = (2, 6, 24)
SEEDS = (2, 3, 5, 10)
INTERACTIONS = (0.0, 0.5, 1.0, 2.0)
QUESTIONS = ((50,) * 4, (250,) * 4, (1319,))
ACCURACIES = (0.1, 0.5, 0.95)
UNLIKE_FAMILIES = tuple(
    Family(variants, seeds, (250,) * 4, UNLIKE, 1.0, 0.5, unlike=True)
    for variants in VARIANTS
    for seeds in SEEDS
)
SUSPECT, LIMIT = 0.04, 0.055
MARKS = "families"


class Cell(NamedTuple):
    """A kind of family, what is said where all are alike, and how often a better variant is found."""

    family: Family
    null: Claims
    power: Claims


def main(argv: Sequence[str]) -> None:
    """Simulates and writes the tables between the two marks of the document."""
    parser = parser_of(MARKS, __doc__, 600, "families of each cell")
    parser.add_argument("--share", type=float, default=0.5, help="of the cells, drawn by the seed")
    options = parser.parse_args(argv)
    started = time.monotonic()
    families = chosen(options.share, options.seed)
    cells = simulate([*families, *UNLIKE_FAMILIES], options.replications, options.seed)
    text = document(cells, options.replications, options.seed, time.monotonic() - started)
    write_between(options.out, text, MARKS)
    print(f"{options.out}: {len(cells)} cells, {time.monotonic() - started:.0f} s, {os.cpu_count()} cores")


def chosen(share: float, seed: int) -> list[Family]:
    """A random share of all cells."""
    grid = product(VARIANTS, SEEDS, QUESTIONS, EFFECTS, INTERACTIONS, ACCURACIES)
    cells = [Family(*each) for each in grid]
    order = np.random.default_rng(seed).permutation(len(cells))[: round(share * len(cells))]
    return [cells[at] for at in sorted(order.tolist())]


def simulate(families: Sequence[Family], replications: int, seed: int) -> list[Cell]:
    """All cells, on all cores; a cell's random numbers depend on nothing but the cell and the seed."""
    return on_all_cores(partial(simulate_cell, replications=replications, seed=seed), families, 4)


def simulate_cell(family: Family, replications: int, seed: int) -> Cell:
    """One cell, again with more replications where it looks bad."""
    null = claims(family, replications, _rng(seed, 0, family))
    if null.false > SUSPECT:
        null = claims(family, 4 * replications, _rng(seed, 1, family))
    power = claims(family, max(replications // 5, 1), _rng(seed, 2, family), shifted=True)
    return Cell(family, null, power)


def document(cells: Sequence[Cell], replications: int, seed: int, seconds: float) -> str:
    """Everything between the marks."""
    unlike = [cell for cell in cells if cell.family.unlike]
    cells = [cell for cell in cells if not cell.family.unlike]
    bad = [cell for cell in cells if cell.null.false > LIMIT]
    worst = max(cells, key=lambda cell: cell.null.false)
    error = (0.05 * 0.95 / replications) ** 0.5
    return "\n".join(
        [
            f"Seed {seed}, {len(cells)} cells, {replications} families each (Monte Carlo standard error "
            f"{100 * error:.1f} points at 5 %), those with more than {100 * SUSPECT:.0f} % again with "
            f"{4 * replications}; {seconds:.0f} s. **{len(bad)} cells are above "
            f"{100 * LIMIT:.1f} %**; highest: {100 * worst.null.false:.1f} % ({_named(worst.family)}).",
            "",
            "*False*: families in which anything false is claimed of any two variants, mean and highest of "
            f"the cells. *Found*: families in which a variant that is {100 * SHIFT:.0f} points better is "
            "told from the reference. *Silent*: families whose seeds are too few, or too unlike, for any "
            "claim. *Missed*: 95 % intervals of a variant's mean that are given and do not hold the truth, "
            "mean and highest of the cells.",
            "",
            *table(
                _COLUMNS,
                [
                    _row(of, key)
                    for key in product(VARIANTS, SEEDS, EFFECTS)
                    if (of := [cell for cell in cells if _kind(cell.family) == key])
                ],
            ),
            *(f"- {100 * cell.null.false:.1f} %: {_named(cell.family)}" for cell in bad),
            "",
            f"What does not hold: one variant whose seeds are wilder (normal, {WILD_SD:g} logits) than those "
            f"of all others ({UNLIKE}), 4 × 250 questions, interaction 1, accuracy 0.5.",
            "",
            *table(_COLUMNS, [_row([cell], _kind(cell.family)) for cell in unlike]),
        ]
    )


_COLUMNS = [
    *("variants", "seeds", "effect of a seed", "cells"),
    *("false, %", "highest", "found, %", "silent, %", "missed, %", "highest"),
]


def _row(cells: Sequence[Cell], key: tuple[int, int, str]) -> list[str]:
    false, missed = [cell.null.false for cell in cells], [cell.null.missed for cell in cells]
    found, silent = [cell.power.found for cell in cells], [cell.null.silent for cell in cells]
    whole = (f"{100 * mean(each):.0f}" for each in (found, silent))
    rest = (f"{100 * share:.1f}" for share in (mean(missed), max(missed)))
    return [
        *map(str, key),
        str(len(cells)),
        f"{100 * mean(false):.1f}",
        f"{100 * max(false):.1f}",
        *whole,
        *rest,
    ]


def _kind(family: Family) -> tuple[int, int, str]:
    return family.variants, family.seeds, family.effect


def _named(family: Family) -> str:
    questions = " × ".join(map(str, dict.fromkeys((len(family.questions), family.questions[0]))))
    return (
        f"{family.variants} variants, {family.seeds} seeds, effect {family.effect}, interaction "
        f"{family.interaction:g}, {questions} questions, accuracy {family.accuracy:g}"
    )


def _rng(seed: int, table: int, family: Family) -> np.random.Generator:
    numbers = (family.variants, family.seeds, *family.questions, list(EFFECTS).index(family.effect))
    more = (round(10 * family.interaction), round(100 * family.accuracy), *([1] * family.unlike))
    return np.random.default_rng([seed, table, *numbers, *more])
