"""A process with limits: what it answers, and what ends it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tasks.errors import InputError
from tasks.limits import Failed, Limited, limited


def forever(_: Any = None) -> None:
    while True:
        pass


def failure(function: Callable[[], Any], seconds: float = 1.0) -> str:
    with pytest.raises(Failed) as caught:
        limited(function, seconds)
    return str(caught.value)


def test_it_answers_with_what_json_can_hold() -> None:
    process = Limited(lambda question: {"asked": question, "by": os.getpid()}, 5.0)
    first, second = process.ask(["a", None]), process.ask("\ud83d\ude00 \u2028")
    assert first["asked"] == ["a", None]
    assert second["asked"] == "\ud83d\ude00 \u2028".encode("utf-16", "surrogatepass").decode("utf-16")
    assert first["by"] == second["by"] != os.getpid(), "one process for all"
    process.close()
    assert process.ask(1)["by"] != first["by"], "and another when it is gone"


def test_what_loops_is_ended_by_the_time_of_the_processor() -> None:
    began = time.monotonic()
    assert failure(forever) == "takes more than 1 s"
    assert time.monotonic() - began < 15


def test_many_answers_that_each_take_long_are_ended_too() -> None:
    def busy(_: Any) -> None:
        until = time.process_time() + 0.5
        while time.process_time() < until:
            pass

    process = Limited(busy, 1.0, next_seconds=0.0)
    with pytest.raises(Failed, match="takes more than 1 s"):
        [process.ask(None) for _ in range(5)]


@pytest.mark.parametrize("size", [10**10, 10**12, 3 << 30])
def test_what_allocates_gets_no_more_memory(size: int) -> None:
    assert failure(lambda: len("a" * size), 10.0) == "takes more than 2 GiB of memory"


def test_an_answer_that_is_too_long_or_cannot_be_told_is_none() -> None:
    assert failure(lambda: "a" * (65 << 20), 20.0) == "gives more than 67,108,864 bytes"
    assert failure(lambda: {1, 2}).startswith("TypeError: ")


@pytest.mark.parametrize("ending", [lambda: os._exit(3), lambda: os.kill(os.getpid(), signal.SIGKILL)])
def test_a_process_that_ends_is_no_answer_and_is_started_again(ending: Callable[[], None]) -> None:
    process = Limited(lambda question: ending() if question else "here", 5.0)
    assert process.ask(False) == "here"
    with pytest.raises(Failed, match="ends its process"):
        process.ask(True)
    assert process.ask(False) == "here"


def test_what_is_raised_is_told_in_a_clause() -> None:
    def refuse() -> None:
        raise InputError("x.json: no")

    with pytest.raises(InputError, match=r"^x\.json: no$"):
        limited(refuse, 5.0)
    assert failure(lambda: 1 / 0) == "ZeroDivisionError: division by zero"
    assert failure(lambda: sys.exit("one\ntwo")) == "SystemExit: one two"


def test_it_says_nothing_and_holds_nothing_open(capfd: pytest.CaptureFixture[str]) -> None:
    read, write = os.pipe()
    process = Limited(lambda _: (os.write(2, b"noise"), print("noise"))[:0], 5.0)
    process.ask(None)
    os.close(write)
    assert os.read(read, 1) == b"", "its copy of the pipe's end is closed"
    assert capfd.readouterr() == ("", "")


def test_threads_that_ask_at_once_each_get_their_answer() -> None:
    process = Limited(lambda question: question, 5.0)
    found: dict[int, int] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: process.ask(i)}))
        for i in range(8)  # type: ignore[misc]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: i for i in range(8)}


def test_it_ends_with_a_parent_that_is_killed() -> None:
    script = (
        "import os, sys; from tasks.limits import Limited\n"
        "kept = Limited(lambda _: os.getpid(), 5.0); print(kept.ask(None), flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 10
    while time.monotonic() < until and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    # One that nobody has waited for yet is dead all the same.
    with open(f"/proc/{process_id}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_threads_that_were_at_work_before_the_fork_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenMP's threads are not in a fork, and vLLM replaces torch's function that would do without them."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        numbers = torch.ones(600, 600)
        expected = float((numbers @ numbers).sum())
        monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
        assert limited(lambda: float((numbers @ numbers).sum()), 1.0) == expected
    finally:
        monkeypatch.undo()
        torch.set_num_threads(threads)
