"""Where the faults happen: a finished run with store and cache, put back before each case; and outcomes."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks import ROOT
from benchmarks.faults.figures import Figures, board, difference, figures, table
from benchmarks.faults.small import HUNG, Ended, Running, apart, start
from tasks.files import remove

Verdict = Literal["healed", "unaffected", "refused", "silently wrong", "crashed"]
FAILED: tuple[Verdict, ...] = ("silently wrong", "crashed")
THREE = "[sft, sftkey-tag, rho-1]"
CONFIG = """\
variants: {variants}
benchmarks: [world_number]
tags: {tags}
seeds: 1
limit: 8
train_limit: 32
alpha: 0.6
reference: sftkey-tag
train: {{epochs: 1, batch_size: 8, learning_rate: 2.0e-3, second_learning_rate: 1.0e-3, warmup_epochs: 0.1}}
eval: {{engine: hf, max_new_tokens: 40, engine_settings: {{kv_cache_gib: 0.25}}}}
"""
TAGS = """\
name: faults-tags
think_open: <r>
think_close: </r>
answer_open: <a>
answer_close: </a>
"""
_SAID_SO = re.compile(r"again|damaged|dropped|removed|left out|moved|ignored|waiting for", re.IGNORECASE)
_WORK = re.compile(r"(made|trained|encoded|built|scored|read) again|damaged|dropped", re.IGNORECASE)


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    Attributes:
        part: Of the campaign.
        case: What was done, in words that name it alone.
        verdict: What came of it.
        said: The line that the command said, or where figures differ.
    """

    part: str
    case: str
    verdict: Verdict
    said: str = ""


