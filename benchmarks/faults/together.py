"""Part `together`: two and four commands at once, on one store, one folder, one cold cache; one may die.

Whoever ends well must have come to the figures of a run that was alone. On one store nobody is refused: the
second waits, or works on something else. In one folder the second may be refused by one line.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.faults.figures import Figures, difference
from benchmarks.faults.ground import Ground, Outcome, Verdict, crash, last_line, of_board, of_run, of_samples
from benchmarks.faults.small import Ended, apart
from tasks.files import remove

PART = "together"
_EARLIER = ("--set", "variants=[sft, sftkey-tag]", "--set", "reference=sft")
_LATER = ("--set", "variants=[sftkey-tag, rho-1]")
_LEFT = ("**/*.part", "**/*.partial", "**/.*.lock", "store*/partial/*")


@dataclass(frozen=True)
class Someone:
    """One of those who meet.

    Attributes:
        arguments: Of the command.
        find: Finds its figures.
        reference: What they must be.
    """

    arguments: Sequence[object]
    find: Callable[[], Figures]
    reference: Figures


@dataclass(frozen=True)
class Meeting:
    """Commands at once.

    Attributes:
        begins_with: The work that is there before: a kept one's name.
        who: Gives them, once the work is there.
        dies: How many of them are killed on their way, and are run again afterwards.
        may_refuse: Whether all but one may be refused.
    """

    begins_with: str
    who: Callable[[], list[Someone]]
    dies: int = 0
    may_refuse: bool = False


def together(ground: Ground, only: str = "", times: int = 2) -> Iterator[Outcome]:
    """The outcomes, each meeting several times, with other pauses between those who come."""
    ground.finished()
    keep_beginnings(ground)
    cases: dict[str, Callable[[], tuple[Verdict, str]]] = {}
    for words, meeting in _meetings(ground).items():
        for number in range(times):
            case = f"{words} ({number + 1})"
            if only in case:
                cases[case] = partial(_meet, ground, meeting, random.Random(f"{ground.seed} {case}"))
    yield from ground.each(PART, cases)


def keep_beginnings(ground: Ground) -> None:
    """Keeps a work with nothing in it, and one with the base model alone."""
    if not ground.has("nothing"):
        remove(ground.run)
        ground.keep("base alone")
        remove(ground.cache)
        ground.keep("nothing")


def _meetings(ground: Ground) -> dict[str, Meeting]:
    work = ground.work
    shared = ("--set", f"store={work / 'store'}")

    def runs(*plans: Sequence[object], store: Sequence[object] = shared) -> Callable[[], list[Someone]]:
        places = [work / f"run{number}" for number in range(len(plans))]
        return lambda: [
            _trainer(ground, plan, place, store) for plan, place in zip(plans, places, strict=True)
        ]

    two, four, overlapping = [()] * 2, [()] * 4, [_EARLIER, _LATER]
    return {
        "two runs, one store, cold cache": Meeting("nothing", runs(*two)),
        "two runs, one store": Meeting("base alone", runs(*two)),
        "four runs, one store": Meeting("base alone", runs(*four)),
        "two plans that overlap, one store": Meeting("base alone", runs(*overlapping)),
        "four runs of two plans, one store, cold cache": Meeting("nothing", runs(*overlapping, *overlapping)),
        "two runs, two stores, cold cache": Meeting("nothing", runs(*two, store=())),
        "two runs, one folder": Meeting(
            "base alone", lambda: [_trainer(ground, (), ground.run)] * 2, may_refuse=True
        ),
        "two runs, one store, one is killed": Meeting("base alone", runs(*two), dies=1),
        "four runs, one store, two are killed": Meeting("nothing", runs(*four), dies=2),
        "four boards, one folder": Meeting("finished", lambda: [_board(ground)] * 4, may_refuse=True),
        "two boards while it is judged again": Meeting(
            "finished", lambda: [_judged(ground), _board(ground), _board(ground)], may_refuse=True
        ),
        "two judge again": Meeting("finished", lambda: [_judged(ground)] * 2, may_refuse=True),
        "a run and a board": Meeting(
            "finished", lambda: [_trainer(ground, (), ground.run), _board(ground)], may_refuse=True
        ),
    }


def _trainer(ground: Ground, plan: Sequence[object], out: Path, store: Sequence[object] = ()) -> Someone:
    reference = _alone(ground, tuple(plan))
    return Someone(ground.train_and_eval(*plan, *store, out=out), partial(of_run, out), reference)


def _board(ground: Ground) -> Someone:
    board = {"board": ground.figures()["board"]}
    return Someone(["leaderboard", ground.run], partial(of_board, ground.run / "leaderboard"), board)


def _judged(ground: Ground) -> Someone:
    samples = {"samples": ground.figures()["samples"]}
    return Someone(["rescore", ground.run], partial(of_samples, ground.run), samples)


_known: dict[tuple[object, ...], Figures] = {}


def _alone(ground: Ground, plan: tuple[object, ...]) -> Figures:
    """What a plan comes to alone, over the finished run."""
    if not plan:
        return ground.figures()
    if plan not in _known:
        aside = ground.state / "aside"
        remove(aside)
        ground.work.rename(aside)
        ground.put_back("finished")
        ended = ground.call(*ground.train_and_eval(*plan))
        assert ended.code == 0, ended.err
        _known[plan] = apart(of_run, ground.run)
        remove(ground.work)
        aside.rename(ground.work)
    return _known[plan]


def _meet(ground: Ground, meeting: Meeting, rng: random.Random) -> tuple[Verdict, str]:
    ground.put_back(meeting.begins_with)
    everyone = meeting.who()
    running = []
    for number, one in enumerate(everyone):
        running.append(ground.start(one.arguments, f"meeting{number}"))
        time.sleep(rng.choice((0, 0, 0.3, 1.5)))
    if meeting.dies:
        time.sleep(rng.uniform(0.2, 6))
        for dying in running[: meeting.dies]:
            dying.signal(signal.SIGKILL)
    ended = [one.wait(400) for one in running]
    if meeting.dies:
        ended[: meeting.dies] = [ground.call(*one.arguments) for one in everyone[: meeting.dies]]
    return _judge(ground, meeting, everyone, ended)


def _judge(
    ground: Ground, meeting: Meeting, everyone: Sequence[Someone], ended: Sequence[Ended]
) -> tuple[Verdict, str]:
    refused = [one for one in ended if one.code == 2]
    for end in ended:
        if wrong := crash(end, None):
            return "crashed", wrong
    if refused and (not meeting.may_refuse or len(refused) == len(ended)):
        return "crashed", f"{len(refused)} of {len(ended)} were refused: {last_line(refused[0].err)}"
    for one, end in zip(everyone, ended, strict=True):
        if end.code == 0 and (wrong := difference(one.reference, apart(one.find))):
            return "silently wrong", wrong
    if left := left_over(ground.work):
        return "crashed", f"left behind: {', '.join(left)}"
    if refused:
        return "refused", f"{len(refused)} of {len(ended)}: {last_line(refused[0].err)}"
    waited = [line.strip() for end in ended for line in end.err.splitlines() if "waiting for" in line]
    return ("healed", waited[0]) if waited else ("unaffected", "")


def left_over(work: Path) -> list[str]:
    """What is half made, or held by nobody who lives, after all have ended."""
    found = {path for pattern in _LEFT for path in work.glob(pattern)}
    found |= {path for run in work.glob("run*") for path in run.glob("store/partial/*")}
    return sorted(str(path.relative_to(work)) for path in found)[:4]
