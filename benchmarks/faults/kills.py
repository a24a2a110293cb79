"""Part `kills`: commands are killed at random moments, and the same command comes to the same figures.

A killed one leaves no process, and what is half made goes when the command is run again. Who asks politely
(SIGINT, SIGTERM) gets a line and the exit code that shells know.
"""

from __future__ import annotations

import importlib.util
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.faults.figures import Figures, difference
from benchmarks.faults.ground import (
    Ground,
    Outcome,
    Verdict,
    crash,
    of_board,
    of_run,
    of_samples,
    of_sweep,
    of_text,
    sweep,
)
from benchmarks.faults.small import apart, offspring
from benchmarks.faults.together import keep_beginnings, left_over

PART = "kills"
SIGNALS = {
    "SIGKILL": (signal.SIGKILL, -9),
    "SIGTERM": (signal.SIGTERM, 143),
    "SIGINT": (signal.SIGINT, 130),
}
"""Name -> signal, and the exit code of whoever gets it."""
SHARES = {"SIGKILL": 4, "SIGTERM": 1, "SIGINT": 1}
_ALONE_SECONDS = 3.0
"""After which no process of a killed command may live."""
_TRAIN, _VLLM = "train-and-eval, hf", "train-and-eval, vllm"


@dataclass(frozen=True)
class Victim:
    """A command to kill.

    Attributes:
        begins_with: The work before: a kept one's name.
        arguments: Of the command.
        find: Finds its figures.
        share: How often it is drawn, to the others.
        cold: Whether it is always a fresh process.
    """

    begins_with: str
    arguments: list[object]
    find: Callable[[], Figures]
    share: int
    cold: bool = False


def kills(ground: Ground, num_kills: int, only: str = "") -> Iterator[Outcome]:
    """The outcomes of so many commands that were killed, drawn among all and their signals."""
    ground.finished()
    keep_beginnings(ground)
    victims = {name: one for name, one in _victims(ground).items() if only in name}
    rng = random.Random(ground.seed)
    names = rng.choices(list(victims), [one.share for one in victims.values()], k=num_kills)
    cases: dict[str, Callable[[], tuple[Verdict, str]]] = {}
    for number, name in enumerate(names):
        [how] = rng.choices(list(SHARES), list(SHARES.values()))
        case = f"{number + 1}: {name}, {how}"
        cases[case] = partial(_kill, ground, victims[name], how, random.Random(f"{ground.seed} {case}"))
    yield from ground.each(PART, cases)


def _victims(ground: Ground) -> dict[str, Victim]:
    run, work, outputs = ground.run, ground.work, ground.state / "outputs.jsonl"
    if not outputs.is_file():
        outputs.write_text("".join(json.dumps(row) + "\n" for row in _outputs(400)), "utf-8")
    scored = work / "scored.jsonl"
    score = ["score", outputs, "--kind", "latex", "--samples", scored]
    found = {
        _TRAIN: Victim("base alone", ground.train_and_eval(), partial(of_run, run), 10),
        "train-and-eval, cold cache": Victim("nothing", ground.train_and_eval(), partial(of_run, run), 3),
        "score": Victim("base alone", score, partial(of_text, scored), 6),
        "rescore": Victim("finished", ["rescore", run], partial(of_samples, run), 4),
        "sweep": Victim("base alone", sweep(ground), partial(of_sweep, run), 4),
        "leaderboard": Victim("finished", ["leaderboard", run], partial(of_board, run / "leaderboard"), 4),
    }
    if importlib.util.find_spec("vllm"):
        vllm = ground.train_and_eval(
            "--engine", "vllm", "--set", "variants=[sft-tag]", "--set", "reference=sft-tag"
        )
        found[_VLLM] = Victim("base alone", vllm, partial(of_run, run), 8, cold=True)
    return found


def _outputs(count: int) -> Iterator[dict[str, object]]:
    """What only Math-Verify can settle, and some that makes it work long."""
    for number in range(count):
        gold = rf"\frac{{{number + 1}}}{{7}}x + \sqrt{{{number + 2}}}"
        said = rf"\sqrt{{{number + 2}}} + \frac{{{number + 1 + (number % 3 == 0)}x}}{{7}}"
        if number % 40 == 0:
            said = "2^{" * 6 + "9" + "}" * 6
        yield {"id": number, "output": rf"So it is $\boxed{{{said}}}$", "gold": gold}


@dataclass(frozen=True)
class _Known:
    figures: Figures
    seconds: float


_known: dict[str, _Known] = {}


def _reference(ground: Ground, victim: Victim) -> _Known:
    """What the command comes to when nobody disturbs it, and how long it takes."""
    words = " ".join(map(str, victim.arguments))
    if victim.arguments == ground.train_and_eval():
        return _Known(ground.figures(), ground.seconds)
    if words not in _known:
        ground.put_back(victim.begins_with)
        ended = ground.start(victim.arguments, cold=victim.cold).wait(400)
        assert ended.code == 0, ended.err
        _known[words] = _Known(apart(victim.find), ended.seconds)
    return _known[words]


def _kill(ground: Ground, victim: Victim, how: str, rng: random.Random) -> tuple[Verdict, str]:
    reference = _reference(ground, victim)
    ground.put_back(victim.begins_with)
    number, code = SIGNALS[how]
    killed = 0
    for _ in range(1 + (rng.random() < 0.3)):  # some die twice before they come to their end
        running = ground.start(victim.arguments, cold=victim.cold)
        time.sleep(rng.uniform(0.3, max(0.4, 0.8 * reference.seconds)))
        running.signal(number)
        ended = running.wait(running_seconds(running.began) + 30)
        killed += ended.code != 0
        if ended.code not in (0, code) or "Traceback" in ended.err:
            return "crashed", f"{how} ended with exit code {ended.code}, {crash(ended, None)}"
        if strays := _strays(_ALONE_SECONDS):
            return "crashed", f"{how} left {len(strays)} processes: {next(iter(strays.values()))[:120]}"
    ended = ground.start(victim.arguments, cold=victim.cold).wait(400)
    if wrong := crash(ended, ground.work):
        return "crashed", wrong
    if ended.code == 2:
        return "crashed", f"refused afterwards: {ended.err[-300:]}"
    if wrong := difference(reference.figures, apart(victim.find)):
        return "silently wrong", wrong
    if left := left_over(ground.work):
        return "crashed", f"left behind: {', '.join(left)}"
    return ("healed", f"killed {killed} times") if killed else ("unaffected", "it was faster")


def running_seconds(began: float) -> float:
    """Since a command began."""
    return time.monotonic() - began


def _strays(seconds: float) -> dict[int, str]:
    """Processes that live on that long; those that do are ended, for the next case's sake."""
    import os

    last = time.monotonic() + seconds
    while (alive := offspring()) and time.monotonic() < last:
        time.sleep(0.05)
    for pid in alive:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return alive
