"""The process of Math-Verify: replaced where it dies or hangs, each fork its own, ended with its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.scoring import Item, score
from tasks.scoring.math_verify import MATH_VERIFY
from tasks.tags import get_tag_format


def test_a_worker_that_dies_or_hangs_is_replaced() -> None:
    MATH_VERIFY.wait()
    assert MATH_VERIFY.equal("x<1", "-x>-1")
    assert MATH_VERIFY.worker_id is not None
    os.kill(MATH_VERIFY.worker_id, signal.SIGKILL)
    assert MATH_VERIFY.equal("x<2", "-x>-2")
    assert not MATH_VERIFY.equal("\\sqrt{2}", "9^{9^{9^{9^9}}}")
    MATH_VERIFY.wait()
    assert MATH_VERIFY.equal("x<3", "-x>-3")
    assert MATH_VERIFY._nursery is not None
    os.kill(MATH_VERIFY._nursery.pid, signal.SIGKILL)
    MATH_VERIFY._nursery.wait()  # a dying one may leave its worker answering for a while
    assert MATH_VERIFY.equal("x<4", "-x>-4")


def test_what_takes_too_long_is_not_decided() -> None:
    assert MATH_VERIFY.equal("\\sqrt{2}", "9^{9^{9^{9^9}}}") is None
    assert MATH_VERIFY.equal("\\sqrt{2}", "\\sqrt{3}+x") is False
    heavy = score(Item("\\boxed{9^{9^{9^{9^9}}}}", "\\sqrt{2}", "latex", None, get_tag_format("boxed")))
    assert (heavy.accuracy, heavy.format_valid, heavy.undecided) == (False, True, True)


def test_what_was_not_decided_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([None, True])
    monkeypatch.setattr(MATH_VERIFY, "equal", lambda gold, answer: next(said))
    item = Item("\\boxed{\\log_2 (uv)}", "\\log_2 u+\\log_2 v", "latex", None, get_tag_format("boxed"))
    verdicts = [(found.accuracy, found.undecided) for found in (score(item), score(item), score(item))]
    assert verdicts == [(False, True), (True, False), (True, False)]


def test_a_fork_has_a_worker_of_its_own() -> None:
    MATH_VERIFY.wait()
    ours = MATH_VERIFY.worker_id
    child = os.fork()
    if not child:
        fresh = not MATH_VERIFY.started
        MATH_VERIFY.wait()
        own = MATH_VERIFY.worker_id
        MATH_VERIFY.stop()
        os._exit(0 if fresh and own != ours else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert MATH_VERIFY.equal("x<5", "-x>-5")
    assert MATH_VERIFY.worker_id == ours


UNGUARDED = """
import threading, time
from tasks.scoring.math_verify import MATH_VERIFY

starter = threading.Thread(target=MATH_VERIFY.{started})
starter.start()
starter.join()
first = MATH_VERIFY._nursery
MATH_VERIFY.wait()
assert first in (None, MATH_VERIFY._nursery)
print(MATH_VERIFY._nursery.pid, MATH_VERIFY.worker_id, flush=True)
time.sleep(60)
"""


@pytest.mark.heavy
@pytest.mark.parametrize(
    "started", ["start", "forget"], ids=["by a thread that has ended", "by the main thread"]
)
def test_it_starts_from_an_unguarded_script_and_ends_with_it(
    tmp_path: Path, repository: Path, started: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED.format(started=started))
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        processes = [int(number) for number in process.stdout.readline().split()]
        assert len(processes) == 2
        process.kill()
    for _ in range(100):
        if not any(Path(f"/proc/{number}").exists() for number in processes):
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its parent")
