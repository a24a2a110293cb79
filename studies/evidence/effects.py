"""The statistics of the study: paired differences over questions and seeds, corrected for their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from leaderboards import read_results
from leaderboards.board.rows import Verdict
from leaderboards.board.values import Paired, take_seeds
from leaderboards.results.merge import Group, merge_runs
from leaderboards.stats import (
    CONFIDENCE,
    Difference,
    Estimate,
    Matrix,
    holm,
    mean_interval,
    paired_difference,
)
from studies.evidence.design import (
    FIRST_STAGE,
    KEY_VARIANTS,
    METHOD,
    START,
    Cell,
    Design,
    control_of,
    one_stage_of,
)

POOLED = "pooled"
TO_CONTROL, TO_ONE_STAGE, TO_START = "to control", "to one stage", "to start"
GAP, LENGTH = "gap 1 − gap 0", "long − short"


@dataclass(frozen=True)
class Effect:
    """A variant against a reference: `where` is a cell's name, `POOLED`, or a contrast of cells."""

    variant: str
    where: str
    difference: Difference
    p_holm: float

    @property
    def verdict(self) -> Verdict:
        """What the corrected p-value says."""
        if self.p_holm >= 1 - CONFIDENCE:
            return "undecided"
        return "better" if self.difference.mean > 0 else "worse"


@dataclass(frozen=True)
class Evidence:
    """All that was found.

    Attributes:
        groups: Cell name -> variant -> its results over the seeds.
        effects: `TO_CONTROL`, `TO_ONE_STAGE` or `TO_START` -> effects in single cells (one family of tests)
            and pooled (another).
        contrasts: How the effect against the control of each variant that emphasises the answer changes
            with the difficulty and with the length of the reasoning; one family.
    """

    groups: Mapping[str, Mapping[str, Group]]
    effects: Mapping[str, tuple[Effect, ...]]
    contrasts: tuple[Effect, ...]

    def effect(self, variant: str, where: str, against: str = TO_CONTROL) -> Effect:
        """One effect."""
        return next(e for e in self.effects[against] if (e.variant, e.where) == (variant, where))

    def accuracy(self, variant: str, cells: Sequence[str]) -> Estimate:
        """Accuracy over questions and seeds, the mean over cells."""
        return _estimate([self.groups[cell][variant] for cell in cells], cells, "accuracy")

    def format_valid(self, variant: str, cells: Sequence[str]) -> Estimate:
        """Format validity, likewise."""
        return _estimate([self.groups[cell][variant] for cell in cells], cells, "format_valid")


def gather(design: Design) -> Evidence:
    """Reads the results of all cells and compares every variant with its control and with one stage of SFT.

    The method is compared with its starting point, too.
    """
    groups = {cell.name: _groups(design, cell) for cell in design.cells}
    effects = {
        TO_CONTROL: _effects({name: control_of(name) for name in design.variants}, groups),
        TO_ONE_STAGE: _effects({name: one_stage_of(name) for name in design.variants}, groups),
        TO_START: _effects({METHOD: START}, groups),
    }
    return Evidence(groups, effects, _contrasts(design, groups))


def _groups(design: Design, cell: Cell) -> dict[str, Group]:
    folder = design.out / cell.name
    groups = {group.name: group for group in merge_runs([read_results(folder / "test")])}
    starts = {group.name: group for group in merge_runs([read_results(folder / "start")])}
    return {**groups, START: replace(starts[FIRST_STAGE], name=START)}


def _effects(
    reference_of: Mapping[str, str], groups: Mapping[str, Mapping[str, Group]]
) -> tuple[Effect, ...]:
    """Every variant against its reference, in each cell and pooled, but for a reference against itself."""
    others = [name for name, reference in reference_of.items() if name != reference]
    matrices = {
        (name, cell): _matrix(of_cell[name], of_cell[reference_of[name]], cell)
        for name in others
        for cell, of_cell in groups.items()
    }
    single = {key: paired_difference([matrix]) for key, matrix in matrices.items()}
    pooled = {(name, POOLED): paired_difference([matrices[name, cell] for cell in groups]) for name in others}
    return (*_corrected(single), *_corrected(pooled))


def _contrasts(design: Design, groups: Mapping[str, Mapping[str, Group]]) -> tuple[Effect, ...]:
    """A mean of one half of the cells minus that of the other, from signed differences of all.

    The mean of B signed cells is half of that contrast, so everything that has its unit is doubled.
    """
    sides = {
        GAP: [cell for cell in design.cells if cell.gap],
        LENGTH: [cell for cell in design.cells if cell.long],
    }
    found = {}
    for name in key_variants(design):
        for where, more in sides.items():
            if 2 * len(more) != len(design.cells):
                continue
            signed = [
                (1 if cell in more else -1)
                * _matrix(groups[cell.name][name], groups[cell.name][control_of(name)], cell.name)
                for cell in design.cells
            ]
            found[name, where] = _doubled(paired_difference(signed))
    return tuple(_corrected(found))


def _doubled(half: Difference) -> Difference:
    return Difference(
        mean=2 * half.mean,
        low=2 * half.low,
        high=2 * half.high,
        p=half.p,
        num_questions=half.num_questions,
        num_seeds=half.num_seeds,
        mcnemar_p=(),
    )


def _corrected(found: Mapping[tuple[str, str], Difference]) -> Iterator[Effect]:
    adjusted = holm([difference.p for difference in found.values()])
    for ((variant, where), difference), p_holm in zip(found.items(), adjusted, strict=True):
        yield Effect(variant, where, difference, p_holm)


def _matrix(variant: Group, reference: Group, cell: str) -> Matrix:
    """Accuracy of the variant minus the reference's, of shape (S seeds, Q questions)."""
    return Paired.of(variant, reference, [cell]).matrices("accuracy")[0]


def _estimate(groups: Iterable[Group], cells: Sequence[str], metric: str) -> Estimate:
    outcomes = [group.outcomes[cell] for group, cell in zip(groups, cells, strict=True)]
    return mean_interval([take_seeds(one, getattr(one, metric), one.seeds) for one in outcomes])


def key_variants(design: Design) -> tuple[str, ...]:
    """The design's variants that emphasise the answer, the method first."""
    names = [name for name in KEY_VARIANTS if name in design.variants]
    return tuple(sorted(names, key=lambda name: name != METHOD))


def cell_names(cells: Sequence[Cell]) -> list[str]:
    """Their benchmarks."""
    return [cell.name for cell in cells]
