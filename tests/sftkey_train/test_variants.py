"""A variant is one YAML file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tiny import V, equal_states, state_of, tiny_model, train

from sftkey_train.corpus import Corpus
from sftkey_train.objectives import OBJECTIVES
from sftkey_train.segments import SEGMENTS
from sftkey_train.stages import StageNode
from sftkey_train.variants import load_variant, variant_names
from tasks.errors import InputError

PAPER = {"cot-only", "wit", "key-tag", "sft", "sft-tag", "sft-tag-x2", "sftkey", "sftkey-tag"}
UNTAGGED = {"sft", "sftkey"}
AFTER_SFT = {"key-tag-lora", "key-tag-last2", "rft", "on-policy-key", "dpo", "grpo", "dr-grpo", "rloo"}


def write(tmp_path: Path, **changes: object) -> str:
    """A valid variant file with some fields changed; a field set to None is left out."""
    stage = {"name": "s", "loss": {"answer": 3, "thinking": 0.5}}
    data = {
        "name": "mine",
        "description": "d",
        "source": "here",
        "tagged": True,
        "stages": [stage],
        **changes,
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))
    return str(file)


def write_stage(tmp_path: Path, **changes: object) -> str:
    return write(tmp_path, stages=[{"name": "s", "loss": "key", **changes}])


def error_of(name: str) -> str:
    with pytest.raises(InputError) as raised:
        load_variant(name)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_every_shipped_variant_loads_under_the_name_of_its_file() -> None:
    assert set(variant_names()) == PAPER | AFTER_SFT | (OBJECTIVES.keys() - {"cross-entropy"})
    for name in variant_names():
        variant = load_variant(name)
        assert variant.name == name
        assert variant.tagged == (name not in UNTAGGED)
        assert variant.description
        assert variant.source


def test_the_stages_of_the_paper() -> None:
    sft, key = load_variant("sftkey-tag").stages
    assert dict(zip(SEGMENTS, sft.weights, strict=True)) == {**dict.fromkeys(SEGMENTS, 1), "prompt": 0}
    assert [name for name, weight in zip(SEGMENTS, key.weights, strict=True) if weight] == [
        "answer_tag",
        "answer",
        "end",
    ]
    assert load_variant("key-tag").stages == (key,)
    assert [stage.weights for stage in load_variant("sft-tag-x2").stages] == [sft.weights] * 2


@pytest.mark.parametrize("name", sorted(OBJECTIVES.keys() - {"cross-entropy"}))
def test_every_objective_has_a_variant_that_is_nothing_but_it(name: str) -> None:
    (stage,) = load_variant(name).stages
    objective = OBJECTIVES[name]
    assert (stage.objective, stage.reference) == (name, objective.reference)
    assert dict(stage.options) == objective.options
    assert list(dict(stage.options)) == sorted(objective.options)
    assert bool(stage.weights[0]) == (name == "prompt-loss-weight")
    assert set(stage.weights[1:]) == {1}


def test_a_sum_of_variants_has_the_stages_of_all() -> None:
    both = load_variant("sft-tag+key-tag")
    assert both.stages == load_variant("sftkey-tag").stages
    assert (both.name, both.tagged) == ("sft-tag+key-tag", True)
    assert load_variant("sft-tag+sft-tag").source == load_variant("sft-tag").source
    assert len(load_variant("sft-tag+rho-1+key-tag").stages) == 3


def test_the_parts_of_a_sum_may_be_files_whose_shares_no_longer_count(tmp_path: Path) -> None:
    stages = [{"name": "a", "loss": "key", "share": 0.2}, {"name": "b", "loss": "key", "share": 0.8}]
    mine = write(tmp_path, stages=stages)
    assert [stage.share for stage in load_variant(mine).stages] == [0.2, 0.8]
    assert [stage.share for stage in load_variant(f"{mine}+sft-tag").stages] == [None] * 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sft+key-tag", "joins a tagged and an untagged one"),
        ("sft-tag+ky-tag", "no variant 'ky-tag': did you mean 'key-tag'?"),
        ("sft-tag+", "no variant ''"),
    ],
)
def test_a_wrong_sum_is_one_clear_line(name: str, message: str) -> None:
    assert message in error_of(name)


@pytest.mark.parametrize("name", ["", "base", "../../x", "a\x1b[31m", "[/red]", "=1", "a\nb", 7, True, ["a"]])
def test_a_variant_is_called_by_a_name(tmp_path: Path, name: object) -> None:
    error = error_of(write(tmp_path, name=name))
    assert "mine.yaml: name: " in error
    assert error.isprintable()


def test_a_name_that_is_null_is_none(tmp_path: Path) -> None:
    file = Path(write(tmp_path))
    file.write_text(file.read_text().replace("name: mine", "name: null"))
    assert "mine.yaml: name: null is no name" in error_of(str(file))


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "../variants/sft", "./sft", "sft\0", "base"])
def test_a_variants_name_is_no_path(name: str) -> None:
    assert "no variant " in error_of(name)


def test_a_stage_is_called_by_a_name(tmp_path: Path) -> None:
    assert "stage 1: name: " in error_of(write_stage(tmp_path, name="a\u202eb"))


def test_a_file_may_have_a_plus_in_its_path(tmp_path: Path) -> None:
    (tmp_path / "a+b").mkdir()
    assert load_variant(write(tmp_path / "a+b")).name == "mine"


def test_options_that_are_left_out_have_their_defaults(tmp_path: Path) -> None:
    (stage,) = load_variant(write_stage(tmp_path, objective="iw-sft", options={"clip": "1e1"})).stages
    assert stage.options == (("clip", 10.0), ("temperature", 1.0))
    assert (stage.reference, load_variant("rho-1").stages[0].reference) == ("base", "sft")


def test_another_reference_may_be_named(tmp_path: Path) -> None:
    assert load_variant(write_stage(tmp_path, objective="asft", reference="sft")).stages[0].reference == "sft"


@pytest.mark.parametrize("shares", [[0.5, 0.4], [0.5, None], [1.0, 1.0]])
def test_shares_that_do_not_add_up_are_one_clear_line(tmp_path: Path, shares: list[float | None]) -> None:
    stages = [{"name": "s", "loss": "key", **({"share": share} if share else {})} for share in shares]
    assert "must add up to 1, or be left out" in error_of(write(tmp_path, stages=stages))


def test_a_weight_for_each_segment(tmp_path: Path) -> None:
    (stage,) = load_variant(write(tmp_path)).stages
    assert stage.weights == (0, 0, 0.5, 0, 3, 0)


def test_an_unknown_variant_names_the_nearest() -> None:
    assert "did you mean 'sftkey-tag'?" in error_of("sftkey_tag")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tags": True}, "unknown field 'tags': did you mean 'stages'?"),
        ({"source": None}, "source is missing"),
        ({"tagged": "yes please"}, "tagged must be true or false"),
        ({"stages": []}, "stages must be a list of at least one stage"),
        ({"stages": ["sft"]}, "stage 1: expected name, loss"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    error = error_of(write(tmp_path, **changes))
    assert "mine.yaml" in error
    assert message in error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"los": "key"}, "unknown field 'los': did you mean 'loss'?"),
        ({"loss": "respons"}, "no loss 'respons': did you mean 'response'?"),
        ({"loss": {"anser": 1}}, "no segment 'anser': did you mean 'answer'?"),
        ({"loss": {"answer": -1}}, "the weight of answer must be a number of at least 0"),
        ({"loss": {"answer": True}}, "the weight of answer must be a number of at least 0"),
        ({"loss": {"answer": float("nan")}}, "the weight of answer must be a number of at least 0"),
        ({"loss": {"answer": 0, "end": 0.0}}, "no segment has a weight above 0"),
        ({"loss": {}}, "loss must be one of response, key or a weight for each segment"),
        ({"objective": "cross-entropi"}, "no objective 'cross-entropi': did you mean 'cross-entropy'?"),
        ({"objective": ["cross-entropy"]}, "no objective"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number above 0"),
        ({"learning_rate": 2}, "learning_rate must be a number above 0, and at most 1"),
        ({"loss": {"answer": 1e300}}, "the weight of answer must be a number of at least 0, of 1e-6 to 1e6"),
        ({"loss": {"answer": 1e-300}}, "the weight of answer must be a number of at least 0, of 1e-6 to 1e6"),
        ({"objective": "focal", "options": {"gamma": 1e300}}, "option gamma must be at most 1e6"),
        ({"epochs": 1}, "unknown field 'epochs'"),
        ({"share": True}, "share must be a number above 0"),
        ({"share": float("inf")}, "share must be a number above 0"),
        ({"objective": "focal", "options": {"gama": 1}}, "focal has no option 'gama': did you mean 'gamma'?"),
        ({"objective": "dft", "options": {"gamma": 1}}, "dft has no option 'gamma': it has none"),
        ({"objective": "focal", "options": [2]}, "options must be names and numbers"),
        ({"objective": "focal", "options": {"gamma": "two"}}, "option gamma must be a number of at least 0"),
        ({"objective": "focal", "options": {"gamma": True}}, "option gamma must be a number of at least 0"),
        ({"objective": "rho-1", "options": {"share": 60}}, "option share must be above 0 and at most 1"),
        ({"objective": "dft", "reference": "base"}, "dft needs no reference model; leave reference out"),
        ({"objective": "asft", "reference": "best"}, "no reference 'best': there are base, sft"),
        ({"objective": "asft", "reference": ["sft"]}, "no reference"),
        ({"objective": "asft", "loss": {"prompt": 0.1, "answer": 1}}, "give the prompt no weight"),
    ],
)
def test_a_wrong_stage_is_one_clear_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    error = error_of(write_stage(tmp_path, **changes))
    assert "stage 1" in error
    assert message in error


@pytest.mark.parametrize("content", [b"name: [", b"\xff\xfe\xfa"])
def test_a_file_that_is_not_yaml_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.yaml").write_bytes(content)
    assert "not YAML" in error_of(str(tmp_path / "broken.yaml"))


def test_a_learning_rate_may_be_written_without_a_point(tmp_path: Path) -> None:
    """YAML 1.1 takes 5e-6 for text."""
    assert load_variant(write_stage(tmp_path, learning_rate="5e-6")).stages[0].learning_rate == 5e-6


def test_a_new_file_trains(tmp_path: Path, tagged: Corpus, node_of: Callable[..., StageNode]) -> None:
    """Adding a variant is one YAML file."""
    stage = {"name": "heavy", "loss": {"answer": 5, "thinking": 0.2}, "learning_rate": 0.01}
    node = node_of(write(tmp_path, stages=[stage]))
    state, result = train(tagged, node)
    assert result.history[-1].step == node.num_steps == 3
    assert not equal_states(state, state_of(tiny_model(V)))


def test_samples_are_drawn_with_options_of_their_own(tmp_path: Path) -> None:
    drawn, learned = load_variant("rft").stages
    assert (drawn.kind, dict(drawn.options)) == ("sample", {"samples": 4, "temperature": 1, "top_p": 1})
    assert learned.kind == "rft"
    judged = {"name": "s", "kind": "sample", "reward": {"format": "5e-1", "accuracy": 1}}
    [stage] = load_variant(write(tmp_path, stages=[judged])).stages
    assert stage.rewards == (("accuracy", 1.0), ("format", 0.5))
    assert not any(stage.weights)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"kind": "grop", "loss": "key"}, "no kind 'grop'"),
        ({"kind": "sample", "loss": "key"}, "unknown field 'loss'"),
        ({"kind": "sample", "options": {"samples": 0}}, "samples must be a whole number from 1 to 1000"),
        ({"kind": "sample", "options": {"samples": 2.5}}, "samples must be a whole number"),
        ({"kind": "sample", "options": {"samples": 2, "temperature": 0}}, "2 samples without a temperature"),
        ({"kind": "sample", "options": {"top_p": 0}}, "top_p above 0"),
        ({"kind": "sample", "options": {"beam": 2}}, "sample has no option 'beam'"),
        ({"kind": "sample", "reward": {"acuracy": 1}}, "did you mean 'accuracy'"),
        ({"kind": "sample", "reward": {"accuracy": 0}}, "one of them not 0"),
        ({"kind": "sample", "reward": "accuracy"}, "reward must be names and weights"),
        ({"kind": "rft", "loss": "key", "objective": "rho-1"}, "has not read samples"),
        ({"kind": "rft", "loss": "key", "reward": {"accuracy": 1}}, "unknown field 'reward'"),
    ],
)
def test_a_faulty_stage_of_another_kind_is_one_line(
    tmp_path: Path, stage: dict[str, object], said: str
) -> None:
    assert said in error_of(write(tmp_path, stages=[{"name": "s", **stage}]))
