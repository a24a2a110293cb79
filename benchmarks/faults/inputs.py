"""Part `inputs`: hundreds of bad inputs, each of which must end in one line and exit code 2.

What is bad stands in files of families: lines, texts, data, checkpoints and adapters.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults.bad import Bad
from benchmarks.faults.bad_adapters import bad_adapters
from benchmarks.faults.bad_data import bad_data
from benchmarks.faults.bad_lines import bad_lines
from benchmarks.faults.bad_models import bad_models
from benchmarks.faults.bad_texts import bad_texts
from benchmarks.faults.ground import Ground, Outcome, Verdict, crash, is_wanted, last_line
from sftkey_train.embedded import embedded_folder
from tasks.files import remove

PART = "inputs"
MOST_SECONDS = 60.0
"""20 on a machine that does nothing else."""
_OWN = ("out", "said", "runs")
"""What a command may write in its folder."""


def inputs(ground: Ground, most: int | None = None, only: str | Collection[str] = "") -> Iterator[Outcome]:
    """The outcomes.

    Args:
        ground: Where.
        most: Cases at most, drawn among all; all where None.
        only: Words that a case has to have; or the cases.
    """
    ground.finished()
    tiny = embedded_folder()
    found = [*bad_lines(), *bad_texts(), *bad_data(), *bad_models(tiny), *bad_adapters(tiny)]
    names = [bad.words for bad in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    wanted = [bad for bad in found if is_wanted(bad.words, only)]
    if most is not None and most < len(wanted):
        wanted = random.Random(ground.seed).sample(wanted, most)
    cases: dict[str, Callable[[], tuple[Verdict, str]]] = {
        bad.words: partial(_try, ground, bad) for bad in wanted
    }
    yield from ground.each(PART, cases)


def _try(ground: Ground, bad: Bad) -> tuple[Verdict, str]:
    """Writes what the input needs into an empty folder, and calls the command there."""
    place = ground.state / "place"
    remove(place)
    place.mkdir()
    if bad.needs_run:
        shutil.copytree(ground.state / "kept/finished/run", place / "run", ignore=_unread)
    bad.write(place)
    before = _content(place)
    running = ground.start(bad.arguments, "input", place=place, environment=bad.environment)
    ended = running.wait(MOST_SECONDS)
    lines = [line for line in ended.err.splitlines() if line.strip()]
    shown = [line for line in ended.out.splitlines() if line.startswith("✗")]
    if ended.code == 2 and not lines and shown and bad.arguments[0] == "inspect":
        said = shown[0]
    elif wrong := crash(ended, None):
        return "crashed", wrong
    elif ended.code == 0:
        return "silently wrong", f"accepted: {last_line(ended.out)}"
    elif len(lines) != 1:
        return "crashed", f"{len(lines)} lines: {' | '.join(lines)[:200]}"
    else:
        said = lines[0]
    if unfit := [character for character in said if not character.isprintable()]:
        return "crashed", f"{unfit[0]!r} on the terminal"
    if changed := sorted(
        path for path in _changed(before, _content(place)) if path.partition("/")[0] not in _OWN
    ):
        return "crashed", f"written: {', '.join(changed)[:200]}"
    return "refused", said[:300]


def _unread(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("leaderboard.html", "stages", "lm-eval")]


def _content(place: Path) -> dict[str, str]:
    found = {}
    for path in place.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != ".lock":
            found[path.relative_to(place).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
