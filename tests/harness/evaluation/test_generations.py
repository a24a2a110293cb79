"""The generation store: nothing else hits, and what is put is kept."""

import os
import signal
import subprocess
import sys
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


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("not a database, but long enough to be read as the head of one" * 20)
    with pytest.raises(InputError, match=r"store\.sqlite: not a generation store"):
        GenerationStore(path)
