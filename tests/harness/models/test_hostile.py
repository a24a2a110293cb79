"""Hostile and broken checkpoints: what `inspect` takes `eval` runs, and all else is one line, quickly."""

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import hostile
import pytest
from checkpoints import copied, save_adapter, save_model

import harness.models.checkpoint as checkpoint
import harness.models.inspection as inspection
import sftkey_train.text as text
import tasks.world.generate as world
from harness.config import load_config
from harness.external import External, evaluate_external
from harness.models.inspection import Question, find_folders, inspect
from harness.models.locate import locate_model
from harness.progress import Reporter
from tasks.errors import InputError
from tasks.limits import Limited

KINDS = {
    "files": hostile.FILES,
    "config": hostile.CONFIG,
    "tokenizer": hostile.TOKENIZER,
    "template": hostile.TEMPLATE,
    "adapter": hostile.ADAPTERS,
}
CASES = {f"{kind}: {name}": case for kind, cases in KINDS.items() for name, case in cases.items()}


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    # What is allowed less is refused sooner, and what is made of less data runs sooner.
    monkeypatch.setattr(checkpoint, "SECONDS", 2.0)
    monkeypatch.setattr(inspection, "_SECONDS_OF_REFUSED", 1.0)
    monkeypatch.setattr(text, "_TOKENIZER_SECONDS", 1.5)
    monkeypatch.setattr(text, "_renderer", Limited(text._rendered, 0.5, 0.02, text._TEMPLATE_BYTES))
    monkeypatch.setattr(world, "SPLIT_SIZE", dict.fromkeys(world.SPLIT_SIZE, 20))


@pytest.fixture(scope="module", autouse=True)
def _libraries_are_no_garbage() -> Iterator[None]:
    """Engines collect garbage when they close: a third of a second where torch and its like are looked at."""
    checkpoint.load_libraries(adapter=True)
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model and an adapter on it, with nothing wrong."""
    root = tmp_path_factory.mktemp("good")
    model = save_model(root / "llama", "llama", max_position_embeddings=4096)
    return {
        "model": model,
        "adapter": save_adapter(root / "adapter", model, target_modules=["q_proj", "v_proj"]),
        "cache": root / "cache",
    }


def broken(what: str, good: dict[str, Path], target: Path) -> Path:
    folder = copied(good["adapter" if what.startswith("adapter") else "model"], target)
    CASES[what][0](folder)
    return folder


def inspected(folder: Path) -> list[str]:
    try:
        return list(inspect(find_folders(str(folder)), Question()).refused)
    except InputError as error:
        return [str(error)]


def evaluated(folder: Path, out: Path) -> str | None:
    """What `eval` says where it refuses; None where it has run."""
    flags = {
        "model": str(folder), "benchmarks": "world_choice", "limit": 1, "tags": "none", "out": out,
        "eval.engine": "hf", "eval.max_new_tokens": 3,
    }  # fmt: skip
    try:
        evaluate_external(load_config(None, flags, []), External(), Reporter())
    except InputError as error:
        return str(error)
    return None


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 80


@pytest.mark.parametrize("what", [name for name, (_, word) in CASES.items() if word is not None])
def test_what_eval_would_fail_on_is_refused_with_one_line(
    what: str, good: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(good["cache"]))  # the adapters' base is looked at once
    folder = broken(what, good, tmp_path / "broken")
    began = time.process_time()
    [line] = inspected(folder)
    assert str(CASES[what][1]) in line
    assert line.isprintable()
    assert len(line) < 1000
    assert "broken" in line, "it says where"
    assert ";" in line, "and how to mend it"
    assert time.process_time() - began < 10
    assert not (tmp_path / "ran").exists(), "no code of theirs ran"


@pytest.mark.parametrize("what", [name for name, (_, word) in CASES.items() if word is None])
def test_what_inspect_takes_eval_runs(what: str, good: dict[str, Path], tmp_path: Path) -> None:
    folder = broken(what, good, tmp_path / "odd")
    assert inspected(folder) == []
    assert evaluated(folder, tmp_path / "out") is None


@pytest.mark.parametrize(
    "what",
    [
        "files: a hole",
        "config: a million layers",
        "tokenizer: eos a number",
        "template: draws lots",
        "adapter: r '4'",
    ],
)
def test_eval_says_the_same_line_before_it_says_that_it_begins(
    what: str, good: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken(what, good, tmp_path / "broken")
    assert inspected(folder) == [evaluated(folder, tmp_path / "out")]
    assert "evaluating" not in "".join(capsys.readouterr())
    assert not (tmp_path / "out").exists()


def test_a_template_that_loops_over_a_later_prompt_ends_the_run_with_one_line(
    good: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(good["model"], tmp_path / "broken")
    later = "{% if '8431' not in messages[0].content %}" + hostile.LOOP + "{% endif %}"
    hostile.template(hostile.ASK + later)(folder)
    line = evaluated(folder, tmp_path / "out")
    assert line is not None
    assert "takes more than 0.5 s" in line


def test_a_damaged_view_of_a_folder_is_made_again(good: dict[str, Path], tmp_path: Path) -> None:
    both = copied(good["model"], tmp_path / "both")
    (both / "other.safetensors").write_bytes(b"")
    view = locate_model(str(both))
    assert not (view / "other.safetensors").exists()
    names = sorted(view.iterdir())
    (view / "config.json").unlink()
    (view / "config.json").symlink_to(tmp_path / "gone")
    (view / "tokenizer.json").unlink()
    (view / "extra.safetensors").write_bytes(b"")
    assert locate_model(str(both)) == view
    assert sorted(view.iterdir()) == names
    assert (view / "config.json").read_bytes() == (both / "config.json").read_bytes()
