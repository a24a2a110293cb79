"""TRL's stages train on the harness's own prompts, verdicts and budget, and go on exactly from a save."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import call
from mini import SETTINGS, needs_vllm
from trl_variants import arguments, online, variant

import harness.jobs
import harness.rollouts as rollouts
import sftkey_train.by_trl as by_trl
from harness.config import load_config
from harness.plan import Plan, make_plan
from harness.rollouts import asked_of, pairs_of
from leaderboards import read_results
from sftkey_train.by_trl import Questions, train_by_trl
from sftkey_train.stages import StageNode
from sftkey_train.stored import StepMetrics, read_cost, read_history

pytestmark = pytest.mark.heavy  # each worker trains all kinds first
PAIRS = [
    {
        "name": "draw",
        "kind": "sample",
        "options": {"samples": 4},
        "reward": {"tag-count": 1.0, "accuracy": 1.0},
    },
    {"name": "prefer", "kind": "dpo"},
]
STAGES: dict[str, list[dict[str, Any]]] = {
    "mine-grpo": [online("grpo", {"tag-count": 1.0, "accuracy": 0.0, "log-prob": 0.1})],
    "mine-dr": [online("dr-grpo", {"tag-count": 1.0, "cosine-length": 1.0}, normalised=1, beta=0.1)],
    "mine-rloo": [online("rloo", {"tag-count": 1.0, "cosine-length": 0.5}, beta=0.05)],
    "mine-dpo": PAIRS,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all four kinds, beside plain SFT of the same budget."""
    folder = tmp_path_factory.mktemp("trl")
    paths = [str(variant(folder, name, *stages)) for name, stages in STAGES.items()]
    ran = call(folder, *arguments(folder / "run", ",".join([*paths, "sft-tag"])))
    assert ran.returncode == 0, ran.stderr
    return folder / "run"


def plan_of(run: Path) -> Plan:
    return make_plan(load_config(run / "config.yaml"))


def last_node(plan: Plan, name: str) -> StageNode:
    return plan.graph.nodes[plan.graph.chains[name, 0][-1]]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_moves_the_weights_and_tells_of_every_step(trained: Path, name: str) -> None:
    from safetensors.torch import load_file

    plan = plan_of(trained)
    node = last_node(plan, name)
    before, after = (
        load_file(plan.stage_dir / str(key) / "model.safetensors") for key in (node.parent, node.key)
    )
    assert any(not torch.equal(before[key], after[key]) for key in before)
    history = read_history(plan.stage_dir / node.key)
    assert [line.step for line in history] == list(range(1, node.num_steps + 1))
    assert all(line.loss == line.loss and line.reward == line.reward for line in history)
    assert all(line.entropy > 0 for line in history)
    wanted = {reward for reward, _ in node.stage.rewards} or {"chosen", "rejected"}
    assert all(set(line.rewards) == wanted for line in history)
    if node.num_questions:
        assert all(0 < line.response_tokens <= 24 for line in history)
        assert all(0 <= line.equal_groups <= 1 for line in history)
        assert all(0 <= line.rewards["tag-count"] <= 1 for line in history)
        assert any(line.kl == line.kl for line in history) == (dict(node.stage.options)["beta"] > 0)


@pytest.mark.parametrize("name", STAGES)
def test_samples_and_reference_are_paid_for_out_of_the_budget(trained: Path, name: str) -> None:
    plan, found = plan_of(trained), read_results(trained)
    costs = {entry.name: entry.training for entry in found.entries}
    mine, plain = costs[name], costs["sft-tag"]
    assert mine is not None
    assert plain is not None
    node = last_node(plan, name)
    own = read_cost(plan.stage_dir / node.key)
    assert own.tokens_forward > own.tokens_loss > 0
    asks, draws = dict(node.stage.options)["beta"] > 0, node.num_questions > 0
    assert own.reference_tokens == asks * own.tokens_forward
    assert own.sampled_tokens == draws * own.tokens_forward
    assert mine.reference_tokens == own.reference_tokens
    assert mine.sampled_tokens > 0
    # Responses are at most 24 tokens, which the reckoning does not know: never more than the plain variant.
    assert 0.3 * plain.flops < mine.total_flops < 1.1 * plain.flops


