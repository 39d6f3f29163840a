"""How progress of a plan is shown while it runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskweb.cli.console import say
from taskweb.cli.tables.formatting import duration
from taskweb.cli.tables.plan_answers import waiting_text

if TYPE_CHECKING:
    from taskweb.experiments.run_progress import PlanProgress

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Callable[[PlanProgress], None]]:
    """A function that shows the progress it is called with on stderr; nothing when quiet."""
    if quiet:
        yield lambda _progress: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


def progress_line(progress: PlanProgress) -> str:
    """Runs done, running, failed and left, speed and time left, in one line."""
    parts = [f"{progress.known + progress.done:,} of {progress.total:,} runs are done"]
    if progress.running:
        parts.append(f"{len(progress.running):,} running")
    if progress.waiting[0] and progress.left:
        parts.append(waiting_text(progress.waiting))
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.left:
        parts.append(f"{progress.left:,} left")
    if progress.runs_per_hour is not None:
        parts.append(f"{progress.runs_per_hour:,.0f} runs/h")
    if progress.left and progress.seconds_left is not None:
        parts.append(f"about {duration(progress.seconds_left)} left")
    return f"{progress.plan}: {', '.join(parts)}."


def _lines() -> Callable[[PlanProgress], None]:
    """Print the first state, the last, and one every few seconds if something changed."""
    last, said = -_SECONDS_BETWEEN_LINES, ""

    def show(progress: PlanProgress) -> None:
        nonlocal last, said
        line, now = progress_line(progress), time.monotonic()
        if line != said and (not said or not progress.left or now - last >= _SECONDS_BETWEEN_LINES):
            last, said = now, line
            say(line)

    return show


@contextmanager
def _bar() -> Iterator[Callable[[PlanProgress], None]]:
    from rich.progress import BarColumn

    from taskweb.cli.terminal import Label, progress_bar

    with progress_bar(BarColumn(), Label()) as bar:
        shown = bar.add_task("", total=None)

        def show(progress: PlanProgress) -> None:
            done = progress.known + progress.done
            bar.update(shown, description=progress_line(progress), total=progress.total, completed=done)

        yield show
