"""What a person sees while it runs: progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from sftkey_train.stored import StepMetrics

SECONDS_BETWEEN_LINES = 15.0


def console(*, stderr: bool = False) -> Console:
    """Where to print; silent in all processes of a launch but the first."""
    from rich.console import Console

    from sftkey_train.distributed import is_first

    return Console(stderr=stderr, quiet=not is_first())


class StageProgress(Protocol):
    """Progress of one training stage."""

    def update(self, metrics: StepMetrics) -> None:
        """Shows a line of the metrics history."""


class StageReporter(Protocol):
    """What the training of a stage reports to."""

    def line(self, text: str) -> None:
        """One plain line."""

    def stage(self, label: str, num_steps: int) -> AbstractContextManager[StageProgress]:
        """Shows the training of a stage."""


class SampleProgress(Protocol):
    """Progress of one checkpoint's evaluation."""

    def advance(self, num_tokens: int) -> None:
        """Counts a finished sample of so many tokens."""


class Reporter:
    """Reports to a console.

    Args:
        to: The console; bars are drawn where it is a terminal. Standard error where None.
    """

    def __init__(self, to: Console | None = None) -> None:
        self.console = to or console(stderr=True)
        self._bars: Progress | None = None
        self._num_bars = 0

    def line(self, text: str) -> None:
        """One plain line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def stage(self, label: str, num_steps: int) -> Iterator[StageProgress]:
        """Shows the training of a stage: step, losses, tokens a second, time left; several may be open."""
        shown = _StageBar(label, num_steps, self) if self.console.is_terminal else _StageLines(label, self)
        started = time.perf_counter()
        with shown:
            yield shown
        self.line(f"  {label}: {shown.last} in {time.perf_counter() - started:.1f} s")

    @contextmanager
    def bars(self) -> Iterator[Progress]:
        """The bars of all open stages: a terminal has room for one live display only."""
        if self._bars is None:
            self._bars = _progress(self.console, "{task.fields[losses]}")
            self._bars.start()
        self._num_bars += 1
        try:
            yield self._bars
        finally:
            self._num_bars -= 1
            if not self._num_bars:
                self._bars.stop()
                self._bars = None

    @contextmanager
    def evaluation(self, label: str, num_samples: int, num_stored: int) -> Iterator[SampleProgress]:
        """Shows the evaluation of a checkpoint: samples, tokens a second."""
        bar = _SampleBar(label, num_samples, num_stored, self)
        with bar:
            yield bar
        self.line(f"  {label}: {bar.summary()}")


def losses(metrics: StepMetrics) -> str:
    """The losses and the speed of a step, in few words."""
    speed = metrics.tokens / max(metrics.wall_seconds, 1e-9)
    return f"thinking {metrics.loss_thinking:.3f} answer {metrics.loss_answer:.3f} {speed:,.0f} tok/s"


def _progress(to: Console, counted: str) -> Progress:
    """Bars that leave no trace; none where the console is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:.0f}/{task.total:.0f} " + counted),
        TimeRemainingColumn(compact=True),
        console=to,
        transient=True,
        disable=not to.is_terminal,
    )


class _StageLines:
    def __init__(self, label: str, reporter: Reporter) -> None:
        self._label, self._reporter = label, reporter
        self._spoken = time.perf_counter()
        self.last = "done"

    def __enter__(self) -> _StageLines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def update(self, metrics: StepMetrics) -> None:
        self.last = f"{metrics.step}/{metrics.num_steps} steps, {losses(metrics)}"
        if time.perf_counter() - self._spoken > SECONDS_BETWEEN_LINES:
            self._spoken = time.perf_counter()
            self._reporter.line(f"  {self._label}: {self.last}")


class _StageBar(_StageLines):
    def __init__(self, label: str, num_steps: int, reporter: Reporter) -> None:
        super().__init__(label, reporter)
        self._num_steps = num_steps
        self._open = ExitStack()

    def __enter__(self) -> _StageBar:
        self._progress = self._open.enter_context(self._reporter.bars())
        self._task = self._progress.add_task(self._label, total=self._num_steps, losses="")
        self._open.callback(self._progress.remove_task, self._task)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def update(self, metrics: StepMetrics) -> None:
        self.last = f"{metrics.step}/{metrics.num_steps} steps, {losses(metrics)}"
        self._progress.update(self._task, completed=metrics.step, losses=losses(metrics))


class _SampleBar:
    def __init__(self, label: str, num_samples: int, num_stored: int, reporter: Reporter) -> None:
        self._num_samples, self._num_stored = num_samples, num_stored
        self._label, self._reporter = label, reporter
        self._num_tokens, self._num_done = 0, num_stored
        self._spoken = time.perf_counter()
        self._started = time.perf_counter()
        self._progress = _progress(reporter.console, "samples {task.fields[speed]}")
        self._task = self._progress.add_task(label, total=num_samples, completed=num_stored, speed="")

    def __enter__(self) -> _SampleBar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def advance(self, num_tokens: int) -> None:
        self._num_tokens += num_tokens
        self._num_done += 1
        since = time.perf_counter() - self._spoken
        if not self._reporter.console.is_terminal and since > SECONDS_BETWEEN_LINES:
            self._spoken = time.perf_counter()
            done = f"{self._num_done}/{self._num_samples} samples, {self._speed():,.0f} tok/s"
            self._reporter.line(f"  {self._label}: {done}")
        self._progress.update(self._task, advance=1, speed=f"{self._speed():,.0f} tok/s")

    def _speed(self) -> float:
        return self._num_tokens / max(time.perf_counter() - self._started, 1e-9)

    def summary(self) -> str:
        made = self._num_samples - self._num_stored
        if not made:
            return f"{self._num_samples} samples, all in the store"
        stored = f", {self._num_stored} from the store" if self._num_stored else ""
        seconds = time.perf_counter() - self._started
        return f"{made} samples generated{stored} in {seconds:.1f} s, {self._speed():,.0f} tok/s"
