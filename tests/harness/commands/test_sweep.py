"""Settings are chosen on validation questions, each variant from the same grid."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from harness.commands.sweep import Tried, _check_grid, _choose, _tuning, default_grid, parse_grid, points_of
from harness.config import load_config
from leaderboards.results.schema import Tuning
from sftkey_train.variants import load_variant
from tasks.errors import InputError


def test_what_matters_to_later_stages_is_not_tried_on_a_single_one() -> None:
    grid = {"learning_rate": (1.0, 2.0), "second_learning_rate": (3.0, 4.0), "stage2_share": (0.25, 0.5)}
    assert points_of(load_variant("sft-tag"), grid) == [(("learning_rate", 1.0),), (("learning_rate", 2.0),)]
    two = points_of(load_variant("sftkey-tag"), grid)
    assert len(two) == len(set(two)) == 8
    assert two[0] == (("learning_rate", 1.0), ("second_learning_rate", 3.0), ("stage2_share", 0.25))


def test_every_variant_has_as_many_trials() -> None:
    """One stage has no share to try: it tries more rates, between the same ends."""
    grid = {"learning_rate": (1e-4, 1e-3), "stage2_share": (0.25, 0.5), "weight": (2.0, 5.0)}
    names = ("sftkey-tag", "answer-weighted", "sft-tag", "sft-tag+answer-weighted")
    points = {name: points_of(load_variant(name), grid, 8) for name in names}
    assert {len(set(own)) for own in points.values()} == {8}
    assert {dict(point).get("weight") for point in points["answer-weighted"]} == {2.0, 5.0}
    for own in points.values():
        rates = sorted({dict(point)["learning_rate"] for point in own})
        assert (rates[0], rates[-1]) == (1e-4, 1e-3)
    rates = [dict(point)["learning_rate"] for point in points["sft-tag"]]
    ratios = [after / before for before, after in pairwise(rates)]
    assert ratios == pytest.approx([10 ** (1 / 7)] * 7, rel=1e-4)


def test_an_option_of_an_objective_is_a_setting_of_the_variant() -> None:
    """In its stages alone, and in what names a stage."""
    own = {"answer-weighted": {"weight": 7, "learning_rate": 1e-4}}
    names = "answer-weighted,sft-tag+answer-weighted"
    config = load_config(None, {"variants": names, "per_variant": own, "seeds": 1, "limit": 40}, [])
    first, second = config.load_variants()
    assert dict(first.stages[0].options) == {"weight": 7.0}
    assert dict(second.stages[1].options) == {"weight": 3.0}
    assert config.settings_of("answer-weighted").learning_rate == 1e-4
    with pytest.raises(
        InputError, match=r"per_variant\.answer-weighted: unknown setting 'wait': did you mean"
    ):
        load_config(None, {"variants": names, "per_variant": {"answer-weighted": {"wait": 1}}}, [])
    with pytest.raises(InputError, match="option weight must be a number of at least 0, not -1"):
        load_config(
            None, {"variants": names, "per_variant": {"answer-weighted": {"weight": -1}}}, []
        ).load_variants()


def test_a_value_that_no_run_may_have_is_refused_before_a_point_is_tried() -> None:
    """Of a setting or of an option: else hours of points would be tried before it."""
    config = load_config(None, {"variants": "answer-weighted"}, [])
    for grid, message in (
        ({"weight": (1.0, -1.0)}, "option weight"),
        ({"learning_rate": (-1.0,)}, "learning_rate"),
    ):
        with pytest.raises(InputError, match=message):
            _check_grid(config, grid, said=True)


def test_the_usual_grid_is_learning_rate_by_share() -> None:
    grid = default_grid(load_config(None, {}, ["train.learning_rate=0.002"]))
    assert grid == {"learning_rate": (0.001, 0.002, 0.004), "stage2_share": (0.25, 0.5)}


def test_the_best_is_chosen_and_of_equal_ones_the_first() -> None:
    def tried(variant: str, rate: float, metric: float) -> Tried:
        return Tried(variant, (("learning_rate", rate),), metric, 1.0)

    marked = _choose(
        [tried("b", 1, 0.5), tried("a", 1, 0.7), tried("b", 2, 0.5), tried("a", 2, 0.9)], ["a", "b"]
    )
    assert [(one.variant, one.point[0][1], one.chosen) for one in marked] == [
        ("a", 1, False), ("a", 2, True), ("b", 1, True), ("b", 2, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("best", "edges"),
    [((1e-5, 0.25), ("learning_rate",)), ((2e-5, 0.5), ()), ((4e-5, 0.5), ("learning_rate",))],
)
def test_a_ledger_counts_what_was_tried_and_knows_the_grids_edge(
    best: tuple[float, float], edges: tuple[str, ...]
) -> None:
    """Of two shares each would be an edge."""
    tried = [
        Tried(
            "a", (("learning_rate", rate), ("stage2_share", share)), 0.5 + 0.1 * ((rate, share) == best), 1.0
        )
        for rate in (1e-5, 2e-5, 4e-5)
        for share in (0.25, 0.5)
    ]
    tried += [Tried("b", (("learning_rate", 1.0),), 0.9, 1.0)]
    [chosen] = (one for one in tried if one.metric == 0.6)
    assert _tuning(chosen, tried, 3) == Tuning(6, 3, pytest.approx(0.1 - 0.1 / 6, abs=1e-6), edges)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lerning_rate=1", "did you mean 'learning_rate'"),
        ("learning_rate=", "expected numbers, such as learning_rate=1e-5,3e-5"),
        ("learning_rate=a,b", "expected numbers"),
        ("epochs=1,2", "--grid epochs=1,2"),
    ],
)
def test_a_faulty_grid_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_grid([text])


@pytest.mark.heavy
def test_a_sweep_looks_at_validation_alone_and_its_choice_runs(
    harness, tiny_base: Path, tmp_path: Path
) -> None:
    """Two rates for one variant; then the run that the last line names."""
    run = tmp_path / "run"
    given = ["--model", tiny_base, "--benchmarks", "world_number", "--variants", "sftkey-tag", "--seeds", 1]
    small = ["--limit", 16, "--engine", "hf", "--set", "train.batch_size=8", "--set", "eval.max_new_tokens=8"]
    swept = harness("sweep", *given, *small, "--grid", "learning_rate=1e-4,1e-3", "--out", run)
    assert swept.returncode == 0, swept.stderr
    assert f"next: harness train-and-eval --config {run}/chosen.yaml" in swept.stdout
    points = json.loads((run / "sweep.json").read_text())
    assert [point["point"] for point in points] == [{"learning_rate": 1e-4}, {"learning_rate": 1e-3}]
    assert sum(point["chosen"] for point in points) == 1
    for results in run.glob("sweep/*/results.json"):
        stored = json.loads(results.read_text())
        splits = {e["generation"]["split"] for entry in stored["entries"] for e in entry["evaluations"]}
        assert splits == {"validation"}
    final = harness("train-and-eval", "--config", run / "chosen.yaml")
    assert final.returncode == 0, final.stderr
    assert "2 distinct, 2 to train" in final.stdout, "on seeds that the sweep has not seen"
    chosen = next(point["point"] for point in points if point["chosen"])
    stored = json.loads((run / "results.json").read_text())
    stages = {path.name for path in (run / "store" / "stages").iterdir()}
    assert {Path(entry["checkpoint"]).name for entry in stored["entries"]} & stages
    assert f"lr {chosen['learning_rate']:g}" in final.stdout
    tuned = {entry["name"]: entry["tuning"] for entry in stored["entries"]}
    gain = max(point["metric"] for point in points) - sum(point["metric"] for point in points) / 2
    assert tuned == {
        "base": None,
        "sftkey-tag": {"trials": 2, "seeds": 1, "gain": round(gain, 6), "edges": []},
    }
