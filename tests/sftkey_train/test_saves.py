"""A stage that was killed goes on from its last whole save, as if nothing had been."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import V, equal_states, lora_model, tiny_model, train, with_settings

from sftkey_train.corpus import Corpus
from sftkey_train.settings import TrainSettings
from sftkey_train.stages import StageNode
from sftkey_train.stored import PROGRESS, Progress, StageResult, StepMetrics, latest_save
from sftkey_train.trainer import train_stage

NodeOf = Callable[..., StageNode]


class Killed(Exception):
    """In the place of a lost machine."""


@pytest.fixture
def long(settings: TrainSettings) -> TrainSettings:
    """Nine steps with accumulation, a save after each."""
    return replace(settings, epochs=3, micro_batch_size=4, save_minutes=0.0)


def lines_of(result: StageResult) -> list[str]:
    """The history without its times; as text, because not-a-number does not equal itself."""
    return [str({**asdict(line), "wall_seconds": 0}) for line in result.history]


def killed_at(step: int, corpus: Corpus, node: StageNode, model: torch.nn.Module, **more: Any) -> None:
    """Trains until the line of history after a step."""

    def kill(metrics: StepMetrics) -> None:
        if metrics.step >= step:
            raise Killed

    with pytest.raises(Killed):
        train_stage(model, corpus, node, kill, **more)


def model_of(method: str) -> torch.nn.Module:
    return lora_model(lora_dropout=0.3) if method == "lora with dropout" else tiny_model(V)


@pytest.mark.parametrize("log_every", [1, 4])
@pytest.mark.parametrize(("method", "variant"), [("full", "sft-tag"), ("lora with dropout", "sftkey-tag")])
def test_a_killed_stage_goes_on_bit_for_bit(
    tagged: Corpus,
    node_of: NodeOf,
    long: TrainSettings,
    tmp_path: Path,
    log_every: int,
    method: str,
    variant: str,
) -> None:
    """Weights, history, losses and tokens; also where the last save lies between two lines of history."""
    node = node_of(variant, replace(long, log_every=log_every))
    whole_state, whole = train(tagged, with_settings(node, save_minutes=99.0), model_of(method))
    killed_at(4, tagged, node, model_of(method), scratch=tmp_path)
    assert latest_save(tmp_path) == tmp_path / "checkpoint-3"
    state, result = train(tagged, node, model_of(method), scratch=tmp_path)
    assert equal_states(state, whole_state)
    assert lines_of(result) == lines_of(whole)
    assert replace(result.cost, wall_seconds=0) == replace(whole.cost, wall_seconds=0)
    assert (result.cost.tokens_forward, result.cost.tokens_loss) == (node.tokens_forward, node.tokens_loss)


def test_a_stage_may_be_killed_again_and_again(
    tagged: Corpus, node_of: NodeOf, long: TrainSettings, tmp_path: Path
) -> None:
    node = node_of("sft-tag", replace(long, log_every=1))
    for step in (2, 3, 7, 9):
        killed_at(step, tagged, node, tiny_model(V, seed=step), scratch=tmp_path)
    state, result = train(tagged, node, tiny_model(V, seed=99), scratch=tmp_path)
    whole_state, whole = train(tagged, node, tiny_model(V, seed=2))
    assert equal_states(state, whole_state)
    assert lines_of(result) == lines_of(whole)


@pytest.mark.parametrize(("refresh", "saved_at"), [(3, 6), (4, 4)])
def test_psft_is_saved_when_its_old_model_is_due(
    tagged: Corpus, node_of: NodeOf, long: TrainSettings, tmp_path: Path, refresh: int, saved_at: int
) -> None:
    """Between two renewals a save would lack the old weights, so there is none."""
    node = node_of("psft", replace(long, log_every=1))
    options = tuple({**dict(node.stage.options), "refresh": float(refresh)}.items())
    node = replace(node, stage=replace(node.stage, options=options))
    killed_at(8, tagged, node, tiny_model(V), scratch=tmp_path)
    assert latest_save(tmp_path) == tmp_path / f"checkpoint-{saved_at}"
    state, result = train(tagged, node, tiny_model(V), scratch=tmp_path)
    whole_state, whole = train(tagged, node, tiny_model(V))
    assert equal_states(state, whole_state)
    assert lines_of(result) == lines_of(whole)


@pytest.mark.parametrize("damage", ["no progress", "unfinished progress"])
def test_a_half_written_save_is_none(
    tagged: Corpus, node_of: NodeOf, long: TrainSettings, tmp_path: Path, damage: str
) -> None:
    node = node_of("sft-tag", replace(long, log_every=1))
    killed_at(4, tagged, node, tiny_model(V), scratch=tmp_path)
    half = tmp_path / "checkpoint-5"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    if damage == "unfinished progress":
        (half / f".{PROGRESS}.ab12.part").write_text('{"history"')
    assert latest_save(tmp_path) == tmp_path / "checkpoint-3"
    state, _ = train(tagged, node, tiny_model(V), scratch=tmp_path)
    assert equal_states(state, train(tagged, node)[0])


def test_only_the_last_save_is_kept_and_the_end_of_a_stage_is_none(
    tagged: Corpus, node_of: NodeOf, long: TrainSettings, tmp_path: Path
) -> None:
    train(tagged, node_of("sft-tag", long), scratch=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-8"]


def test_without_leave_nothing_is_saved(
    tagged: Corpus, node_of: NodeOf, long: TrainSettings, tmp_path: Path
) -> None:
    train(tagged, node_of("sft-tag", replace(long, save_minutes=99)), scratch=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_adapter_is_saved_without_its_base(
    tagged: Corpus, node_of: NodeOf, long: TrainSettings, tmp_path: Path
) -> None:
    train(tagged, node_of("sft-tag", long), lora_model(), scratch=tmp_path)
    assert (tmp_path / "checkpoint-8" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "checkpoint-8" / "model.safetensors").exists()


def test_time_before_the_kill_counts(
    tagged: Corpus, node_of: NodeOf, long: TrainSettings, tmp_path: Path
) -> None:
    node = node_of("sft-tag", replace(long, log_every=1))
    killed_at(4, tagged, node, tiny_model(V), scratch=tmp_path)
    saved = tmp_path / "checkpoint-3"
    progress = Progress.read(saved)
    assert progress.wall_seconds > 0
    replace(progress, wall_seconds=1000.0).complete(tmp_path, 3)
    _, result = train(tagged, node, tiny_model(V), scratch=tmp_path)
    assert 1000 < result.cost.wall_seconds < 1100
    times = [line.wall_seconds for line in result.history]
    assert times[2] < 100 < 1000 < times[3] < times[8]


def test_progress_is_read_as_it_was_written(tmp_path: Path) -> None:
    line = StepMetrics(3, 9, 1 / 3, 0.1, float("nan"), 0.2, 1e-3, 77, 1.5)
    progress = Progress((line,), 77, 33, 1.5, 2.0)
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-10").mkdir()
    progress.complete(tmp_path, 10)
    assert str(Progress.read(latest_save(tmp_path))) == str(progress)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-10"]


def test_the_tenth_step_comes_after_the_ninth(tmp_path: Path) -> None:
    whole_saves(tmp_path, 9, 10)
    assert latest_save(tmp_path) == tmp_path / "checkpoint-10"
    assert latest_save(tmp_path / "nowhere") is None


def whole_saves(scratch: Path, *steps: int) -> None:
    """Saves of several steps, as a kill before the removal of the earlier ones leaves them."""
    progress = Progress((), 1, 1, 0.0, 1.0)
    for step in steps:
        (scratch / f"checkpoint-{step}").mkdir()
        (scratch / f"checkpoint-{step}" / "optimizer.pt").write_bytes(b"state" * 99)
        progress.complete(scratch, step)
        shutil.copytree(scratch / f"checkpoint-{step}", scratch / f"kept-{step}")
    for step in steps[:-1]:
        (scratch / f"kept-{step}").rename(scratch / f"checkpoint-{step}")
    shutil.rmtree(scratch / f"kept-{steps[-1]}")


@pytest.mark.parametrize("name", ["optimizer.pt", PROGRESS, "seal.json"])
@pytest.mark.parametrize("damage", ["emptied", "flipped", "gone", "another's"])
def test_a_damaged_save_is_dropped_with_a_line_and_the_one_before_taken(
    tmp_path: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "key").mkdir()
    whole_saves(tmp_path / "key", 3, 12)
    path = tmp_path / "key" / "checkpoint-12" / name
    raw = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "another's":
        (tmp_path / "other").mkdir()
        whole_saves(tmp_path / "other", 12)
        shutil.rmtree(path.parent)
        (tmp_path / "other" / "checkpoint-12").rename(path.parent)
    else:
        path.write_bytes(b"" if damage == "emptied" else bytes([raw[0] ^ 1]) + raw[1:])
    with caplog.at_level(logging.WARNING, "harness"):
        assert latest_save(tmp_path / "key") == tmp_path / "key" / "checkpoint-3"
    said = "" if damage == "gone" and name == PROGRESS else "so what it had saved is trained again"
    assert said in caplog.text
    assert [one.name for one in (tmp_path / "key").iterdir()] == ["checkpoint-3"]
