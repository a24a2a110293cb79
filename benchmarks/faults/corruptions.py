"""Part `corruptions`: every kind of stored file goes bad in every way, and is then used.

A file is only believed where it is read, so each case also takes away what would be read in its stead: a
stage's weights are used where its answers have gone, its parent's where the stage itself has gone.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.faults.damage import FOLDER_WAYS, Way, swapped, ways_for
from benchmarks.faults.figures import Figures
from benchmarks.faults.ground import (
    FAILED,
    Ground,
    Outcome,
    Verdict,
    crash,
    is_wanted,
    judge,
    last_line,
    of_board,
    of_run,
    of_samples,
    of_sweep,
    of_text,
    sweep,
)  # fmt: skip
from benchmarks.faults.small import Ended, apart
from benchmarks.faults.targets import SAVES, Stages, Target, targets
from tasks.files import remove

PART = "corruptions"
NOT_SEEN = {
    "any": ("deleted",),
    # Bits that SQLite does not use; and what is not there is made again.
    "answers": ("one bit flipped", "rows lost", "bytes appended", "a link to nowhere"),
    "the run's": ("a link to nowhere",),
    # The newline at the end.
    "seal.json": ("its last byte lost",),
    "results.json": ("its last byte lost",),
}
"""Ways, by the kind or name of the target, of which `verify` may know nothing."""
STEPS = ("--set", "train.epochs=12", "--set", "train.save_minutes=0", "--set", "variants=[sft-tag]")
"""Of a run that can be killed within a stage; with `variants` goes `reference`."""


def corruptions(
    ground: Ground, most: int | None = None, only: str | Collection[str] = "", *, saves: bool = True
) -> Iterator[Outcome]:
    """The outcomes.

    Args:
        ground: Where.
        most: Cases at most, drawn among all; all where None.
        only: Words that a case has to have; or the cases.
        saves: Whether saves within a stage, and a sweep, are damaged too, which have to be made first.
    """
    make_ready(ground, saves=saves)
    stages = Stages.of(ground.work)
    every = _cases(ground, stages)
    cases = {case: do for case, do in every.items() if is_wanted(case, only)}
    if most is not None and most < len(cases):
        drawn = set(random.Random(ground.seed).sample(sorted(cases), most))
        cases = {case: do for case, do in cases.items() if case in drawn}
    yield from ground.each(PART, cases)


def make_ready(ground: Ground, *, saves: bool = True) -> None:
    """A finished run; and one that was killed within a stage, with what it comes to, and a sweep."""
    if saves and not ground.has("killed"):
        remove(ground.work)
        reference = ground.call(*ground.train_and_eval(*STEPS, "--set", "reference=sft-tag"))
        assert reference.code == 0, reference.err
        ground.keep("killed, to the end")
        remove(ground.run)
        _kill_within_a_stage(ground)
        ground.keep("killed")
        remove(ground.run)
        ended = ground.call(*sweep(ground))
        assert ended.code == 0, ended.err
        ground.keep("swept")
    ground.finished()


def _kill_within_a_stage(ground: Ground) -> None:
    running = ground.start(ground.train_and_eval(*STEPS, "--set", "reference=sft-tag"))
    while not list(ground.run.glob(SAVES)):
        time.sleep(0.002)
    running.signal(signal.SIGKILL)
    running.wait()
    assert list(ground.run.glob(SAVES)), "the stage was done before it could be killed"


def _cases(ground: Ground, stages: Stages) -> Mapping[str, Callable[[], tuple[Verdict, str]]]:
    found: dict[str, Callable[[], tuple[Verdict, str]]] = {}
    for target in targets(ground.state / "kept", stages):
        name = target.path.name if len(target.path.name) < 40 else f"{target.path.name[:6]}…"
        words = f"{target.by}, {target.kind} {name}, {target.use}: "
        path = ground.state / "kept" / target.kept / target.path
        for way in _ways(path, target, ground):
            found[words + way.name] = partial(_case, ground, stages, target, way)
    return found


def _ways(path: Path, target: Target, ground: Ground) -> Sequence[Way]:
    other = target.other
    swap = [Way("another's in its place", lambda path, rng: swapped(path, ground.work / str(other)))]
    if path.is_dir():
        return [*FOLDER_WAYS, *(swap if other else [])]
    if other and (ground.state / "kept" / target.kept / other).read_bytes() == path.read_bytes():
        swap = []
    return [*ways_for(path), *(swap if other else [])]


def _case(ground: Ground, stages: Stages, target: Target, way: Way) -> tuple[Verdict, str]:
    ground.put_back(target.kept)
    _taken(ground, stages, target.use)
    path = ground.work / target.path
    way.do(path, random.Random(f"{ground.seed} {target} {way.name}"))
    arguments, find = _command(ground, target)
    if target.by == "verify":
        return _looked_at(ground, ground.call(*arguments), target, way)
    verdict, said = judge(ground.call(*arguments), _reference(ground, target), find, ground.work)
    if verdict == "healed" and target.by == "train-and-eval" and random.Random(str(target)).random() < 0.25:
        again, why = judge(ground.call(*arguments), _reference(ground, target), find, ground.work)
        if again != "unaffected":
            return (
                again if again in FAILED else "crashed",
                f"when run again after it was healed: {again}, {why}",
            )
    return verdict, said


def _looked_at(ground: Ground, ended: Ended, target: Target, way: Way) -> tuple[Verdict, str]:
    """What `verify` made of it: it ends with 1 where anything is damaged, and 0 where nothing is missing."""
    if ended.code == 1 and "Traceback" not in ended.err and "failed:" not in ended.err:
        lines = [line for line in ended.out.splitlines() if str(ground.work) in line]
        return ("refused", lines[0][:300]) if lines else ("crashed", "it does not say which")
    if wrong := crash(ended, ground.work):
        return "crashed", wrong
    if ended.code == 2:
        return "refused", last_line(ended.err)
    excused = NOT_SEEN.get(target.kind, ()), NOT_SEEN.get(target.path.name, ()), NOT_SEEN["any"]
    unknown = any(way.name in names for names in excused)
    return ("unaffected", "") if unknown else ("silently wrong", "all is said to be whole")


def _command(ground: Ground, target: Target) -> tuple[list[object], Callable[[], Figures]]:
    """A command line, and what finds its figures."""
    run, work = ground.run, ground.work
    if target.by == "train-and-eval":
        more = (*STEPS, "--set", "reference=sft-tag") if target.kept == "killed" else ()
        return ground.train_and_eval(*more), partial(of_run, run)
    if target.by == "sweep":
        return sweep(ground), partial(of_sweep, run)
    if target.by == "verify":
        return ["verify", ground.work / target.path.parts[0]], partial(of_run, run)
    if target.by == "leaderboard":
        return ["leaderboard", run, "--out", work / "board"], partial(of_board, work / "board")
    if target.by == "rescore":
        return ["rescore", run, "--out", work / "again"], partial(of_samples, work / "again")
    return ["card", run, "--entry", "sft", "--out", work / "card.md"], partial(of_text, work / "card.md")


_known: dict[tuple[str, str], Figures] = {}


def _reference(ground: Ground, target: Target) -> Figures:
    """What the command gives where nothing is damaged."""
    if target.kept == "finished" and target.by != "card":
        own = {"leaderboard": ["board"], "rescore": ["samples"]}.get(target.by, list(ground.figures()))
        return {part: ground.figures()[part] for part in own}
    if (target.by, target.kept) not in _known:
        at = replace(target, kept="killed, to the end" if target.kept == "killed" else target.kept)
        aside = ground.state / "aside"
        remove(aside)
        ground.work.rename(aside)
        ground.put_back(at.kept)
        arguments, find = _command(ground, target)
        ended = ground.call(*arguments)
        assert ended.code == 0, ended.err
        _known[target.by, target.kept] = apart(find)
        remove(ground.work)
        aside.rename(ground.work)
    return _known[target.by, target.kept]


def _taken(ground: Ground, stages: Stages, use: str) -> None:
    """Takes away what would be read in place of what is damaged."""
    store, work = ground.run / "store", ground.work
    scores = [store / "evaluations"]
    answers = [*scores, *store.glob("generations.sqlite*")]
    leaves = [*answers, work / stages.leaf, *(work / path for path in stages.others)]
    gone: dict[str, list[Path]] = {
        "all there": [],
        "scores gone": scores,
        "answers gone": answers,
        "leaves gone": leaves,
        "references gone": [*leaves, store / "references"],
        "stages gone": [*answers, store / "stages", store / "references"],
    }
    for path in gone[use]:
        remove(path)
