"""What a person sees while it runs: progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from tasks.shown import neutral

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType
    from rich.progress import Progress
    from rich.segment import Segment

    from sftkey_train.stored import StepMetrics

SECONDS_BETWEEN_LINES = 15.0


def console(*, stderr: bool = False) -> Console:
    """Where to print; silent in all processes of a launch but the first.

    Nothing that is printed is taken for markup, and no control character in it reaches the terminal.
    """
    from rich.console import Console

    from sftkey_train.distributed import is_first

    made = Console(stderr=stderr, quiet=not is_first(), markup=False, emoji=False, highlight=False)
    made.push_render_hook(_Neutral())  # type: ignore[arg-type]  # its base would import rich here
    return made


class _Neutral:
    """A hook of a console: no control character of what is drawn reaches the terminal, whoever draws it.

    Names are made neutral before, where columns are measured; this is for what nobody thought of.
    """

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_NeutralText(each) for each in renderables]


class _NeutralText:
    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._drawn, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield segment._replace(text="\n".join(map(neutral, segment.text.split("\n"))))


ShowStep = Callable[["StepMetrics"], None]
"""Shows a line of a stage's metrics history."""


class StageReporter(Protocol):
    """What the training of a stage reports to."""

    def line(self, text: str) -> None:
        """One plain line."""

    def stage(self, label: str, num_steps: int) -> AbstractContextManager[ShowStep]:
        """Shows the training of a stage."""


class Reporter:
    """Reports to a console.

    Args:
        to: The console; bars are drawn where it is a terminal. Standard error where None.
    """

    def __init__(self, to: Console | None = None) -> None:
        self.console = to or console(stderr=True)
        self._open: Progress | None = None
        self._num_open = 0

    def line(self, text: str) -> None:
        """One plain line."""
        self.console.print(neutral(text), highlight=False, markup=False, emoji=False, soft_wrap=True)

    def now_and_then(self, spoken: float, text: str) -> float:
        """Says a line where no bar is drawn and the last, of which the time is given, is long ago."""
        if self.console.is_terminal or time.perf_counter() - spoken <= SECONDS_BETWEEN_LINES:
            return spoken
        self.line(text)
        return time.perf_counter()

    @contextmanager
    def stage(self, label: str, num_steps: int) -> Iterator[ShowStep]:
        """Shows the training of a stage: step, losses, tokens a second, time left; several may be open."""
        label, started = neutral(label), time.perf_counter()
        spoken, last = started, "done"
        with self._bars() as bars:
            task = bars.add_task(label, total=num_steps, losses="")

            def show(metrics: StepMetrics) -> None:
                nonlocal last, spoken
                last = f"{metrics.step}/{metrics.num_steps} steps, {losses(metrics)}"
                bars.update(task, completed=metrics.step, losses=losses(metrics))
                spoken = self.now_and_then(spoken, f"  {label}: {last}")

            yield show
            bars.remove_task(task)
        self.line(f"  {label}: {last} in {time.perf_counter() - started:.1f} s")

    @contextmanager
    def _bars(self) -> Iterator[Progress]:
        """The bars of all open stages: a terminal has room for one live display only."""
        if self._open is None:
            self._open = _progress(self.console, "{task.fields[losses]}")
            self._open.start()
        bars = self._open
        self._num_open += 1
        try:
            yield bars
        finally:
            self._num_open -= 1
            if not self._num_open:
                bars.stop()
                self._open = None

    @contextmanager
    def evaluation(self, label: str, num_samples: int, num_stored: int) -> Iterator[_Samples]:
        """Shows the evaluation of a checkpoint: samples, tokens a second."""
        with _progress(self.console, "samples {task.fields[speed]}") as bars:
            shown = _Samples(neutral(label), num_samples, num_stored, bars, self)
            yield shown
        self.line(f"  {label}: {shown.summary()}")


def losses(metrics: StepMetrics) -> str:
    """The losses, or the reward, and the speed of a step, in few words."""
    speed = metrics.tokens / max(metrics.wall_seconds, 1e-9)
    if metrics.reward == metrics.reward:
        return f"reward {metrics.reward:.3f} {speed:,.0f} tok/s"
    return f"thinking {metrics.loss_thinking:.3f} answer {metrics.loss_answer:.3f} {speed:,.0f} tok/s"


def _progress(to: Console, counted: str) -> Progress:
    """Bars that leave no trace; none where the console is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("  {task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:.0f}/{task.total:.0f} " + counted),
        TimeRemainingColumn(compact=True),
        console=to,
        transient=True,
        disable=not to.is_terminal,
    )


class _Samples:
    """Progress of one checkpoint's evaluation: a bar, or a line now and then."""

    def __init__(
        self, label: str, num_samples: int, num_stored: int, bars: Progress, reporter: Reporter
    ) -> None:
        self._label, self._num_samples, self._num_stored = label, num_samples, num_stored
        self._bars, self._reporter = bars, reporter
        self._num_tokens, self._num_done = 0, num_stored
        self._started = self._spoken = time.perf_counter()
        self._task = bars.add_task(label, total=num_samples, completed=num_stored, speed="")

    def advance(self, num_tokens: int) -> None:
        """Counts a finished sample of so many tokens."""
        self._num_tokens += num_tokens
        self._num_done += 1
        done = f"{self._num_done}/{self._num_samples} samples, {self._speed()}"
        self._spoken = self._reporter.now_and_then(self._spoken, f"  {self._label}: {done}")
        self._bars.update(self._task, advance=1, speed=self._speed())

    def _speed(self) -> str:
        return f"{self._num_tokens / max(time.perf_counter() - self._started, 1e-9):,.0f} tok/s"

    def summary(self) -> str:
        made = self._num_samples - self._num_stored
        if not made:
            return f"{self._num_samples} samples, all in the store"
        stored = f", {self._num_stored} from the store" if self._num_stored else ""
        seconds = time.perf_counter() - self._started
        return f"{made} samples generated{stored} in {seconds:.1f} s, {self._speed()}"
