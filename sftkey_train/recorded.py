"""What every trainer of a stage keeps of it: a history, what it took, and saves that can be gone on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from sftkey_train.distributed import wait
from sftkey_train.settings import SMALL_MODEL
from sftkey_train.stages import StageNode
from sftkey_train.stored import Progress, StepMetrics

OnStep = Callable[[StepMetrics], None]


@contextmanager
def few_threads(model: torch.nn.Module) -> Iterator[None]:
    """One thread for a small model: its matrices are not worth the threads' waiting for each other."""
    own = torch.get_num_threads()
    if sum(parameter.numel() for parameter in model.parameters()) < SMALL_MODEL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(own)


class Recorded(Trainer):
    """A Trainer that keeps a stage's history and counts its tokens, also over an interruption."""

    def begin(self, node: StageNode, on_step: OnStep) -> None:
        """To be called before the Trainer's own constructor; `attend` after it."""
        self._node, self._on_step = node, on_step
        self.settings = node.settings
        self.history: list[StepMetrics] = []
        self._counted = torch.zeros(2, dtype=torch.int64)  # tokens, tokens with loss
        self._seconds_before, self._started = 0.0, time.perf_counter()

    def attend(self) -> None:
        """Decides after each step whether it is logged and saved, in the place of transformers' printing."""
        self.pop_callback(PrinterCallback)
        self.add_callback(_Clock(self))

    @property
    def seconds(self) -> float:
        """Spent training so far, before a resumption too."""
        return self._seconds_before + time.perf_counter() - self._started

    def take_up(self, saved: Path) -> Progress:
        """Goes on from what a save knows; weights, optimiser and random state are transformers' matter."""
        progress = Progress.read(saved)
        self.history = list(progress.history)
        self._counted = torch.tensor([progress.tokens_forward, progress.tokens_loss])
        self._seconds_before = progress.wall_seconds
        return progress

    def keep(self, metrics: StepMetrics) -> None:
        """Adds a line to the history, and shows it."""
        self.history.append(metrics)
        if self.is_world_process_zero():
            self._on_step(metrics)

    def is_logged(self, step: int) -> bool:
        """Whether a step gives a line of history."""
        return step % self.settings.log_every == 0 or step >= self.state.max_steps

    def look(self) -> None:
        """Called after each step, before anything is logged or saved."""

    def may_save(self) -> bool:
        """Whether a save now can be gone on from exactly."""
        return True

    def loss_since_last_line(self) -> float:
        """Losses of the steps that no line of history has told of yet, added up."""
        return 0.0

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Transformers' own save, then what it does not know; the last file written makes it whole."""
        super()._save_checkpoint(model, trial)
        wait()  # until all have written their part
        loss_sum, seconds = self.loss_since_last_line(), self.seconds
        if self.is_world_process_zero():
            tokens_forward, tokens_loss = self._counted.tolist()
            progress = Progress(tuple(self.history), tokens_forward, tokens_loss, loss_sum, seconds)
            progress.complete(Path(self.args.output_dir), self.state.global_step)


class _Clock(TrainerCallback):
    """After each step asks for a line of history, looks at the model, and may ask for a save."""

    def __init__(self, trainer: Recorded) -> None:
        self._trainer = trainer
        self._saved_at = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After each optimiser step."""
        trainer = self._trainer
        control.should_log = trainer.is_logged(state.global_step)
        trainer.look()
        done = state.global_step >= state.max_steps
        if not done and trainer.may_save() and self._is_time():
            control.should_save = True
            self._saved_at = time.perf_counter()

    def _is_time(self) -> bool:
        """The first process decides for all: their clocks may differ, their steps must not."""
        trainer = self._trainer
        due = time.perf_counter() - self._saved_at >= 60 * trainer.settings.save_minutes
        if trainer.args.world_size == 1:
            return due
        # A reduce on the device, since this runs after each step: gathering objects would wait for gloo.
        flag = torch.tensor([float(due and trainer.is_world_process_zero())], device=trainer.args.device)
        return bool(trainer.accelerator.reduce(flag, "sum").item())
