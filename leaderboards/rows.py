"""What a leaderboard is, as plain data: rows, cells, intervals and comparisons.

Apart from `board`, which fills it in, so that writers and sentences need nothing but the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from leaderboards.schema import Role
from leaderboards.stats import Difference, Estimate

Metric = Literal["accuracy", "accuracy_strict", "format_valid", "score"]
METRICS: tuple[Metric, ...] = get_args(Metric)
Verdict = Literal["better", "worse", "not distinguishable"]
MACRO = "macro"
# They hold format validity, which for an untagged entry means something else.
FORMAT_DEPENDENT = frozenset({"accuracy_strict", "format_valid", "score"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row against the reference on one metric; the verdict goes by the Holm-corrected p-value."""

    difference: Difference
    p_holm: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class MetricCell:
    """One metric of one row on one benchmark; `own_format` marks with † what is not comparable."""

    metric: Metric
    estimate: Estimate
    own_format: bool
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class SampledPoint:
    """What `size` outputs for each question give: one of them right (pass), the vote right (majority)."""

    size: int
    passing: Estimate
    majority: Estimate


@dataclass(frozen=True, slots=True)
class Sampled:
    """Several outputs for each question, how they were drawn, and what 1, 2, 4, … of them give."""

    num_samples: int
    temperature: str
    seeds: str
    points: tuple[SampledPoint, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A judge's verdicts beside the rule's on the n outputs whose verdict could be read; shares of 1.

    `kappa` is Cohen's, None where it is not defined (both constant).
    """

    judge: str
    n: int
    unreadable: int
    rule_only: int
    judge_only: int
    rule_accuracy: float
    judge_accuracy: float
    agreement: float
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One row on one benchmark, or on all (`macro`): metrics, and what went wrong in the outputs.

    `num_samples` is the number of outputs drawn for each question, the smallest where benchmarks differ.
    `sampled` is there where several were drawn (for `macro`: equally many on all benchmarks), `judged` where
    a judge read them.
    """

    benchmark: str
    metrics: tuple[MetricCell, ...]
    num_outputs: int
    num_samples: int
    truncated: float
    output_tokens: float
    defects: tuple[tuple[str, int], ...]
    sampled: Sampled | None = None
    judged: Judged | None = None

    def metric(self, name: Metric) -> MetricCell:
        """The cell's figures for one metric."""
        return self.metrics[METRICS.index(name)]


@dataclass(frozen=True, slots=True)
class Cost:
    """Training compute of one seed of a row (the mean over its seeds), every stage charged in full.

    `reference_tokens` and `reference_flops` come on top of the others: what preparing a reference model
    took. `peak_memory_bytes` is the highest of the seeds, None where it was not measured.
    """

    steps: float
    tokens_forward: float
    tokens_loss: float
    flops: float
    wall_seconds: float
    reference_tokens: float
    reference_flops: float
    peak_memory_bytes: float | None
    budget: str

    @property
    def total_flops(self) -> float:
        """The row's own stages and its reference model."""
        return self.flops + self.reference_flops


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a line's T points lie: optimiser steps, tokens forward (mean over seeds), number of the stage."""

    steps: tuple[float, ...]
    tokens: tuple[float, ...]
    stages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity along T points: the mean over the seeds, the lowest and the highest seed."""

    quantity: str
    grid: Grid
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StageEnd:
    """A stage, from 1 on, and where it ended: the mean over the seeds."""

    number: int
    name: str
    steps: float
    tokens: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The training of one row of the board; `lines` holds only what was measured."""

    num_seeds: int
    stages: tuple[StageEnd, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of one model; `rank` is None where the ranking metric cannot be compared."""

    rank: int | None
    name: str
    model: str
    role: Role
    seeds: tuple[int | None, ...]
    tags: str
    tagged: bool
    method: str | None
    checkpoints: tuple[str, ...]
    is_reference: bool
    macro: Cell | None
    cells: tuple[Cell, ...]
    cost: Cost | None
    curve: Curve | None
    evaluation_seconds: float
    licence: str | None
    link: str | None

    def cell(self, benchmark: str) -> Cell | None:
        """The row's cell for a benchmark or for `macro`; None where it was not evaluated."""
        if benchmark == MACRO:
            return self.macro
        return next((cell for cell in self.cells if cell.benchmark == benchmark), None)


@dataclass(frozen=True, slots=True)
class Board:
    """A leaderboard: rows best first, and sentences: what was found, what to beware of, what was checked."""

    rows: tuple[Row, ...]
    benchmarks: tuple[str, ...]
    reference: str
    rank_by: Metric
    alpha: float
    confidence: float
    family_macro: int
    family_cells: int
    summary: tuple[str, ...]
    notes: tuple[str, ...]
    checks: tuple[str, ...]
    provenance: tuple[tuple[str, Mapping[str, str]], ...]
