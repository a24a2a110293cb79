"""A variant is one YAML file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tiny import equal_states, state_of

from sftkey_train.objectives import OBJECTIVES
from sftkey_train.settings import TrainSettings
from sftkey_train.spans import Corpus
from sftkey_train.stages import StageNode
from sftkey_train.trainer import train_stage
from sftkey_train.variants import SEGMENTS, load_variant, variant_names
from tasks.errors import InputError

SHIPPED = {"key-tag", "sft", "sft-tag", "sft-tag-x2", "sftkey", "sftkey-tag"}


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
    assert set(variant_names()) == SHIPPED
    for name in variant_names():
        variant = load_variant(name)
        assert variant.name == name
        assert variant.tagged == ("tag" in name)
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
        ({"epochs": True}, "epochs must be a number above 0"),
        ({"epochs": float("inf")}, "epochs must be a number above 0"),
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


def test_a_new_file_trains(
    tmp_path: Path, model, corpus: Corpus, settings: TrainSettings, node_of: Callable[..., StageNode]
) -> None:
    """Adding a variant is one YAML file."""
    stage = {"name": "heavy", "loss": {"answer": 5, "thinking": 0.2}, "learning_rate": 0.01, "epochs": 0.7}
    node = node_of(write(tmp_path, stages=[stage]), settings)
    before = state_of(model)
    result = train_stage(model, corpus, node, settings, lambda metrics: None)
    assert result.history[-1].step == node.num_steps == 2
    assert not equal_states(before, state_of(model))


def test_a_new_objective_is_one_function(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model,
    corpus: Corpus,
    settings: TrainSettings,
    node_of: Callable[..., StageNode],
) -> None:
    def half(logits_NV, targets_N):
        return OBJECTIVES["cross-entropy"](logits_NV, targets_N) / 2

    stages = [{"name": "s", "loss": "response", "epochs": 0.3}]
    whole = node_of(write(tmp_path, stages=stages), settings)
    monkeypatch.setitem(OBJECTIVES, "half", half)
    halved = node_of(write(tmp_path, stages=[{**stages[0], "objective": "half"}]), settings)
    start = state_of(model)
    losses = []
    for node in (whole, halved):
        model.load_state_dict(start)
        losses.append(train_stage(model, corpus, node, settings, lambda metrics: None).history[0].loss)
    assert losses[1] == pytest.approx(losses[0] / 2)
