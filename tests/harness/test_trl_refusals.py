"""What TRL's stages cannot do is one line, and loses nothing of what was trained before."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from trl_variants import SETS, arguments, online, variant

import sftkey_train.by_trl as by_trl
from harness.config import load_config
from harness.plan import Plan, make_plan
from tasks.errors import InputError


def plan_of(run: Path) -> Plan:
    return make_plan(load_config(run / "config.yaml"))


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([online("grpo", {"overlong": 0.0, "repetition": 0.0, "format": 0.0})], "one of them not 0"),
        ([online("grpo", {"accuracy": 1.0}, samples=1)], "samples must be a whole number from 2"),
        ([online("rloo", {"acuracy": 1.0})], "no reward 'acuracy': did you mean 'accuracy'"),
        ([online("rloo", {"accuracy": 1.0}, normalised=1)], "rloo has no option 'normalised'"),
        ([{"name": "a", "kind": "grpo"}], "reward is missing"),
        ([{"name": "a", "kind": "dpo"}], "a needs a stage of kind sample before it"),
        (
            [{"name": "s", "kind": "sample", "options": {"samples": 1}}, {"name": "a", "kind": "dpo"}],
            "a needs samples in pairs; draw at least 2",
        ),
        ([online("grpo", {"accuracy": 1.0}, samples=100, questions=100)], "its 16 steps are too few for one"),
    ],
)
def test_what_cannot_be_trained_is_one_line(stages: list[dict[str, Any]], said: str, tmp_path: Path) -> None:
    ran = call(tmp_path, *arguments(tmp_path / "run", str(variant(tmp_path, "mine", *stages))))
    assert ran.returncode == 2, ran.stderr
    assert said in " ".join(ran.stderr.split())
    assert ran.stderr.count("error:") == 1


def test_a_stage_without_its_parent_and_without_trl_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = call(tmp_path, *arguments(tmp_path / "run", "grpo"))
    assert ran.returncode == 2
    assert "sft-tag+grpo" in ran.stderr
    monkeypatch.setattr(by_trl, "version", lambda _: "1.0.0")
    ran = call(tmp_path, *arguments(tmp_path / "run", "sft-tag+dr-grpo", "--set", "train.amount=400"))
    assert ran.returncode == 2
    assert "need trl 1.16.0, and there is 1.0.0" in " ".join(ran.stderr.split())


def test_a_reward_that_never_varies_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    stage = online("grpo", {"repetition": 1e-9, "overlong": 0.0})
    stage["options"]["samples"], stage["reward"] = 2, {"soft-format": 1.0}
    ran = call(
        tmp_path,
        *arguments(tmp_path / "run", str(variant(tmp_path, "mine", stage)), "--set", "eval.max_new_tokens=2"),
    )
    assert ran.returncode == 2, ran.stderr
    assert "the reward never varied between the responses to one question" in " ".join(ran.stderr.split())
    plan = plan_of(tmp_path / "run")
    assert plan.is_trained(plan.graph.chains["mine", 0][0]), "the first stage is kept"


def test_moments_that_trl_would_not_take_over_are_refused(tmp_path: Path) -> None:
    path = variant(tmp_path, "mine", online("grpo", {"accuracy": 1.0}))
    config = load_config(settings=["train.optimizer_state=carried", *SETS])
    config = replace(config, variants=[str(path)], benchmarks=["world_number_gap1"], out=tmp_path / "run")
    with pytest.raises(InputError, match="carried: TRL, which trains grpo, begins anew"):
        make_plan(config)
