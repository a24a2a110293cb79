"""Stored folders: believed as they were written, seen through when they are not, and made again."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.leases import clear_leftovers
from tasks.seals import SEAL, fault, is_whole, kept, own_fault, remembered, sha256_of, whole_folder


def make(directory: Path, text: str = "weights") -> Path:
    with whole_folder(directory) as folder:
        (folder / "a.bin").write_text(text)
        (folder / "sub").mkdir()
        (folder / "sub" / "b.json").write_text('{"b": 1}')
    return directory


def flip(path: Path, at: int = 3) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 4
    path.write_bytes(raw)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit flipped": lambda folder: flip(folder / "a.bin"),
    "a bit flipped, its times set back": lambda folder: _as_before(folder / "a.bin", flip),
    "cut short": lambda folder: (folder / "a.bin").write_text("wei"),
    "emptied": lambda folder: (folder / "sub" / "b.json").write_text(""),
    "longer": lambda folder: (folder / "a.bin").write_text("weights and more"),
    "gone": lambda folder: (folder / "a.bin").unlink(),
    "a folder of it gone": lambda folder: shutil.rmtree(folder / "sub"),
    "one file more": lambda folder: (folder / "c.safetensors").write_text("x"),
    "a folder in the place of a file": lambda folder: (
        (folder / "a.bin").unlink(),
        (folder / "a.bin").mkdir(),
    ),
    "without a seal": lambda folder: (folder / SEAL).unlink(),
    "an empty seal": lambda folder: (folder / SEAL).write_text(""),
    "a seal of nothing": lambda folder: (folder / SEAL).write_text("{}"),
    "a seal that is a list": lambda folder: (folder / SEAL).write_text("[]"),
    "a seal of lists": lambda folder: (folder / SEAL).write_text('{"folder": 1, "files": [], "sha256": []}'),
    "a seal that speaks of less": lambda folder: _without_a_file(folder / SEAL),
    "a bit of the seal flipped": lambda folder: flip(folder / SEAL, 30),
    "a folder for a seal": lambda folder: ((folder / SEAL).unlink(), (folder / SEAL).mkdir()),
}


def _as_before(path: Path, damage: Callable[[Path], object]) -> None:
    state = path.stat()
    damage(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def _without_a_file(path: Path) -> None:
    sealed = json.loads(path.read_text())
    del sealed["files"]["a.bin"]
    (path.parent / "a.bin").unlink()
    path.write_text(json.dumps(sealed))


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_damage_is_seen_said_and_mended(
    tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make(tmp_path / "key")
    assert fault(folder) is None
    damage(folder)
    assert fault(folder)
    assert not is_whole(folder)
    with caplog.at_level(logging.WARNING, "harness"):
        kept(folder, lambda: make(folder), "the stage")
    assert fault(folder) is None
    assert (folder / "a.bin").read_text() == "weights"
    [said] = caplog.messages
    assert str(folder) in said
    assert "the stage is made again" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key"]


def test_a_folder_in_the_place_of_another_is_seen(tmp_path: Path) -> None:
    one, other = make(tmp_path / "one", "1"), make(tmp_path / "other", "2")
    one.rename(tmp_path / "x")
    other.rename(one)
    assert fault(one) == "it is other in another's place"


def test_of_a_checkpoint_only_what_is_ours_must_be_as_it_was(tmp_path: Path) -> None:
    folder = make(tmp_path / "key")
    (folder / "README.md").write_text("a card")
    (folder / "more.txt").write_text("x")
    assert own_fault(folder) is None
    flip(folder / "a.bin", 0)
    assert own_fault(folder) == "a.bin is damaged"
    folder.rename(tmp_path / "mine")
    assert own_fault(tmp_path / "mine") is None  # a copy is its owner's
    (tmp_path / "mine" / SEAL).write_text("")
    assert own_fault(tmp_path / "mine") == f"{SEAL} is damaged"
    (tmp_path / "mine" / SEAL).unlink()
    assert own_fault(tmp_path / "mine") is None


def test_a_file_or_a_dangling_link_in_the_place_of_a_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        place = tmp_path / name
        assert is_whole(kept(place, lambda place=place: make(place), "it"))


def test_a_card_may_be_added(tmp_path: Path) -> None:
    folder = make(tmp_path / "key")
    (folder / "README.md").write_text("a card")
    (folder / ".eval_results").mkdir()
    (folder / ".eval_results" / "x.yaml").write_text("a: 1")
    assert fault(folder) is None


def test_a_whole_folder_is_not_made_again(tmp_path: Path) -> None:
    folder = make(tmp_path / "key")
    kept(folder, lambda: pytest.fail("made again"), "it")


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> None:
        with whole_folder(tmp_path / "key") as folder:
            (folder / "a").write_text("x")
            raise KeyError("x")

    with pytest.raises(KeyError):
        kept(tmp_path / "key", broken, "it")
    assert not list(tmp_path.iterdir())


WAITS = """
import sys, time
from pathlib import Path
from tasks.seals import kept, whole_folder
place, log = map(Path, sys.argv[1:])

