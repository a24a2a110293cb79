r"""The process that judges LaTeX with Math-Verify: one JSON request a line in, one JSON verdict a line out.

Apart from the caller because LaTeX from a model can hang SymPy or eat all memory: this process limits itself
(an alarm, a memory limit), and the caller kills it where that does not help. Math-Verify's own timeouts need
the main thread, which is why this is a process and no thread. What answers is a fork of what has loaded
Math-Verify; where it dies, the next fork takes its place. Started by `math_verify_client`, not by hand.
"""

import gc
import json
import os
import re
import resource
import signal
import sys
from types import FrameType
from typing import Any

_MEMORY_BYTES = 1 << 30
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
"""Judged once at the start, so that no request pays for building grammars and loading parts of SymPy."""


class _TooSlow(BaseException):
    """The alarm rang; no Exception, so that nothing in SymPy swallows it."""


def main() -> None:
    """Answer requests {"number", "gold", "answer", "seconds"} until the input ends."""
    replies = os.dup(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # ANTLR and SymPy print
    os.dup2(quiet, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for gold, answer in _FIRST:
        _judge(gold, answer)
    _limit_memory()
    gc.freeze()
    while worker := os.fork():
        signal.signal(signal.SIGTERM, lambda *_, worker=worker: _end(worker))
        if os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0:
            return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _serve(replies)


def _end(worker: int) -> None:
    os.kill(worker, signal.SIGKILL)
    os._exit(0)


def _serve(replies: int) -> None:
    signal.signal(signal.SIGPROF, _ring)
    os.write(replies, json.dumps({"worker": os.getpid()}).encode() + b"\n")
    for line in sys.stdin:
        request = json.loads(line)
        verdict = _judge_in_time(request["gold"], request["answer"], request["seconds"])
        reply = {"number": request["number"], "equal": verdict}
        os.write(replies, json.dumps(reply).encode() + b"\n")


def _judge_in_time(gold: str, answer: str, seconds: float) -> bool:
    """Judge within a limit of processor time; past some seconds of it the kernel ends this process."""
    try:
        _limit_processor(seconds)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        return _judge(gold, answer)
    except (_TooSlow, Exception):
        return False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _judge(gold: str, answer: str) -> bool:
    from math_verify import verify

    for separator in (";", ","):  # solutions set apart by semicolons are often listed with commas
        sides = [_parse(side.replace(";", separator)) for side in (gold, answer)]
        if all(sides) and verify(*sides, allow_set_relation_comp=True, timeout_seconds=None):
            return True
        if ";" not in gold + answer:
            break
    return False


def _parse(text: str) -> list[Any]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    if not _DELIMITED.search(text) and not _PROSE.search(text):
        text = f"${text}$"
    configs = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    parsed: list[Any] = parse(text, configs, parsing_timeout=None)
    return parsed


def _limit_processor(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 2, hard))


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _ring(signum: int, frame: FrameType | None) -> None:
    raise _TooSlow


if __name__ == "__main__":
    main()
