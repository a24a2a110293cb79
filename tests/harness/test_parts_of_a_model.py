"""A stage may train the last layers alone, or adapters that are merged; what it leaves is a whole model."""

from pathlib import Path

import pytest
import torch
from command_line import call
from safetensors.torch import load_file

from harness.config import load_config
from harness.plan import Plan, make_plan
from leaderboards import read_results
from sftkey_train.model import flops_of, load_for_training
from sftkey_train.settings import TrainSettings
from sftkey_train.stages import StageNode
from tasks.errors import InputError

LORA, LAST = "sft-tag+key-tag-lora", "sft-tag+key-tag-last2"


def arguments(out: Path, variants: str, *more: object) -> list[object]:
    sets = ["train.amount=24", "train.batch_size=4", "train_limit=40", "limit=8", "train.workers=1"]
    return [
        "train-and-eval", "--benchmarks", "world_number_gap1", "--variants", variants, "--seeds", 1,
        "--engine", "hf", "--out", out, *(part for one in sets for part in ("--set", one)), *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    out = tmp_path_factory.mktemp("parts") / "run"
    ran = call(out.parent, *arguments(out, f"sftkey-tag,{LORA},{LAST},{LORA}+sft-tag"))
    assert ran.returncode == 0, ran.stderr
    return make_plan(load_config(out / "config.yaml"))


def stages(plan: Plan, name: str) -> list[StageNode]:
    return [plan.graph.nodes[key] for key in plan.graph.chains[name, 0]]


def changed(plan: Plan, node: StageNode) -> set[str]:
    before, after = (
        load_file(plan.stage_dir / str(key) / "model.safetensors") for key in (node.parent, node.key)
    )
    assert before.keys() == after.keys(), "it leaves a whole model"
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_last_layers_alone_change(plan: Plan) -> None:
    found = changed(plan, stages(plan, LAST)[-1])
    assert {int(name.split(".")[2]) for name in found if ".layers." in name} == {2, 3}
    assert not [name for name in found if "embed" in name]
    assert "model.norm.weight" in found


def test_adapters_are_merged_and_the_next_stage_goes_on_from_there(plan: Plan) -> None:
    found = changed(plan, stages(plan, LORA)[-1])
    assert found
    assert all("_proj." in name for name in found), "LoRA changes linear layers"
    further = stages(plan, f"{LORA}+sft-tag")
    assert any("norm" in name for name in changed(plan, further[2])), "and that trains all of it"


def test_less_training_is_less_compute(plan: Plan) -> None:
    costs = {entry.name: entry.training for entry in read_results(plan.config.out).entries}
    whole, last = costs["sftkey-tag"], costs[LAST]
    assert whole is not None
    assert last is not None
    assert last.tokens_forward == whole.tokens_forward
    assert 0.7 * whole.flops < last.flops < 0.9 * whole.flops, (
        "half of the layers cost a third, in one stage of two"
    )


def test_frozen_layers_cost_a_forward_pass_below_and_half_a_backward_pass_above(plan: Plan) -> None:
    settings, path = TrainSettings(), str(plan.base.path)
    some = load_for_training(path, None, settings, last_layers=2)
    blocks = [sum(one.numel() for one in layer.parameters()) for layer in some.model.layers]
    head, norm = some.lm_head.weight.numel(), some.model.norm.weight.numel()
    assert flops_of(some, 10, 0) == 10 * (2 * sum(blocks[:2]) + 6 * sum(blocks[2:]) + 6 * norm)
    tied = some.config.tie_word_embeddings
    assert flops_of(some, 0, 10) == 10 * (4 if tied else 6) * head
    assert flops_of(load_for_training(path, None, settings), 10, 0) == 10 * 6 * (sum(blocks) + norm)


def test_more_layers_than_there_are_is_one_line(plan: Plan) -> None:
    with pytest.raises(InputError, match=r"last_layers 9: .* has 4 layers"):
        load_for_training(str(plan.base.path), None, TrainSettings(), last_layers=9)


@pytest.mark.parametrize("name", [LORA, LAST])
def test_a_run_of_adapters_has_no_room_for_it(name: str, tmp_path: Path) -> None:
    ran = call(tmp_path, *arguments(tmp_path / "run", name, "--method", "lora"))
    assert ran.returncode == 2
    assert "of its own, which goes with --method full alone" in " ".join(ran.stderr.split())
