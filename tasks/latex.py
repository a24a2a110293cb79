r"""Whether two LaTeX answers are equal: by their text where that settles it, else by Math-Verify.

Math-Verify runs in one worker process per caller (see `latex_worker`), started on first need, with a time
limit per comparison; a worker that hangs or dies is replaced, and the comparison counts as unequal.
"""

import atexit
import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from tasks.numeric import is_number, numbers_equal

_MAX_CHARS = 4_000
_SECONDS = 1.0
_GRACE_SECONDS = 0.5
_START_SECONDS = 120.0
_PLAIN = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_MARKUP = re.compile(
    r"\\left|\\right|\\[!,;:> ]|\\(?:big|Big|bigg|Bigg)[lr]?(?![a-zA-Z])|\\displaystyle|\\quad|\\qquad|[~$\s]"
)
_BOX = re.compile(r"\\boxed\{([^{}]*)\}")


def latex_equal(gold: str, answer: str) -> bool:
    """Whether an answer in LaTeX (or plain text) equals the reference.

    Args:
        gold: the reference, with or without dollars or a box.
        answer: the answer or, as Math-Verify allows, the text that ends in it.

    Returns:
        True where the texts agree after normalisation or Math-Verify finds them equal; False otherwise, also
        for inputs over 4,000 characters and for comparisons that take over a second.
    """
    plain_gold, plain_answer = normalise_latex(gold), normalise_latex(answer)
    if plain_gold and plain_gold == plain_answer:
        return True
    if is_number(plain_gold) and is_number(plain_answer) and numbers_equal(plain_gold, plain_answer):
        return True
    if _PLAIN.fullmatch(plain_gold) and _PLAIN.fullmatch(plain_answer):
        return Fraction(plain_gold) == Fraction(plain_answer)
    if not plain_gold or not plain_answer or max(len(gold), len(answer)) > _MAX_CHARS:
        return False
    return _judged(gold, answer)


def normalise_latex(text: str) -> str:
    r"""Take off what does not change the meaning: dollars, a box, spacing, \left and \right, a full stop.

    Args:
        text: LaTeX or plain text.

    Returns:
        The bare text; equal results mean equal answers.
    """
    bare = " ".join(text[: _MAX_CHARS + 1].split()).rstrip(".")
    bare = _MARKUP.sub("", bare).removeprefix("\\(").removesuffix("\\)")
    bare = _BOX.sub(r"\1", bare)
    bare = re.sub(r"\\[dt]frac", r"\\frac", bare)
    return re.sub(r"(?<=[0-9])\{,\}(?=[0-9]{3})", "", bare).rstrip(".")


@lru_cache(maxsize=20_000)
def _judged(gold: str, answer: str) -> bool:
    return _WORKER.judge(gold, answer)


class _Worker:
    """One `latex_worker` process, restarted when it hangs, dies, or this process was forked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def judge(self, gold: str, answer: str) -> bool:
        request = json.dumps({"gold": gold, "answer": answer, "seconds": _SECONDS}).encode() + b"\n"
        with self._lock:
            process = self._running()
            try:
                assert process.stdin is not None
                process.stdin.write(request)
                process.stdin.flush()
                return self._reply(process, _SECONDS + _GRACE_SECONDS) == "true"
            except (OSError, TimeoutError):
                self.stop()
                return False

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():
            self._process = None  # a fork: the parent's worker answers the parent alone
        if self._process is None or self._process.poll() is not None:
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tasks.latex_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parent.parent,
            )
            try:
                self._reply(self._process, _START_SECONDS)
            except (OSError, TimeoutError) as error:
                self.stop()
                raise RuntimeError(
                    "the Math-Verify worker does not start; is math-verify installed?"
                ) from error
        return self._process

    @staticmethod
    def _reply(process: subprocess.Popen[bytes], seconds: float) -> str:
        assert process.stdout is not None
        deadline, reply = time.monotonic() + seconds, b""
        while not reply.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                raise BrokenPipeError
            reply += chunk
        return reply.decode().strip()


_WORKER = _Worker()
atexit.register(_WORKER.stop)
