"""The generation store: nothing else hits, and what is put is kept."""

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engines.api import Completion, Sampling
from harness.evaluation.generations import GenerationStore, generation_key
from tasks.errors import InputError

BASE = {
    "weights_digest": "w",
    "prompt": [1, 2, 3],
    "sampling": Sampling(max_new_tokens=8, stop=("x",), temperature=0.5),
    "sample_index": 0,
    "made_by": ("vllm", "vllm 1", "float32", "whole"),
}
SAMPLING: Sampling = BASE["sampling"]


@pytest.mark.parametrize(
    "change",
    [
        {"weights_digest": "v"},
        {"prompt": [1, 2]},
        {"prompt": [12, 3]},
        {"prompt": "[1, 2, 3]"},
        {"sample_index": 1},
        {"made_by": ("hf", "vllm 1", "float32", "whole")},
        {"made_by": ("vllm", "vllm 2", "float32", "whole")},
        {"made_by": ("vllm", "vllm 1", "bfloat16", "whole")},
        {"made_by": ("vllm", "vllm 1", "float32", "beside its base")},
        {"sampling": replace(SAMPLING, max_new_tokens=9)},
        {"sampling": replace(SAMPLING, stop=("y",))},
        {"sampling": replace(SAMPLING, stop=())},
        {"sampling": replace(SAMPLING, stop_ids=(7,))},
        {"sampling": replace(SAMPLING, temperature=0.6)},
        {"sampling": replace(SAMPLING, top_p=0.9)},
        {"sampling": replace(SAMPLING, seed=1)},
    ],
)
def test_whatever_decides_a_completion_changes_its_key(change: dict[str, object]) -> None:
    assert generation_key(**{**BASE, **change}) != generation_key(**BASE)


def test_greedy_decoding_has_no_seed() -> None:
    greedy = replace(SAMPLING, temperature=0.0)
    keys = {generation_key(**{**BASE, "sampling": replace(greedy, seed=seed)}) for seed in range(3)}
    assert len(keys) == 1


def test_a_sample_is_the_same_however_many_are_drawn() -> None:
    assert generation_key(**{**BASE, "sampling": replace(SAMPLING, n=5)}) == generation_key(**BASE)


def test_many_keys_are_found_at_once(tmp_path: Path) -> None:
    """More than SQLite takes in one question."""
    completion = Completion("text", "stop", 1, 1)
    with GenerationStore(tmp_path / "store.sqlite") as store:
        for key in range(0, 2500, 2):
            store.put(str(key), completion, 0.1)
        assert set(store.get(map(str, range(2500)))) == {str(key) for key in range(0, 2500, 2)}


def test_puts_and_gets_any_text(tmp_path: Path) -> None:
    completion = Completion("line\n\x00 U+2028 \u2028 🙂", "length", 5, 6)
    with GenerationStore(tmp_path / "deep" / "store.sqlite") as store:
        store.put("a", completion, 0.5)
        store.put("a", Completion("another", "stop", 1, 1), 0.1)
    with GenerationStore(tmp_path / "deep" / "store.sqlite") as store:
        assert store.get(["a", "b"]) == {"a": (completion, 0.5)}


def test_a_process_killed_after_put_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    code = (
        "import sys, time; from pathlib import Path; from harness.engines.api import Completion\n"
        "from harness.evaluation.generations import GenerationStore\n"
        f"store = GenerationStore(Path({str(path)!r}))\n"
        "for i in range(50): store.put(str(i), Completion('t', 'stop', 1, 1), 0.1)\n"
        "print('done', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        os.kill(process.pid, signal.SIGKILL)
    with GenerationStore(path) as store:
        assert len(store.get(map(str, range(50)))) == 50


DAMAGE = {
    "another text": "text = 'Text 1' WHERE key = '1'",
    "no text": "text = '' WHERE key = '1'",
    "a number for a text": "text = 7 WHERE key = '1'",
    "bytes that are no text": "text = CAST(x'ff00fe' AS TEXT) WHERE key = '1'",
    "another end": "finish_reason = 'length' WHERE key = '1'",
    "other counts": "num_output_tokens = 99 WHERE key = '1'",
    "other seconds": "wall_seconds = 1e9 WHERE key = '1'",
    "another's row": "text = (SELECT text FROM generations WHERE key = '2') WHERE key = '1'",
    "another's row with its checksum": "(text, checksum) = (SELECT text, checksum FROM generations "
    "WHERE key = '2') WHERE key = '1'",
    "no checksum": "checksum = '' WHERE key = '1'",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_a_damaged_row_is_no_row(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    completions = {str(i): Completion(f"text {i}", "stop", i, i) for i in range(4)}
    with GenerationStore(tmp_path / "store.sqlite") as store:
        for key, completion in completions.items():
            store.put(key, completion, 0.5)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db:
        db.execute(f"UPDATE generations SET {damage}")
        db.commit()
    with GenerationStore(tmp_path / "store.sqlite", read_only=True) as store:
        assert store.damage() == (1, 4)
    with GenerationStore(tmp_path / "store.sqlite") as store, caplog.at_level(logging.WARNING, "harness"):
        assert set(store.get(completions)) == {"0", "2", "3"}
        assert "1 damaged completions are made again" in caplog.text
        store.put("1", completions["1"], 0.5)
        assert {key: found[0] for key, found in store.get(completions).items()} == completions
        assert store.damage() == (0, 4)


def test_a_store_of_an_earlier_version_gets_checksums(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE generations (key TEXT PRIMARY KEY, text TEXT NOT NULL, "
            "finish_reason TEXT NOT NULL, "
            "num_prompt_tokens INTEGER NOT NULL, num_output_tokens INTEGER NOT NULL, "
            "wall_seconds REAL NOT NULL"
            ") WITHOUT ROWID"
        )
        db.execute("INSERT INTO generations VALUES ('a', 'text ü', 'stop', 1, 2, 0.25)")
        db.commit()
    for _ in range(2):
        with GenerationStore(path) as store:
            assert store.get(["a"]) == {"a": (Completion("text ü", "stop", 1, 2), 0.25)}
            assert store.damage() == (0, 1)


@pytest.mark.parametrize("size", [0, 50, 5000, 12_288])
def test_a_store_that_is_cut_short_is_named_or_empty(tmp_path: Path, size: int) -> None:
    path = tmp_path / "store.sqlite"
    with GenerationStore(path) as store:
        for i in range(300):
            store.put(str(i), Completion(f"text {i}" * 20, "stop", 1, 1), 0.1)
    path.write_bytes(path.read_bytes()[:size])
    try:
        with GenerationStore(path) as store:
            assert store.get(map(str, range(300))) == {}
            assert size == 0
    except InputError as error:
        said = str(error)
        assert size > 0
        assert "store.sqlite: not a generation store, or damaged" in said
        assert "move it away and run again" in said


def test_scrambled_pages_of_a_store_are_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with GenerationStore(path) as store:
        for i in range(300):
            store.put(str(i), Completion(f"text {i}" * 20, "stop", 1, 1), 0.1)
    raw = bytearray(path.read_bytes())
    raw[4096:20_000] = random.Random(1).randbytes(20_000 - 4096)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"or damaged \("), GenerationStore(path) as store:
        store.get(map(str, range(300)))


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("not a database, but long enough to be read as the head of one" * 20)
    with pytest.raises(InputError, match=r"store\.sqlite: not a generation store"):
        GenerationStore(path)
