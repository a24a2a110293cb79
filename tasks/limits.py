"""Run what others have written (templates, configurations, tokenizers) where it can do little harm.

In a fork of this process, without its open files and its voice, with limits of processor time and memory:
what loops or allocates ends there, and a busy machine changes no verdict. A fork has all libraries loaded, so
that it is there in milliseconds; it does no more than Python and small tensors on one thread.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from tasks.errors import InputError
from tasks.reading import parse_json
from tasks.workers import end_with, starter

MOST_BYTES = 2 << 30
"""Of memory, beyond what this process has when the fork is made."""
_MOST_ANSWER_BYTES = 64 << 20
_WALL = 20
"""Times the processor's seconds: how long to wait for a process that does not even compute."""


class Failed(Exception):
    """There is no answer; the message says why, as a clause."""


class Limited:
    """A process of its own that answers questions with a function; both are values that JSON can hold."""

    def __init__(
        self,
        answer: Callable[[Any], Any],
        seconds: float,
        next_seconds: float | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """A process that is started with the first question, and again after one that ended it.

        `seconds` are the processor's, for one answer; each further answer adds `next_seconds` to the time of
        all (`seconds` where None). The function sees this process as it is when the fork is made.
        """
        self._answer, self._seconds, self._most_bytes = answer, seconds, most_bytes
        self._next_seconds = seconds if next_seconds is None else next_seconds
        self._lock = threading.Lock()
        self._owner = 0  # the process that has made the fork: a fork of it must make its own
        self._pid = 0
        self._connection: Connection
        self._end: Callable[[], object] = lambda: None

    def ask(self, question: object) -> Any:
        """The function's answer; InputError as it raised it, Failed where it did not end well otherwise."""
        with self._lock:
            connection = self._started()
            try:
                connection.send_bytes(json.dumps(question).encode())
                if not connection.poll(self._seconds * _WALL):
                    raise TimeoutError
                kind, said = parse_json(connection.recv_bytes(_MOST_ANSWER_BYTES), "answer")
            except (OSError, EOFError, InputError) as error:
                raise Failed(self._why(error)) from None
            except BaseException:  # Ctrl-C: what it still answers is no answer to the next question
                self.close()
                raise
        if kind != "said":
            raise (InputError if kind == "refused" else Failed)(said)
        return said

    def close(self) -> None:
        """Ends the process."""
        self._end()
        self._pid = 0

    def _started(self) -> Connection:
        """Our end of the pipe to the process, which is started if there is none."""
        if self._owner == os.getpid() and self._pid:
            with suppress(ChildProcessError):
                if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                    return self._connection
        self.close()
        self._connection, theirs = Pipe()
        self._owner, tie = os.getpid(), starter()
        self._pid = os.fork()
        if self._pid == 0:
            self._live(theirs, tie)
        theirs.close()
        self._end = weakref.finalize(self, _end, self._pid, self._connection, self._owner)
        return self._connection

    def _live(self, connection: Connection, tie: tuple[int, bool]) -> None:
        """The fork's life; it never returns."""
        try:
            end_with(*tie)
            _leave_behind(connection.fileno())
            _set(resource.RLIMIT_AS, _own_bytes() + self._most_bytes)
            began, asked = _used_seconds(), 0
            while os.getppid() == tie[0]:
                question = json.loads(connection.recv_bytes())
                asked += 1
                together = began + self._seconds + self._next_seconds * asked
                _set(resource.RLIMIT_CPU, math.ceil(min(_used_seconds() + self._seconds, together)))
                connection.send_bytes(self._answered(question))
        finally:
            os._exit(0)

    def _answered(self, question: Any) -> bytes:
        try:
            given = json.dumps(["said", self._answer(question)]).encode()
            if len(given) < _MOST_ANSWER_BYTES:
                return given
            raise Failed(f"gives more than {_MOST_ANSWER_BYTES:,} bytes")
        except (InputError, Failed) as error:
            said = str(error)
            return json.dumps(["refused" if isinstance(error, InputError) else "failed", said]).encode()
        except MemoryError:
            said = self._too_large()
        except BaseException as error:  # a panic in Rust is no Exception
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return json.dumps(["failed", said]).encode()

    def _why(self, error: Exception) -> str:
        """What became of a process that has not answered; it is gone then."""
        status = 0
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._pid, signal.SIGKILL)  # changes nothing where it is dead already
            status = os.WTERMSIG(os.waitpid(self._pid, 0)[1])
        self.close()
        if isinstance(error, TimeoutError) or status == signal.SIGXCPU:
            return f"takes more than {self._seconds:g} s"
        # Libraries in C and Rust end their process where they are given no memory.
        return f"ends its process (signal {status}), or {self._too_large()}"

    def _too_large(self) -> str:
        return f"takes more than {self._most_bytes / 2**30:g} GiB of memory"


def limited(function: Callable[[], Any], seconds: float) -> Any:
    """What a function returns, run once in a process with limits; it raises what `Limited.ask` does."""
    once = Limited(lambda _: function(), seconds)
    try:
        return once.ask(None)
    finally:
        once.close()


def _leave_behind(connection: int) -> None:
    """Takes leave of what the fork has of its parent: files, locks, signals, threads, objects that end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Not closed but pointed at nothing: what of the parent ends here would close files that got its numbers.
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in {0, 1, 2, *map(int, os.listdir("/dev/fd"))} - {nothing, connection}:  # noqa: PTH208
        os.dup2(nothing, number)
    sys.stdout = sys.stderr = os.fdopen(1, "w")
    gc.freeze()
    # The threads that libraries keep for their work are not here, and would be waited for, for ever. Not by
    # `torch.set_num_threads`: vLLM puts another function, which does nothing, in its place.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if "torch" in sys.modules:
        sys.modules["torch"]._C.set_num_threads(1)
    _set(resource.RLIMIT_CORE, 0)


def _set(kind: int, limit: int) -> None:
    with suppress(ValueError, OSError):  # another system may not know the limit, or allow less
        resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))


def _own_bytes() -> int:
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _used_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _end(pid: int, connection: Connection, owner: int) -> None:
    connection.close()
    if os.getpid() == owner:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
