"""The study on the embedded world: its design holds together, and its sentences follow its figures."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leaderboards.results.merge import Group, Outcomes
from studies.evidence import effects
from studies.evidence.design import (
    ALWAYS,
    CELLS,
    CONTROL,
    FIRST_STAGE,
    METHOD,
    SETTINGS,
    START,
    UNTAGGED_CONTROL,
    Cell,
    all_variants,
    control_of,
    make_design,
)
from studies.evidence.effects import GAP, LENGTH, POOLED, TO_START, Evidence, gather
from studies.evidence.verdicts import answers
from tasks.benchmarks import load_benchmark
from tasks.errors import InputError

NUM_SEEDS, NUM_QUESTIONS = 5, 200
Share = Callable[[str, Cell], float]


def outcomes(share: float, rng: np.random.Generator) -> Outcomes:
    """Questions of one difficulty, seeds alike: `share` of the answers are right."""
    right_SQ = (rng.random((NUM_SEEDS, NUM_QUESTIONS)) < share).astype(float)
    ones_SQ = np.ones_like(right_SQ)
    ids = np.array([f"q{i}" for i in range(NUM_QUESTIONS)], dtype=object)
    return Outcomes(tuple(range(NUM_SEEDS)), ids, right_SQ, right_SQ, ones_SQ, 1 - ones_SQ, ones_SQ, ())


def evidence(monkeypatch: pytest.MonkeyPatch, share: Share) -> Evidence:
    """The study's findings where each variant is right as often as `share` says."""
    rng = np.random.default_rng(0)

    def groups(design: object, cell: Cell) -> Mapping[str, Group]:
        return {
            name: Group(name, "tiny", (), (), {cell.name: outcomes(share(name, cell), rng)}, pd.DataFrame())
            for name in (*ALWAYS, START)
        }

    monkeypatch.setattr(effects, "_groups", groups)
    return gather(design())


def design() -> effects.Design:
    return make_design(Path("study"), NUM_SEEDS, variants=ALWAYS)


@pytest.mark.parametrize(
    ("method", "headline"), [(0.8, "Yes, here"), (0.3, "No: here"), (0.55, "Not that could be seen")]
)
def test_the_answer_falls_as_the_figures_do(
    method: float, headline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evidence(monkeypatch, lambda name, cell: method if name == METHOD else 0.55)
    assert next(answers(design(), found)).startswith(f"**{headline}")


def test_every_cell_is_judged_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = evidence(monkeypatch, lambda name, cell: 0.8 if name == METHOD and cell.gap else 0.5)
    verdicts = {cell.gap: found.effect(METHOD, cell.name).verdict for cell in CELLS}
    assert verdicts == {0: "undecided", 1: "better"}


def test_a_contrast_is_the_change_of_the_effect_in_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """+30 points where the gap is 1, none where it is 0: the effect changes by 30."""
    found = evidence(monkeypatch, lambda name, cell: 0.8 if name == METHOD and cell.gap else 0.5)
    contrasts = {effect.where: effect.difference for effect in found.contrasts if effect.variant == METHOD}
    assert contrasts[GAP].mean == pytest.approx(0.3, abs=0.05)
    assert contrasts[GAP].low < 0.3 < contrasts[GAP].high
    assert contrasts[LENGTH].low < 0 < contrasts[LENGTH].high


def test_the_method_is_compared_with_the_checkpoint_it_starts_from(monkeypatch: pytest.MonkeyPatch) -> None:
    found = evidence(monkeypatch, lambda name, cell: {METHOD: 0.7, START: 0.5}.get(name, 0.9))
    assert found.effect(METHOD, POOLED, TO_START).difference.mean == pytest.approx(0.2, abs=0.05)
    assert found.effect(METHOD, POOLED).difference.mean == pytest.approx(-0.2, abs=0.05)


def test_a_variant_is_compared_within_its_own_format() -> None:
    assert {control_of(name) for name in ("sft", "sftkey", UNTAGGED_CONTROL)} == {UNTAGGED_CONTROL}
    assert {control_of(name) for name in (FIRST_STAGE, METHOD, "dft", CONTROL)} == {CONTROL}


def test_the_second_stage_starts_from_a_stage_that_is_measured_apart() -> None:
    """Its steps are those of the method's first stage, so that both are one checkpoint of the store."""
    whole = design()
    for cell in CELLS:
        for setting in SETTINGS:
            config = whole.config(cell, {METHOD: setting})
            share = config.settings_of(METHOD).stage2_share
            assert whole.start_config(cell, setting).train.amount == round(cell.steps * (1 - share))


def test_every_cell_has_questions_of_its_own_kind() -> None:
    for cell in CELLS:
        benchmark = load_benchmark(cell.name)
        assert benchmark.data.options["gap"] == cell.gap
        assert (benchmark.data.options.get("rationale") == "long") == cell.long


def test_all_shipped_variants_are_in_and_none_twice() -> None:
    assert len(set(all_variants())) == len(all_variants())
    assert make_design(Path("study"), 1).variants == all_variants()


@pytest.mark.parametrize(
    ("cells", "variants", "message"),
    [(["world_numbers"], [], "--cells"), ([], ["sft-tags"], "no variant 'sft-tags'")],
)
def test_what_does_not_exist_is_one_line(cells: list[str], variants: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_design(Path("study"), 1, cells, variants)