def make():
    with log.open("a") as file:
        file.write("made\\n")
    with whole_folder(place) as folder:
        time.sleep(0.5)
        (folder / "a").write_text("x")

kept(place, make, "the stage")
print((place / "a").read_text())
"""


def test_of_four_processes_one_makes_and_three_wait(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WAITS, str(tmp_path / "key"), str(tmp_path / "log")]
    running = [subprocess.Popen(command, stdout=-1, stderr=-1, text=True) for _ in range(4)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0] * 4, outputs
    assert (tmp_path / "log").read_text() == "made\n"
    assert [out for out, _ in outputs] == ["x\n"] * 4
    waited = [err for _, err in outputs if err]
    # Another process, where the maker has the lock and has not yet written its number into it.
    said = re.compile(r"waiting for (?:another )?process\b.*the stage")
    assert all(said.search(err) for err in waited)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "log"]


def test_a_killed_maker_is_succeeded_and_its_leftovers_go(tmp_path: Path) -> None:
    slow = WAITS.replace("time.sleep(0.5)", "print('begun', flush=True); time.sleep(60)")
    command = [sys.executable, "-c", slow, str(tmp_path / "key"), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert clear_leftovers(tmp_path) == []  # its owner lives
        assert len(list(tmp_path.glob(".*"))) == 2
        process.kill()
    removed = clear_leftovers(tmp_path)
    assert len(removed) == 2
    kept(tmp_path / "key", lambda: make(tmp_path / "key"), "it")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "log"]


def test_a_memory_is_believed_only_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    found = [remembered("vetted", "state", lambda: "digest") for _ in range(2)]
    assert found == ["digest"] * 2
    assert remembered("vetted", "state", lambda: "another") == "digest"
    [memory] = (tmp_path / "vetted").iterdir()
    whole = memory.read_text()
    for text in ("", "digest", "{}", "[]", whole.replace("digest", "gidest"), whole[:-3]):
        memory.write_text(text)
        assert remembered("vetted", "state", lambda: "found again") == "found again"
    assert remembered("vetted", "other", lambda: "of another") == "of another"
    paths = sorted((tmp_path / "vetted").iterdir())
    shutil.copy(paths[0], paths[1])
    assert {remembered("vetted", name, lambda: "new") for name in ("state", "other")} & {"new"}


def test_a_large_file_is_read_once_for_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tasks.seals._LARGE", 4)
    (tmp_path / "a").write_text("weights")
    first = sha256_of(tmp_path / "a")
    assert len(list((tmp_path / "cache" / "digests").iterdir())) == 1
    _as_before(tmp_path / "a", flip)
    assert sha256_of(tmp_path / "a") != first
    assert len(list((tmp_path / "cache" / "digests").iterdir())) == 2
