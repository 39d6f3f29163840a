"""How the trials of the demo are shown: a share of the whole, and the time that the rest takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskweb.cli.console import say
from taskweb.cli.tables.formatting import duration

if TYPE_CHECKING:
    from taskweb.workflows.trial_time import TrialTime

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def shown_trials(expected: TrialTime, began: float, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A function to call with the numbers of webs and targets that are done; a bar on a terminal, elsewhere lines.

    began: when the trials did, by the monotonic clock.
    """
    if quiet:
        yield lambda _webs, _targets: None
        return
    if not sys.stderr.isatty():
        last = -_SECONDS_BETWEEN_LINES

        def write(webs: int, targets: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _SECONDS_BETWEEN_LINES:
                last = now
                say(trial_line(expected, webs, targets, now - began))

        yield write
        return
    from rich.progress import BarColumn

    from taskweb.cli.terminal import Label, progress_bar

    with progress_bar(BarColumn(), Label()) as bar:
        shown = bar.add_task("Measuring and training", total=1.0)

        def move(webs: int, targets: int) -> None:
            line = trial_line(expected, webs, targets, time.monotonic() - began)
            bar.update(shown, description=line, completed=expected.share(webs, targets))

        yield move


def trial_line(expected: TrialTime, webs: int, targets: int, elapsed: float) -> str:
    """How much is done, and how long the rest takes where that is known. elapsed: seconds."""
    done = f"Measuring and training: {100 * expected.share(webs, targets):.0f}% done"
    left = expected.seconds_left(webs, targets, elapsed)
    return f"{done}, about {duration(left)} left" if left else done
