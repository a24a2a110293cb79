"""How the command ends before its time: Ctrl-C and SIGTERM clean up alike, and each leaves one line.

SIGTERM is handed to whoever hears Ctrl-C at the time, so that all that cleans up after the one does after the
other: every `finally`, and asyncio, which cancels its tasks.
"""

from __future__ import annotations

import atexit
import math
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn


class _Heard:
    """What this process has heard, and whether it has said so."""

    signum = signal.SIGINT
    at = -math.inf
    said = False


def hear_on_the_spot() -> None:
    """Where nothing is to be cleaned up, as during the first imports, a signal ends the process at once."""
    _hear(_leave, _leave)


def hear() -> None:
    """From now on a signal raises KeyboardInterrupt, for `end` to be called with."""
    # This very handler is the one that asyncio replaces by its own.
    _hear(signal.default_int_handler, _pass_on)
    signal.signal(signal.SIGALRM, _pass_on)
    sys.unraisablehook, sys.excepthook = _again, _last


def interrupted(error: BaseException) -> bool:
    """Whether a signal began it: where a library is loaded, it may make another error of it."""
    found = [error]
    for one in found:  # which grows
        causes = (one.__cause__, one.__context__)
        found += [cause for cause in causes if cause is not None and cause not in found]
    return any(isinstance(one, KeyboardInterrupt) for one in found)


def end() -> NoReturn:
    """Says which signal ended the command, and ends it: 130 after Ctrl-C, 143 after SIGTERM."""
    hear_on_the_spot()
    _say()
    leave(128 + _Heard.signum)


def leave(code: int) -> NoReturn:
    """Ends the process, with what is to be done at its exit.

    Not by sys.exit: in its last steps Python hears signals in its own way alone; where an interruption has
    passed through `exec`, as it may while modules are imported, it ends by that instead of with a code.
    """
    hear_on_the_spot()
    if not _Heard.said:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads that are to be waited for
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(code)


def _say() -> None:
    if not _Heard.said:
        _Heard.said = True
        what = "ended by SIGTERM" if _Heard.signum == signal.SIGTERM else "interrupted"
        with suppress(OSError):
            os.write(2, f"{what}; the same command goes on from what is done\n".encode())


def _hear(interrupt: Any, terminate: Any) -> None:
    # What a shell starts in the background goes on ignoring Ctrl-C, which is meant for others.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, terminate)


def _leave(signum: int, frame: FrameType | None) -> None:
    if signum == signal.SIGTERM and not _Heard.said:
        _Heard.signum = signal.SIGTERM
    _say()
    os._exit(128 + _Heard.signum)


def _pass_on(signum: int, frame: FrameType | None) -> None:
    if signum == signal.SIGTERM:
        _Heard.signum, before, _Heard.at = signal.SIGTERM, _Heard.at, time.monotonic()
        if _Heard.at - before < 0.5:  # `timeout`, for one, sends it to the process and then to its group
            return
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


def _again(lost: Any) -> None:
    """Where nothing can be raised, as in `__del__` and in callbacks of the import system: a little later."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
    else:
        sys.__unraisablehook__(lost)


def _last(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Where none has caught it: a second signal, between a first and `end`, or one while an error is told."""
    if issubclass(kind, KeyboardInterrupt):
        end()
    sys.__excepthook__(kind, error, trace)
