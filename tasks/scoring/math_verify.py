"""Ask Math-Verify whether two answers are equal, in a process of its own, and never for long.

The worker keeps to a limit of processor time, so that a busy machine changes no verdict; the caller keeps to
one of real time and kills the worker where it does not answer. The worker is a fork of a process that has
everything loaded, so that a new one is there in milliseconds; only the first one takes seconds.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

_CPU_SECONDS = 0.3
_WALL_SECONDS = 0.85
_START_SECONDS = 120.0


class Judge:
    """One worker for this process, started when it is first needed, replaced when it hangs or dies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._unread = b""
        self._asked = 0
        self.worker_id: int | None = None

    def start(self) -> None:
        """Start the worker and do not wait for it, so that it is ready when it is needed."""
        with self._lock:
            self._launch()

    def judge(self, gold: str, answer: str) -> bool:
        """Whether Math-Verify finds two answers equal; False where it takes too long or too much memory."""
        with self._lock:
            self._asked += 1
            question = {"number": self._asked, "gold": gold, "answer": answer, "seconds": _CPU_SECONDS}
            for _ in range(2):
                process = self._ready()
                try:
                    return self._verdict(process, json.dumps(question).encode() + b"\n")
                except TimeoutError:
                    self._replace_worker()
                    return False
                except OSError:
                    self._stop()  # it had died before the request: ask once more
        return False

    @property
    def started(self) -> bool:
        """Whether this process has a worker, ready or not."""
        return self._process is not None and self._owner == os.getpid()

    def wait(self) -> None:
        """Wait until the worker is ready."""
        with self._lock:
            self._ready()

    def stop(self) -> None:
        """End the worker."""
        with self._lock:
            self._stop()

    def _launch(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():
            self._process = None  # a fork: the parent's worker answers the parent alone
        if self._process is None or self._process.poll() is not None:
            self._owner, self.worker_id, self._unread = os.getpid(), None, b""
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tasks.scoring.math_verify_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
        return self._process

    def _ready(self) -> subprocess.Popen[bytes]:
        process = self._launch()
        if self.worker_id is None:
            try:
                self._await_worker(process)
            except OSError as error:
                self._stop()
                raise RuntimeError(
                    "the Math-Verify worker does not start; is math-verify installed?"
                ) from error
        return process

    def _await_worker(self, process: subprocess.Popen[bytes]) -> None:
        while self.worker_id is None:
            reply = self._reply(process, _START_SECONDS)
            if "worker" in reply:
                self.worker_id = int(reply["worker"])

    def _verdict(self, process: subprocess.Popen[bytes], question: bytes) -> bool:
        _send(process, question)
        deadline, asked_again = time.monotonic() + _WALL_SECONDS, False
        while True:
            reply = self._reply(process, deadline - time.monotonic())
            if "worker" in reply:
                self.worker_id = int(reply["worker"])
                if not asked_again:  # the one before died, perhaps with the question read
                    _send(process, question)
                    deadline, asked_again = time.monotonic() + _WALL_SECONDS, True
            elif reply["number"] == self._asked:
                return reply["equal"] is True

    def _replace_worker(self) -> None:
        if self.worker_id is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.worker_id, signal.SIGKILL)
        self.worker_id = None

    def _stop(self) -> None:
        process, self._process, self.worker_id = self._process, None, None
        if process is not None and self._owner == os.getpid():
            process.terminate()
            process.communicate()

    def _reply(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
        assert process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                raise BrokenPipeError
            self._unread += chunk
        reply, _, self._unread = self._unread.partition(b"\n")
        message: dict[str, Any] = json.loads(reply)
        return message


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


JUDGE = Judge()
"""The worker of this process."""
atexit.register(JUDGE.stop)


@lru_cache(maxsize=20_000)
def judged_equal(gold: str, answer: str) -> bool:
    """Whether Math-Verify finds two answers equal; remembered."""
    return JUDGE.judge(gold, answer)
