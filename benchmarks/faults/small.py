"""The command as a user calls it, in a fork of a process that has imported the libraries.

A case then costs a second, not ten.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from benchmarks import ROOT

HEAVY = (
    *("torch", "transformers", "transformers.trainer", "accelerate", "peft", "lm_eval", "lm_eval.evaluator"),
    *(
        "lm_eval.tasks",
        "datasets",
        "pandas",
        "pyarrow.parquet",
        "scipy.stats",
        "jinja2",
        "pydantic",
        "rich.table",
    ),
    *("plotly.graph_objects", "plotly.io", "math_verify", "harness.run", "harness.plan", "harness.jobs"),
    *("harness.engines.hf", "harness.evaluation.lm", "harness.external", "sftkey_train.trainer"),
    *("sftkey_train.embedded", "sftkey_train.references", "leaderboards.board.build"),
    *("leaderboards.report.write", "leaderboards.report.terminal", "tasks.scoring.math_verify"),
    *(f"harness.commands.{path.stem}" for path in (ROOT / "harness" / "commands").glob("[a-z]*.py")),
)
"""What the command imports at some time; importing it beforehand runs nothing of it."""
HUNG = 124
T = TypeVar("T")


@dataclass(frozen=True)
class Ended:
    """A command that has ended; `code` is `HUNG` where it had to be killed."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass
class Running:
    """A command at work, in a session of its own, its output in two files."""

    pid: int
    folder: Path
    began: float

    def signal(self, number: int) -> None:
        """Sends one to the process alone, as `kill` does."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Sends one to all of its group, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, seconds: float = 240) -> Ended:
        """Waits for its end, or kills it when its time is over."""
        code = self._code_within(seconds)
        if code is None:
            self.signal_group(signal.SIGKILL)
            os.waitpid(self.pid, 0)
            code = HUNG
        out, err = ((self.folder / name).read_text("utf-8", "replace") for name in ("out", "err"))
        return Ended(code, out, err, time.monotonic() - self.began)

    def _code_within(self, seconds: float) -> int | None:
        while time.monotonic() - self.began < seconds:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        return None


def warm_up(*more: str) -> None:
    """Imports what the command imports, and makes this process the one to which orphans come."""
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "400",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    from harness.__main__ import _quiet

    _quiet()
    for name in (*HEAVY, *more):
        with suppress(ImportError):
            importlib.import_module(name)
    if sys.platform == "linux":
        pr_set_child_subreaper: Any = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1)


def start(
    arguments: Sequence[object],
    folder: Path,
    environment: Mapping[str, str],
    *,
    cold: bool = False,
    place: Path = ROOT,
) -> Running:
    """Begins the command.

    Args:
        arguments: Behind `harness`.
        folder: Where its output goes, made where missing.
        environment: Variables beside this process's own.
        cold: As a fresh process, which imports everything anew.
        place: The folder that it is called in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began, told = time.monotonic(), [str(one) for one in arguments]
    if cold:
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness", *told],
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                cwd=place,
                preexec_fn=_hear_interrupts,
            )
        process.returncode = 0  # `Running` waits for it
        return Running(process.pid, folder, began)
    pid = os.fork()
    if pid == 0:
        os.chdir(place)
        _become(told, folder, environment)
    return Running(pid, folder, began)


def apart(work: Callable[..., T], *arguments: Any) -> T:
    """Calls a function in a fork: whoever forks again must not have used the libraries itself."""
    import pickle

    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with os.fdopen(theirs, "wb") as pipe:
                try:
                    pickle.dump((work(*arguments), None), pipe)
                except Exception as error:
                    pickle.dump((None, f"{type(error).__name__}: {error}"), pipe)
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    value, wrong = pickle.loads(said)
    if wrong is not None:
        raise ValueError(wrong)
    return value


def offspring() -> dict[int, str]:
    """The living processes below this one, with their command lines; orphans of it come to it."""
    parents, lines = dict[int, int](), dict[int, str]()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(path.name)] = int(parent)
                lines[int(path.name)] = (
                    (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
    return {pid: line for pid, line in lines.items() if os.getpid() in _ancestors(pid, parents)}


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while (pid := parents.get(pid, 0)) > 1:
        yield pid


def _hear_interrupts() -> None:
    """Whoever is started in the background would ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _become(told: list[str], folder: Path, environment: Mapping[str, str]) -> NoReturn:
    """In a fork: turns into the command."""
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.environ |= environment
        for name, flags, into in (
            ("out", os.O_WRONLY, 1),
            ("err", os.O_WRONLY, 2),
            ("/dev/null", os.O_RDONLY, 0),
        ):
            how = flags | (os.O_CREAT | os.O_TRUNC if into else 0)
            os.dup2(os.open(folder / name, how), into)
        for stream, descriptor in (("stdout", 1), ("stderr", 2), ("__stdout__", 1), ("__stderr__", 2)):
            setattr(sys, stream, open(descriptor, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        code = _call(told)
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _call(told: list[str]) -> int:
    """Calls the command in this process; gives its exit code, after what is to be done at exit."""
    import atexit
    import traceback

    sys.argv = ["harness", *told]
    from harness.__main__ import main

    try:
        main()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    return code
