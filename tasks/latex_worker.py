r"""The process that judges LaTeX with Math-Verify: one JSON request a line in, one JSON verdict a line out.

Apart from the caller because LaTeX from a model can hang SymPy or eat all memory: this process limits itself
(an alarm, a memory limit), and the caller kills it where that does not help. Math-Verify's own timeouts need
the main thread, which is why this is a process and no thread. Started by `latex`, not by hand.
"""

import json
import os
import re
import signal
import sys
from types import FrameType
from typing import Any

_MEMORY_BYTES = 3 << 30
_DELIMITED = re.compile(r"\$|\\\(|\\\[|\\boxed|\\begin\{(?:align|equation)")
_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}\s+(?:[^\\\s]*\s+)?[A-Za-z]{2,}")


class _TooSlow(BaseException):
    """The alarm rang; no Exception, so that nothing in SymPy swallows it."""


def main() -> None:
    """Answer requests {"gold", "answer", "seconds"} until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # ANTLR and SymPy print
    os.dup2(quiet, 2)
    _limit_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _ring)
    _judge(r"$\frac{1}{2}$", "$0.5$")  # builds the grammars, so that no request pays for them
    print(json.dumps("ready"), file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        verdict = _judge_in_time(request["gold"], request["answer"], request["seconds"])
        print(json.dumps(verdict), file=replies, flush=True)


def _judge_in_time(gold: str, answer: str, seconds: float) -> bool:
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return _judge(gold, answer)
    except (_TooSlow, Exception):
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


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


def _limit_memory() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _ring(signum: int, frame: FrameType | None) -> None:
    raise _TooSlow


if __name__ == "__main__":
    main()
