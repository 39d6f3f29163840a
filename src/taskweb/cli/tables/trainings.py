"""How a training looks on a terminal: its progress and its results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from taskweb.cli.console import say
from taskweb.cli.tables.formatting import duration, explained
from taskweb.cli.tables.grid import Grid
from taskweb.mixture import Mixture
from taskweb.training.mixture_training import LOSS, SCORE

if TYPE_CHECKING:
    from taskweb.training.loop import Progress as Update
    from taskweb.workflows.training import TrainedModel

_SECONDS_BETWEEN_LINES = 10.0


class Reporter:
    """Shows updates: a bar with the loss on a terminal; elsewhere a line now and then, and at every evaluation."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        self.title, self.quiet = title, quiet
        self.last = time.monotonic()
        self.bar: Progress | None = None
        if not quiet and sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, TextColumn("{task.fields[figures]}"), console=Console(stderr=True), transient=True)

    def __enter__(self) -> Callable[[Update], None]:
        if self.bar is not None:
            self.bar.start()
            self.shown = self.bar.add_task(self.title, total=None, figures="")
        return self._show

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
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


def training_tables(mixture: Mixture, trained: Sequence[TrainedModel], width: int) -> Iterator[RenderableType]:
    """Loss and score of each source task, at the first and at the best or last evaluation of every model."""
    for model in trained:
        history = model.history
        counts = f"   {history.step:,} updates · {history.tokens:,} tokens · {duration(history.seconds)}"
        yield Text.assemble("\n", (str(model.place), "bold cyan"), (counts, "dim"))
        grid = Grid("task", ">examples", ">held out", ">loss", ">score", "metrics")
        for task in mixture.tasks:
            grid.add_row(task.name, f"{task.train:,}", f"{task.held_out:,}", *_of_task(model, task.name, task.metrics))
        yield grid.fitted(width)
    yield Text()
    first = trained[0].history
    if first.resumed_at is not None:
        yield from explained("resumed", f"from the checkpoint after update {first.resumed_at}", width)
    if first.step < first.total_steps:
        yield from explained("stopped", f"after {first.step} of {first.total_steps} updates", width)
    if first.memory:
        yield from explained("memory", f"ran out; at most {first.micro_batch_size} examples were processed at once", width)
    if any(model.history.evaluations for model in trained):
        yield from explained("loss, score", "on held-out examples: at the first evaluation → with the saved weights", width)
    yield from explained("curves", f"{trained[0].place}/curves.csv", width)


def _of_task(model: TrainedModel, task: str, metrics: Sequence[str]) -> tuple[str, str, str]:
    if model.kept is None or f"{task}/{LOSS}" not in model.kept.metrics:
        return "", "", ""
    first, last = model.history.evaluations[0].metrics, model.kept.metrics
    shown = ", ".join(f"{metric} {last[f'{task}/{metric}']:.3f}" if len(metrics) > 1 else metric for metric in metrics)
    before, after = (fmean(of[f"{task}/{metric}"] for metric in metrics) for of in (first, last))
    return f"{first[f'{task}/{LOSS}']:.3f} → {last[f'{task}/{LOSS}']:.3f}", f"{before:.3f} → {after:.3f}", shown