@dataclass
class Ground:
    """A folder of state; its `work` is at the same place always, since what is stored names places.

    Attributes:
        state: Folder, which an interrupted campaign finds again.
        seed: Decides everything that is drawn.
        cold: Whether each command is a fresh process.
        variants: Of the run.
    """

    state: Path
    seed: int = 0
    cold: bool = False
    variants: str = THREE
    done: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    known: Figures = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        if self._log.is_file():
            rows = map(json.loads, self._log.read_text("utf-8").splitlines())
            self.done = {(row["part"], row["case"]): Outcome(**row) for row in rows}

    @property
    def work(self) -> Path:
        """What is damaged."""
        return self.state / "work"

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.work / "run"

    @property
    def cache(self) -> Path:
        """The command's cache."""
        return self.work / "cache"

    @property
    def config(self) -> Path:
        """The run's configuration, which no case damages."""
        path = self.state / "config.yaml"
        if not path.is_file():
            tags = self.state / "tags.yaml"
            tags.write_text(TAGS, encoding="utf-8")
            path.write_text(CONFIG.format(tags=tags, variants=self.variants), encoding="utf-8")
        return path

    @property
    def _log(self) -> Path:
        return self.state / "outcomes.jsonl"

    def train_and_eval(self, *more: object, out: Path | None = None) -> list[object]:
        """The main job's command line."""
        return ["train-and-eval", "--config", self.config, "--out", out or self.run, *more]

    def start(
        self,
        arguments: Sequence[object],
        name: str = "said",
        *,
        place: Path = ROOT,
        cold: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Running:
        """Begins a command over the cache of this ground, called in a folder."""
        said, own = self.state / "said" / name, {"HARNESS_CACHE": str(self.cache), **(environment or {})}
        return start(arguments, said, own, cold=cold or self.cold, place=place)

    def call(self, *arguments: object, seconds: float = 240) -> Ended:
        """Runs a command to its end."""
        return self.start(arguments).wait(seconds)

    def keep(self, name: str) -> None:
        """Keeps the work as it is now under a name."""
        remove(self.state / "kept" / name)
        shutil.copytree(self.work, self.state / "kept" / name, symlinks=True)

    def has(self, name: str) -> bool:
        """Whether a work is kept under a name."""
        return (self.state / "kept" / name).is_dir()

    def put_back(self, name: str) -> None:
        """Makes the work what was kept."""
        remove(self.work)
        shutil.copytree(self.state / "kept" / name, self.work, symlinks=True)

    def finished(self) -> None:
        """Makes the reference run, where the state lacks it, and puts it into place."""
        if not self.has("finished"):
            remove(self.work)
            ended = self.call(*self.train_and_eval())
            if ended.code:
                raise RuntimeError(f"the reference run failed: {ended.err[-2000:]}")
            self.keep("finished")
            (self.state / "seconds").write_text(str(ended.seconds))
        self.put_back("finished")

    def figures(self) -> Figures:
        """What the finished run came to: nobody disturbed it."""
        if not self.known:
            self.known.update(apart(of_run, self.state / "kept" / "finished" / "run"))
        return self.known

    @property
    def seconds(self) -> float:
        """What the finished run took."""
        return float((self.state / "seconds").read_text())

    def note(self, outcome: Outcome) -> Outcome:
        """Writes an outcome down, so that the campaign goes on behind it."""
        self.done[outcome.part, outcome.case] = outcome
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
        return outcome

    def each(self, part: str, cases: Mapping[str, Callable[[], tuple[Verdict, str]]]) -> Iterator[Outcome]:
        """The outcomes of cases by their words; those that are done are not done again."""
        for case, do in cases.items():
            known = self.done.get((part, case))
            if known is None:
                verdict, said = do()
                known = self.note(Outcome(part, case, verdict, said))
                show = f"{time.strftime('%H:%M:%S')} {verdict:<14} {case}: {said}"
                print(show[:400], flush=True)
            yield known


def judge(ended: Ended, reference: Any, find: Callable[[], Any], place: Path) -> tuple[Verdict, str]:
    """What came of a command over something damaged.

    Args:
        ended: The command.
        reference: What an undamaged one gives.
        find: Finds what this one gave; called where it says that it is done.
        place: Folder, a path in which a refusal has to name.
    """
    if wrong := crash(ended, place):
        return "crashed", wrong
    if ended.code == 2:
        return "refused", last_line(ended.err)
    try:
        wrong = difference(reference, apart(find))
    except ValueError as error:
        return "silently wrong", f"nothing that can be read was written ({error})"
    if wrong:
        return "silently wrong", wrong
    spoken = [line.strip() for line in (ended.err + ended.out).splitlines() if _SAID_SO.search(line)]
    told = [line for line in spoken if _WORK.search(line)]
    return ("healed", told[0]) if told else ("unaffected", "")


def crash(ended: Ended, place: Path | None) -> str | None:
    """Why an end is none that a user may see: only figures, or one line with its place, are."""
    if ended.code == HUNG:
        return f"hung for {ended.seconds:.0f} s"
    if "Traceback (most recent" in ended.err:
        return f"traceback, exit code {ended.code}: {last_line(ended.err)}"
    if ended.code not in (0, 2):
        failed = [line for line in ended.err.splitlines() if line.startswith("failed: ")]
        return f"exit code {ended.code}: {[*failed, last_line(ended.err)][0][:300]}"
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    if ended.code == 2 and (len(errors) != 1 or last_line(ended.err) != errors[0][:300]):
        return f"exit code 2 without one last line of error: {last_line(ended.err)}"
    if ended.code == 2 and place is not None and str(place) not in errors[0]:
        return f"refused without a path: {errors[0]}"
    return None


def is_wanted(case: str, only: str | Collection[str]) -> bool:
    """Whether a case has words, or is one of some."""
    return only in case if isinstance(only, str) else case in only


def last_line(text: str) -> str:
    """The last line that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")[:300]


def of_run(run: Path) -> Figures:
    """What `train-and-eval` gives."""
    return figures(run)


def of_board(folder: Path) -> Figures:
    """What `leaderboard` gives."""
    return {"board": board(folder)}


def of_samples(run: Path) -> Figures:
    """What `rescore` gives."""
    return {"samples": table(run / "samples.parquet")}


def of_text(path: Path) -> Figures:
    """What `card` and `score` give."""
    return {"text": path.read_text("utf-8").splitlines()}


def sweep(ground: Ground) -> list[object]:
    """A small sweep's command line."""
    settings = ("--set", "variants=[sft]", "--set", "reference=sft", "--grid", "learning_rate=1e-3,2e-3")
    return ["sweep", "--config", ground.config, "--out", ground.run, *settings]


def of_sweep(run: Path) -> Figures:
    """What `sweep` gives."""
    return {"points": of_text(run / "sweep.json")["text"], "chosen": of_text(run / "chosen.yaml")["text"]}
