"""`harness verify`: what is damaged is found, named with what becomes of it, and left as it is."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import typer
from stored_run import ROWS, store

from harness.commands.verify import verify_command
from harness.config import dump_config, load_config
from harness.engines.api import Completion
from harness.evaluation.generations import GenerationStore
from harness.run import report
from harness.verify import verify
from leaderboards.results.store import read_results, write_results
from tasks.errors import InputError
from tasks.seals import remembered, seal, whole_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with one of everything."""
    folder = store(tmp_path_factory.mktemp("made") / "run", ROWS)
    text = dump_config(load_config(flags={"out": folder}))
    written = read_results(folder)
    write_results(folder, written.provenance, written.entries, written.samples, config=text)
    (folder / "config.yaml").write_text(text)
    report([read_results(folder)], folder / "leaderboard")
    for room in ("stages", "references", "evaluations"):
        with whole_folder(folder / "store" / room / "key") as sealed:
            (sealed / "content.bin").write_text(room)
    save = folder / "store" / "partial" / "other" / "checkpoint-3"
    save.mkdir(parents=True)
    (save / "optimizer.pt").write_text("state")
    seal(save, "other/checkpoint-3")
    with GenerationStore(folder / "store" / "generations.sqlite") as completions:
        completions.put("a", Completion("text", "stop", 1, 1), 0.5)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """One to damage."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def alter_a_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE generations SET text = 'other'")
        db.commit()


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_whole_run_is_whole_and_stays_as_it_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(run)
    found = list(verify(run))
    assert [one for one in found if one.fault] == []
    of_a_run = {"results", "configuration", "report"}
    assert of_a_run | {"trained stage", "completions", "save within a stage"} < {one.what for one in found}
    assert state(run) == before
    verify_command(run)
    assert "trained stage" in capsys.readouterr().out


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a stage": ("store/stages/key/content.bin", flip, "makes it again"),
    "a reference": ("store/references/key/content.bin", flip, "makes it again"),
    "an evaluation": ("store/evaluations/key/content.bin", flip, "makes it again"),
    "a save": ("store/partial/other/checkpoint-3/optimizer.pt", flip, "the stage starts without it"),
    "a completion": ("store/generations.sqlite", alter_a_row, "generates them again"),
    "the store": ("store/generations.sqlite", lambda path: path.write_text("x" * 5000), "refuse to begin"),
    "the samples": ("samples.parquet", flip, "refuse it"),
    "the results": ("results.json", flip, "refuse it"),
    "no results": ("results.json", lambda path: path.write_text(""), "refuse it"),
    "the configuration": ("config.yaml", lambda path: path.write_text(""), "take that of the results"),
    "no configuration": ("config.yaml", lambda path: path.unlink(), "take that of the results"),
    "the page": ("leaderboard/leaderboard.html", flip, "writes it again"),
    "the manifest": ("leaderboard/manifest.json", lambda path: path.write_text("[]"), "writes it again"),
}


@pytest.mark.parametrize(("name", "damage", "then"), DAMAGE.values(), ids=list(DAMAGE))
def test_damage_is_named_with_what_becomes_of_it(
    run: Path, capsys: pytest.CaptureFixture[str], name: str, damage: Callable[[Path], object], then: str
) -> None:
    damage(run / name)
    before = state(run)
    [wrong] = [one for one in verify(run) if one.fault]
    assert then in wrong.then
    assert state(run) == before
    with pytest.raises(typer.Exit) as ended:
        verify_command(run)
    assert ended.value.exit_code == 1
    [line] = [line for line in capsys.readouterr().out.splitlines() if then in line]
    in_a_folder = Path(name).name in ("content.bin", "optimizer.pt")
    assert line.startswith(str(wrong.path if in_a_folder else run / name))


def test_left_overs_and_memories_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    with whole_folder(tmp_path / "base" / "key") as folder:
        (folder / "model.safetensors").write_text("weights")
    (tmp_path / "base" / ".other.12ab.partial").mkdir()
    remembered("vetted", "state", lambda: "digest")
    [memory] = (tmp_path / "vetted").iterdir()
    memory.write_text("")
    faults = {one.path.name: one.fault for one in verify(tmp_path) if one.fault}
    assert faults == {memory.name: "cannot be read", ".other.12ab.partial": "its process is dead"}


def test_a_folder_without_anything_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run's folder, no store and no cache"):
        list(verify(tmp_path))
    with pytest.raises(InputError, match="no run's folder"):
        list(verify(tmp_path / "nowhere"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_damage(run: Path) -> None:
    (run / "store" / "stages" / "key" / "content.bin").chmod(0)
    assert [one.path.name for one in verify(run) if one.fault] == ["key"]
