"""How a training is shown while it runs: a bar with the loss on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from taskweb.cli.console import say
from taskweb.cli.terminal import Label, progress_bar
from taskweb.training.mixture_training import LOSS, SCORE

if TYPE_CHECKING:
    from taskweb.training.loop import Progress as Update

_SECONDS_BETWEEN_LINES = 10.0


class TrainingProgress:
    """Shows updates: a bar on a terminal; elsewhere a line every few seconds and at every evaluation."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        self.title, self.quiet = title, quiet
        self.last = time.monotonic()
        self.bar: Progress | None = None
        if not quiet and sys.stderr.isatty():
            columns = (Label(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = progress_bar(*columns, Label("figures"))

    def __enter__(self) -> Callable[[Update], None]:
        if self.bar is not None:
            self.bar.start()
            self.shown = self.bar.add_task(self.title, total=None, figures="")
        return self._show

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    def _show(self, update: Update) -> None:
        metrics = update.metrics or {}
        held_out = [f"held-out {name} {metrics[name]:.3f}" for name in (LOSS, SCORE) if name in metrics]
        figures = ", ".join([f"loss {update.loss:.3f}", *held_out])
        if self.bar is not None:
            self.bar.update(self.shown, completed=update.step, total=update.total, figures=figures)
        elif update.metrics is not None or time.monotonic() - self.last >= _SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            say(f"{self.title}: {update.step} of {update.total}, {figures}", quiet=self.quiet)
