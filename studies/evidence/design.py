"""The design of the study: four cells of the world, the variants, and what each cell is trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config import Config, load_config
from sftkey_train.variants import load_variant, variant_names
from tasks.errors import InputError, did_you_mean

CONTROL = "sft-tag-x2"
METHOD = "sftkey-tag"
FIRST_STAGE = "sft-tag"
UNTAGGED_CONTROL = "sft+sft"
"""What `CONTROL` is to tagged variants, for the untagged ones: the base knows their format already."""
UNTAGGED_FIRST_STAGE = "sft"
START = "stage 1"
"""Where the method begins its second stage: `FIRST_STAGE` with the steps of the method's first."""
SECOND_STAGES = ("answer-weighted", "span-balanced", "dft", "focal")
"""Rivals that are also tried in the place of the method's second stage."""
ALWAYS = (CONTROL, FIRST_STAGE, METHOD, UNTAGGED_CONTROL, UNTAGGED_FIRST_STAGE)
KEY_VARIANTS = (
    *("key-tag", "sftkey", METHOD, "answer-weighted", "span-balanced", "sft-go"),
    *(f"{FIRST_STAGE}+{name}" for name in ("answer-weighted", "span-balanced")),
)
"""The variants that give the answer's tokens more weight than the others; the rest weigh by other things."""
CHOICE_SEEDS = 1
QUESTIONS = 250
"""Test questions of a cell; `CHOICE_QUESTIONS` validation questions choose the settings of second stages."""
CHOICE_QUESTIONS = 200
TRAIN_RECORDS = 1000
BATCH_SIZE = 4


@dataclass(frozen=True)
class SecondStage:
    """Settings of a second stage: its share of a variant's steps, and its peak learning rate."""

    share: float
    rate: float

    @property
    def label(self) -> str:
        """What tables call it."""
        return f"{100 * self.share:g} % at {self.rate:g}"


SETTINGS = tuple(SecondStage(share, rate) for share in (0.1, 0.5) for rate in (1e-4, 1e-3))
"""Of these, every variant that has a second stage takes the best of its own in each cell."""


@dataclass(frozen=True)
class Cell:
    """One cell: a gap between reasoning and answer and a length of the reasoning, with questions of its own.

    Attributes:
        name: Of its benchmark.
        gap: Operations between the end of the reasoning and the answer.
        long: The reasoning tells the story along with the arithmetic.
        steps: Optimiser steps of every variant.
        learning_rate: Of every first stage. Both were set by looking at sft-tag on validation questions.
    """

    name: str
    gap: int
    long: bool
    steps: int
    learning_rate: float

    @property
    def label(self) -> str:
        """What tables and plots call it."""
        return f"gap {self.gap}, {'long' if self.long else 'short'}"


CELLS = (
    Cell("world_number", 0, False, 250, 1e-3),
    Cell("world_number_long", 0, True, 250, 1e-3),
    Cell("world_number_gap1", 1, False, 250, 1e-3),
    Cell("world_number_gap1_long", 1, True, 250, 1e-3),
)


@dataclass(frozen=True)
class Design:
    """What one call runs.

    Attributes:
        out: Folder of the study; each cell has a folder in it, with its own store.
        cells: In the order of the tables.
        variants: Names.
        seeds: Of every variant.
    """

    out: Path
    cells: tuple[Cell, ...]
    variants: tuple[str, ...]
    seeds: int

    def config(self, cell: Cell, chosen: Mapping[str, SecondStage]) -> Config:
        """The measurement on test questions, with the second-stage settings of each variant."""
        own = {
            name: {"second_learning_rate": setting.rate, "stage2_share": setting.share}
            for name, setting in chosen.items()
        }
        return self._config(
            cell, "test", {"variants": list(self.variants), "limit": QUESTIONS, "per_variant": own}
        )

    def start_config(self, cell: Cell, setting: SecondStage) -> Config:
        """The measurement of `START` on test questions; its stages are in the store by then."""
        first = round(cell.steps * (1 - setting.share))
        return self._config(
            cell, "start", {"variants": [FIRST_STAGE], "limit": QUESTIONS, "train.amount": first}
        )

    def choice_config(self, cell: Cell, setting: SecondStage) -> Config:
        """All variants with a second stage at one of its settings, on validation questions."""
        return self._config(
            cell,
            f"choice/{setting.share:g}-{setting.rate:g}",
            {
                "variants": list(self.two_stage),
                "seeds": min(CHOICE_SEEDS, self.seeds),
                "limit": CHOICE_QUESTIONS,
                "eval.split": "validation",
                "train.second_learning_rate": setting.rate,
                "train.stage2_share": setting.share,
            },
        )

    @property
    def two_stage(self) -> tuple[str, ...]:
        """The variants that have a second stage."""
        return tuple(name for name in self.variants if len(load_variant(name).stages) > 1)

    def _config(self, cell: Cell, folder: str, own: Mapping[str, Any]) -> Config:
        shared = {
            "benchmarks": [cell.name],
            "out": self.out / cell.name / folder,
            "store": self.out / cell.name / "store",
            "seeds": self.seeds,
            "train_limit": TRAIN_RECORDS,
            "train.amount": cell.steps,
            "train.batch_size": BATCH_SIZE,
            "train.workers": 1,  # the cells run side by side
            "train.learning_rate": cell.learning_rate,
        }
        return load_config(None, {**shared, **own}, [])


def control_of(variant: str) -> str:
    """The compute-matched control of the variant's own format; a control's is itself."""
    return CONTROL if load_variant(variant).tagged else UNTAGGED_CONTROL


def one_stage_of(variant: str) -> str:
    """Plain one-stage SFT in the variant's own format."""
    return FIRST_STAGE if load_variant(variant).tagged else UNTAGGED_FIRST_STAGE


def all_variants() -> tuple[str, ...]:
    """Every variant that ships, and the rivals as second stage after sft-tag; controls first."""
    shipped = [name for name in variant_names() if name not in ALWAYS]
    return (*ALWAYS, *shipped, *(f"{FIRST_STAGE}+{name}" for name in SECOND_STAGES))


def make_design(out: Path, seeds: int, cells: Sequence[str] = (), variants: Sequence[str] = ()) -> Design:
    """The design, or the part of it that is asked for; the controls are always in.

    Raises:
        InputError: A cell or a variant does not exist, or too few seeds.
    """
    known = {cell.name: cell for cell in CELLS}
    for name in cells:
        if name not in known:
            raise InputError(f"--cells: {did_you_mean(name, known)}")
    if seeds < 1:
        raise InputError(f"--seeds must be at least 1, not {seeds}")
    chosen = tuple(cell for cell in CELLS if cell.name in (cells or known))
    wanted = dict.fromkeys((*ALWAYS, *variants)) if variants else all_variants()
    for name in wanted:
        load_variant(name)
    return Design(out, chosen, tuple(wanted), seeds)
