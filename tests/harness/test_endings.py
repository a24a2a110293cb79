"""However the command ends: one line, its exit code, and no process that goes on."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from command_line import command, environment, hear_interrupts

import harness.__main__ as main
from harness.endings import interrupted
from tasks.errors import InputError

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
SAID = {
    signal.SIGINT: "interrupted; the same command goes on from what is done\n",
    signal.SIGTERM: "ended by SIGTERM; the same command goes on from what is done\n",
    signal.SIGKILL: "",
}


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """More than can be scored within the test, half of it for Math-Verify."""
    path = tmp_path / "outputs.jsonl"
    with path.open("w") as file:
        for i in range(20_000):
            output = f"so \\boxed{{x^{{{i}}}+1<{i}}}"
            file.write(
                json.dumps({"id": str(i), "output": output, "gold": f"\\frac{{1}}{{{i + 2}}}+y"}) + "\n"
            )
    return path


def start(tmp_path: Path, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )


def of_session(leader: int) -> dict[int, str]:
    """The processes that a command has started, and itself: each with its command."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
    return found


def wait_until(true: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def end(process: "subprocess.Popen[str]", signum: signal.Signals, *, group: bool) -> None:
    (os.killpg if group else os.kill)(process.pid, signum)
    _, errors = process.communicate(timeout=20)
    assert errors == SAID[signum]
    assert process.returncode == CODES[signum]
    assert wait_until(lambda: not of_session(process.pid), 3), of_session(process.pid)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("signum", "group"),
    [
        (signal.SIGINT, True),
        (signal.SIGTERM, True),
        (signal.SIGTERM, False),
        (signal.SIGKILL, False),
    ],
)
def test_nothing_outlives_a_command_that_scores(
    tmp_path: Path, outputs: Path, signum: signal.Signals, group: bool
) -> None:
    """Its workers, and Math-Verify's two processes of each, also while they import."""
    process = start(tmp_path, "score", outputs, "--kind", "latex", "--tags", "boxed", "--workers", 2)
    assert wait_until(lambda: sum("spawn_main" in one for one in of_session(process.pid).values()) == 2, 60)
    if signum == signal.SIGKILL:
        assert wait_until(lambda: sum("nurse(" in one for one in of_session(process.pid).values()) > 4, 60)
    end(process, signum, group=group)


def hears_or_has_ended(process: "subprocess.Popen[str]") -> bool:
    """Whether the command hears SIGTERM, too, as Python that starts does not; or is past all that."""
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    both = 1 << signal.SIGINT - 1 | 1 << signal.SIGTERM - 1
    return bool(caught and int(caught[1], 16) & both == both) or process.poll() is not None


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_first_imports_is_one_line(tmp_path: Path, signum: signal.Signals) -> None:
    for _ in range(5):  # it takes half a second, in which a busy machine may look away
        process = start(tmp_path, "list", "benchmarks")
        assert wait_until(partial(hears_or_has_ended, process), 20)
        if process.poll() is None:
            break
        process.communicate()
    end(process, signum, group=False)


TWICE = """
import os, signal, time
from harness import endings

endings.hear()
try:
    os.kill(os.getpid(), signal.SIG{first})
    time.sleep(10)
except KeyboardInterrupt:
    try:
        os.kill(os.getpid(), signal.SIG{second})
        time.sleep(0.1)
    finally:
        endings.end()
"""
LOST = """
import os, signal, time
from harness import endings

class Ends:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)

endings.hear()
try:
    Ends()
    time.sleep(10)
except KeyboardInterrupt:
    endings.end()
"""


@pytest.mark.parametrize(
    ("script", "signum"),
    [
        (TWICE.format(first="TERM", second="TERM"), signal.SIGTERM),
        (TWICE.format(first="INT", second="INT"), signal.SIGINT),
        (TWICE.format(first="INT", second="TERM"), signal.SIGTERM),
        (LOST, signal.SIGTERM),
        (
            "import time\nfrom harness import endings\nendings.hear()\nexec('raise KeyboardInterrupt')",
            signal.SIGINT,
        ),
    ],
)
def test_a_second_signal_and_one_that_nobody_could_raise_are_one_line(
    script: str, signum: signal.Signals
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        preexec_fn=hear_interrupts,
    )
    assert (done.stderr, done.returncode) == (SAID[signum], CODES[signum])


def test_an_interruption_of_which_a_library_made_another_error_is_one() -> None:
    made = SystemError("initialization failed")
    assert not interrupted(made)
    made.__context__ = ImportError("no module")
    made.__context__.__cause__ = KeyboardInterrupt()
    assert interrupted(made)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), 2, "error: /a/b: "),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "make room"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 2, "make room"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/a"), 2, "error: /a: Is a directory; "),
        (PermissionError(errno.EACCES, "Permission denied", b"/a"), 2, "Permission denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "/" + "a" * 5000), 2, "aaa"),
        (OSError(errno.EROFS, "Read-only file system"), 2, "Read-only file system"),
        (RecursionError("maximum recursion depth exceeded"), 2, "nested too deeply"),
        (MemoryError(), 2, "memory does not suffice"),
        (OverflowError("cannot fit 'int'"), 2, "a number is too large (cannot fit"),
        (InputError("a\x1b[31m\nb"), 2, "error: a\\x1b[31m b\n"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), 1, "failed: ConnectionResetError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_reaches_the_end_is_told_in_a_line(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main._tell(error) == code
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == {2: 1, 1: 2}[code]


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [("| sleep 0", 141, ""), ("> /dev/full", 2, "error: no room: "), (">&-", 0, "")],
)
def test_no_standard_output_is_no_traceback(tmp_path: Path, target: str, code: int, said: str) -> None:
    line = f"{' '.join(command('list', 'benchmarks'))} {target}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == bool(said)