def test_a_rerun_trains_nothing(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(harness.jobs, "_train", refuse)
    ran = call(trained.parent, "train-and-eval", "--config", trained / "config.yaml", "--out", trained)
    assert ran.returncode == 0, ran.stderr


def test_what_is_judged_is_what_was_drawn_of_the_questions_that_were_asked(
    trained: Path, tmp_path: Path
) -> None:
    """Each reward is that of its response: recomputed here from the text, one by one."""
    plan = plan_of(trained)
    node = last_node(plan, "mine-grpo")
    asked, seen = asked_of(plan, node), []

    def judge(model: torch.nn.Module, numbers: Any, responses: Any) -> Any:
        found = asked.judge(model, numbers, responses)
        seen.append((list(numbers), [list(one) for one in responses], found))
        return found

    train(plan, node, replace(asked, judge=judge), tmp_path)
    tokenizer, tags = plan.paths[node.tags].tokenizer, ("<Thinking>", "</Thinking>", "<Answer>", "</Answer>")
    assert len(seen) == node.num_steps
    for numbers, responses, found in seen:
        assert [numbers[i : i + 4] for i in (0, 4)] == [[n] * 4 for n in dict.fromkeys(numbers)]
        for ids, parts in zip(responses, found, strict=True):
            text = tokenizer.decode(ids, skip_special_tokens=True)
            assert parts["tag-count"] == sum(text.count(tag) == 1 for tag in tags) / 4
            assert -20 <= parts["log-prob"] <= 0
    assert [number for numbers, *_ in seen for number in dict.fromkeys(numbers)] == list(range(2 * len(seen)))


def train(plan: Plan, node: StageNode, learns_from: Any, scratch: Path) -> tuple[Any, list[StepMetrics]]:
    lines: list[StepMetrics] = []
    model = harness.jobs._load(plan, node.parent, node)
    tokenizer = plan.paths[node.tags].tokenizer
    result = train_by_trl(model, tokenizer, learns_from, node, lines.append, scratch=scratch)
    return {name: value.clone() for name, value in model.state_dict().items()}, list(result.history)


def comparable(history: list[StepMetrics]) -> list[str]:
    return [repr(replace(line, wall_seconds=0.0)) for line in history]


@pytest.mark.parametrize("name", STAGES)
def test_the_same_seed_gives_the_same_weights_and_another_draws_otherwise(
    trained: Path, name: str, tmp_path: Path
) -> None:
    plan = plan_of(trained)
    node = last_node(plan, name)
    learns_from = harness.jobs._learns_from(plan, node)
    first, history = train(plan, node, learns_from, tmp_path / "a")
    second, again = train(plan, node, learns_from, tmp_path / "b")
    assert comparable(history) == comparable(again)
    assert all(torch.equal(first[key], second[key]) for key in first)
    if node.num_questions:
        _, other = train(plan, replace(node, seed=1), learns_from, tmp_path / "c")
        assert comparable(history) != comparable(other)


@pytest.mark.parametrize("name", STAGES)
def test_a_killed_stage_goes_on_exactly_from_its_save(
    trained: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(trained)
    node = last_node(plan, name)
    often = replace(node, settings=replace(node.settings, save_minutes=1e-9))
    learns_from = harness.jobs._learns_from(plan, node)
    whole, history = train(plan, node, learns_from, tmp_path / "whole")
    own = by_trl._ByTrl.log

    def killed(self: Any, logs: Any, *args: Any) -> None:
        own(self, logs, *args)
        if "loss" in logs and self.state.global_step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(by_trl._ByTrl, "log", killed)
        with pytest.raises(KeyboardInterrupt):
            train(plan, often, learns_from, tmp_path / "killed")
    assert list((tmp_path / "killed").glob("checkpoint-1"))
    again, lines = train(plan, often, learns_from, tmp_path / "killed")
    assert comparable(lines) == comparable(history)
    assert all(torch.equal(whole[key], again[key]) for key in whole)


@pytest.mark.parametrize("name", ["mine-dr", "mine-dpo"])
def test_adapters_are_trained_against_themselves_and_saved_alone(
    trained: Path, name: str, tmp_path: Path
) -> None:
    """TRL lays a copy of the adapter beside it, which is no part of what is saved."""
    path = trained.parent / f"{name}.yaml"
    ran = call(tmp_path, *arguments(tmp_path / "run", str(path), "--method", "lora"))
    assert ran.returncode == 0, ran.stderr
    plan = plan_of(tmp_path / "run")
    node = last_node(plan, name)
    folder = plan.stage_dir / node.key
    assert not [one for one in folder.rglob("*") if "ref" in one.name]
    history = read_history(folder)
    assert history[0].rewards
    if name == "mine-dr":
        assert history[0].kl == pytest.approx(0, abs=1e-5), "it begins as what it is held against"


def test_nothing_but_the_weights_is_changed(trained: Path) -> None:
    plan = plan_of(trained)
    for name in STAGES:
        node = last_node(plan, name)
        for file in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
            before, after = (plan.stage_dir / str(key) / file for key in (node.parent, node.key))
            assert before.read_text() == after.read_text(), (name, file)


def test_pairs_are_a_right_and_a_wrong_response_to_one_question(trained: Path) -> None:
    plan = plan_of(trained)
    node = last_node(plan, "mine-dpo")
    pairs, tokenizer = pairs_of(plan, node), plan.paths[node.tags].tokenizer
    assert pairs
    for pair in pairs:
        assert tokenizer.decode(pair.prompt).startswith("")
        assert pair.chosen != pair.rejected


def test_questions_are_asked_in_the_seeds_order_and_others_draw_the_responses(
    trained: Path, tmp_path: Path
) -> None:
    """What stands in the place of vLLM: somebody else, who is told which questions, and at which step."""
    plan = plan_of(trained)
    node = last_node(plan, "mine-rloo")
    asked = asked_of(plan, node)
    told: list[tuple[list[int], int]] = []
    end = plan.paths[node.tags].tokenizer.eos_token_id

    def draw(model: torch.nn.Module, numbers: Any, step: int) -> list[list[int]]:
        told.append((list(numbers), step))
        return [[5 + place, *range(20, 22 + place), end] for place in range(len(numbers))]

    def judge(model: torch.nn.Module, numbers: Any, responses: Any) -> Any:
        assert [one[0] for one in responses] == list(range(5, 5 + len(numbers)))
        return [{"tag-count": place % 2, "cosine-length": 0.0} for place in range(len(numbers))]

    drawn = Questions(asked.prompts, asked.max_new_tokens, asked.stop_ids, judge, draw)
    _, history = train(plan, node, drawn, tmp_path)
    assert [step for _, step in told] == list(range(node.num_steps))
    assert all(line.reward == pytest.approx(0.5) for line in history)
    assert history[0].response_tokens == pytest.approx(sum(4 + place for place in range(8)) / 8)


@pytest.mark.parametrize("kind", ["grpo", "dr-grpo", "rloo"])
def test_what_is_rewarded_becomes_more_frequent(trained: Path, kind: str, tmp_path: Path) -> None:
    """A token that nothing else asks for: the sign, and which response a reward belongs to."""
    plan = plan_of(trained)
    node = last_node(plan, "mine-rloo" if kind == "rloo" else "mine-dr")
    options = tuple(
        (name, 0.0 if name in ("beta", "normalised") else value) for name, value in node.stage.options
    )
    stage = replace(node.stage, kind=kind, options=options, rewards=(("wanted", 1.0),))
    node = replace(node, stage=stage, num_steps=16, learning_rate=2e-3, warmup_steps=0)
    asked = asked_of(plan, replace(node, stage=replace(stage, rewards=())))
    wanted = plan.paths[node.tags].tokenizer.encode(" 7", add_special_tokens=False)[-1]

    def judge(model: torch.nn.Module, numbers: Any, responses: Any) -> Any:
        return [{"wanted": float(list(ids).count(wanted))} for ids in responses]

    _, history = train(plan, node, replace(asked, judge=judge), tmp_path)
    before, after = history[:4], history[-4:]
    assert sum(line.reward for line in after) > 2 * sum(line.reward for line in before) + 1


@needs_vllm
@pytest.mark.parametrize("method", ["full", "lora"])
def test_vllm_draws_from_the_weights_as_they_stand_with_a_seed_for_each_response(
    trained: Path, method: str
) -> None:
    """On a GPU it does so beside the training; here it is asked by hand."""
    plan = plan_of(trained)
    plan = replace(
        plan, config=replace(plan.config, eval=replace(plan.config.eval, engine_settings=SETTINGS))
    )
    node = last_node(plan, "mine-grpo")
    node = replace(node, settings=replace(node.settings, method=method))
    asked = asked_of(plan, node)
    draw = rollouts._VllmDraws(plan, node, asked.judge.requests)
    model = harness.jobs._load(plan, node.parent if method == "full" else None, node)
    if method == "lora":
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weights, std=0.02)
    numbers = [0, 0, 0, 0, 1, 1, 1, 1]
    state = torch.random.get_rng_state()
    try:
        first, again, later = draw(model, numbers, 0), draw(model, numbers, 0), draw(model, numbers, 1)
        assert torch.equal(state, torch.random.get_rng_state()), "the training's own draws stay what they are"
        assert first == again
        assert first != later
        assert len({tuple(ids) for ids in first[:4]}) > 1, "four responses to one question differ"
        with torch.no_grad():
            for weights in model.parameters():
                if weights.requires_grad:
                    weights.add_(
                        0.05 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(0))
                    )
        assert draw(model, numbers, 0) != first, "it has the new weights"
    finally:
        draw.close()
