r"""Ask Math-Verify whether two answers are equal, in a process of its own, and never for long.

LaTeX from a model can hang SymPy or eat all memory, and Math-Verify's own timeouts need the main thread: so a
worker process judges, and limits its processor time and memory itself, so that a busy machine changes no
verdict. The caller waits a limited time and kills a worker that does not answer. The worker is a fork of a
nursery, a process that has everything loaded: a new one is there in milliseconds, only the first takes
seconds.
"""

import atexit
import contextlib
import gc
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from functools import lru_cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from tasks.workers import end_with, starter

_CPU_SECONDS = 0.5
_WALL_SECONDS = 60.0
"""Processor time alone decides: a machine on which others work as well takes longer, and says the same."""
_START_SECONDS = 120.0
_MEMORY_BYTES = 1 << 30


class Undecided(Exception):
    """Math-Verify took more time or memory than it may: whether two answers are equal is not known."""


class MathVerify:
    """One worker for this process, started when it is first needed, replaced when it hangs or dies."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._nursery: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._asked = 0
        self.worker_id: int | None = None

    @property
    def started(self) -> bool:
        """Whether this process has a worker, ready or not."""
        return self._nursery is not None

    def equal(self, gold: str, answer: str) -> bool | None:
        """Whether Math-Verify finds two answers equal; None where it takes too long or too much memory."""
        with self._lock:
            self._asked += 1
            for _ in range(2):
                connection = self.wait()
                try:
                    return self._verdict(connection, (self._asked, gold, answer))
                except TimeoutError:
                    if self.worker_id is not None:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(self.worker_id, signal.SIGKILL)
                    self.worker_id = None
                    return None
                except (OSError, EOFError):
                    self.stop()  # the nursery had died before the question: ask once more
        return None

    def forget(self) -> None:
        """In a fork: the worker answers the parent alone, and another thread may have held the lock."""
        self._lock = threading.RLock()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._nursery = self._connection = self.worker_id = None

    def start(self) -> Connection:
        """Start the worker and do not wait for it, so that it is ready when it is needed."""
        with self._lock:
            if self._connection and self._nursery and self._nursery.poll() is None:
                return self._connection
            self._connection, theirs = Pipe()
            self.worker_id = None
            # No multiprocessing.Process: that may not be had by daemons, as the workers of `score_many` are,
            # and imports the main script again, which may be a user's without a guard.
            tied = f"from tasks.workers import end_with; end_with(*{starter()})"
            nurse = f"from {__name__} import nurse; nurse({theirs.fileno()})"
            self._nursery = subprocess.Popen(
                [sys.executable, "-c", f"{tied}; {nurse}"],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # ANTLR and SymPy print
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )
            theirs.close()
            return self._connection

    def wait(self) -> Connection:
        """Wait until the worker is ready (2 seconds or so), so that no comparison has to."""
        with self._lock:
            connection = self.start()
            try:
                while self.worker_id is None:
                    self._hear(connection, _START_SECONDS)
            except (OSError, EOFError) as error:
                self.stop()
                missing = "the Math-Verify worker does not start; is math-verify installed?"
                raise RuntimeError(missing) from error
            return connection

    def _verdict(self, connection: Connection, question: tuple[int, str, str]) -> bool | None:
        connection.send(question)
        deadline, asked_again = time.monotonic() + _WALL_SECONDS, False
        while True:
            number, equal = self._hear(connection, deadline - time.monotonic())
            if number == self._asked:
                return equal
            if number is None and asked_again:
                return None  # two have died of it
            if number is None:  # the one before died, perhaps with the question read
                connection.send(question)
                deadline, asked_again = time.monotonic() + _WALL_SECONDS, True

    def _hear(self, connection: Connection, seconds: float) -> tuple[int | None, bool | None]:
        """The number of a question and its verdict; no number where a new worker says that it is there."""
        if not connection.poll(max(seconds, 0)):
            raise TimeoutError
        number, told = connection.recv()
        if number is None:
            self.worker_id = told
        return number, None if told is None else told is True

    def stop(self) -> None:
        """End the worker."""
        with self._lock:
            nursery = self._nursery
            self._disconnect()
            if nursery is not None:
                nursery.terminate()
                nursery.wait()


MATH_VERIFY = MathVerify()
"""The worker of this process."""
atexit.register(MATH_VERIFY.stop)
os.register_at_fork(after_in_child=MATH_VERIFY.forget)


@lru_cache(maxsize=20_000)
def math_verify_equal(gold: str, answer: str) -> bool:
    """Whether Math-Verify finds two answers equal; remembered, but for what it could not say.

    Raises:
        Undecided: it took too long, or too much memory.
    """
    found = MATH_VERIFY.equal(gold, answer)
    if found is None:
        raise Undecided
    return found


# What follows runs in the nursery and in its forks.

_DELIMITED = re.compile(r"\$|\\\(|\\\[|\\boxed|\\begin\{(?:align|equation)")
_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}\s+(?:[^\\\s]*\s+)?[A-Za-z]{2,}")
_FIRST = (
    (r"$\frac{1}{2}$", "$0.5$"),
    ("(1,2]", "[1,2]"),
    ("x^2-1", "(x-1)(x+2)+1-x"),
    (r"\sqrt{12}", r"\sqrt[3]{3}"),
    (r"x \le 1", "-x>-1"),
    ("x^2/4 + y^2/3 = 1", "x^2/16 + y^2/12 = 1/5"),
    (r"2^x+\sin x", r"\log x"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\x\end{pmatrix}"),
    (r"$1\leq|z|\leq 3$", r"$z \in [-3, -1] \cup [1, 3]$"),
)
"""Compared once at the start, so that no question pays for building grammars and loading parts of SymPy."""


class _TooSlow(BaseException):
    """The alarm rang; no Exception, so that nothing in SymPy swallows it."""


def nurse(descriptor: int) -> None:
    """Load everything, and have a fork answer at a pipe; where one dies, the next takes its place."""
    connection = Connection(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for gold, answer in _FIRST:
        _compare(gold, answer)
    _limit(resource.RLIMIT_AS, _MEMORY_BYTES)
    gc.freeze()  # the forks share this memory as long as nobody writes to it
    nursery = os.getpid()
    while worker := os.fork():
        if os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0:
            return  # nobody asks any more
        while connection.poll() and os.read(descriptor, 1 << 16):
            pass  # what is left of a question that was read in part would garble the next one
    end_with(nursery, by_main_thread=True)
    _serve(connection)


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGPROF, _ring)
    with contextlib.suppress(EOFError, ConnectionError):  # then nobody asks any more
        connection.send((None, os.getpid()))
        while True:
            number, gold, answer = connection.recv()
            connection.send((number, _compare_in_time(gold, answer)))


def _compare_in_time(gold: str, answer: str) -> bool | None:
    """Compare within the limit of processor time; past some seconds of it the kernel ends this process."""
    try:
        # The kernel's limit is for what holds the interpreter so that the alarm is not heard.
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + _CPU_SECONDS) + 2)
        signal.setitimer(signal.ITIMER_PROF, _CPU_SECONDS)
        return _compare(gold, answer)
    except (_TooSlow, MemoryError):
        return None
    except Exception:
        return False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _compare(gold: str, answer: str) -> bool:
    from math_verify import verify

    for separator in (";", ","):  # solutions set apart by semicolons are often listed with commas
        sides = [_parse(side.replace(";", separator)) for side in (gold, answer)]
        if all(sides) and verify(*sides, allow_set_relation_comp=True, timeout_seconds=None):
            return not _far_apart(*sides) and "dots" not in gold + answer
        if ";" not in gold + answer:
            break
    return False


def _far_apart(golds: list[Any], answers: list[Any]) -> bool:
    """Whether two single numbers that rounding made equal differ by more than a thousandth of their size."""
    one, other = golds[0], answers[0]
    if not all(getattr(side, "is_number", False) for side in (one, other)):
        return False
    gap, size = abs((one - other).evalf(20)), max(abs(one.evalf(20)), abs(other.evalf(20)))
    return bool(gap > size / 1000)


def _parse(text: str) -> list[Any]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    # Math-Verify reads LaTeX only between delimiters; a bare formula is given some, a sentence is not.
    if not _DELIMITED.search(text) and not _PROSE.search(text):
        text = f"${text}$"
    configs = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    parsed: list[Any] = parse(text, configs, parsing_timeout=None)
    return parsed


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(hard, most), hard))


def _ring(signum: int, frame: FrameType | None) -> None:
    raise _TooSlow
