"""How a number of items is shown while it is worked on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from taskweb.cli.console import say
from taskweb.cli.tables.formatting import duration

if TYPE_CHECKING:
    from taskweb.workflows.progress import Progress

_FEWEST_SECONDS, _MOST_SECONDS = 5.0, 60.0  # between two lines: a quarter of what has passed, within these
_LEAST_ITEMS_SHOWN = 64


def progress_for(*, quiet: bool, least: int = _LEAST_ITEMS_SHOWN) -> Progress:
    """How long work is shown: a bar on a terminal, a line now and then elsewhere, nothing when quiet.

    least: items below which there is no bar, as they are done too soon.
    """
    from taskweb.workflows.progress import silent

    if quiet:
        return silent
    return partial(_bar, least=least) if sys.stderr.isatty() else _lines


@contextmanager
def _bar(title: str, total: int, *, least: int) -> Iterator[Callable[[int], None]]:
    if total < least:
        yield lambda _done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    from taskweb.cli.terminal import Label, progress_bar

    with progress_bar(Label(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        shown = bar.add_task(title, total=total)
        yield lambda done: bar.advance(shown, done)


@contextmanager
def _lines(title: str, total: int) -> Iterator[Callable[[int], None]]:
    done_so_far, began = 0, time.monotonic()
    last = began

    def advance(done: int) -> None:
        nonlocal done_so_far, last
        done_so_far += done
        now = time.monotonic()
        if now - last >= min(max((now - began) / 4, _FEWEST_SECONDS), _MOST_SECONDS):
            last = now
            if not total:
                say(f"{title}: {done_so_far:,}")
                return
            left = (now - began) * (total - done_so_far) / max(done_so_far, 1)
            say(f"{title}: {done_so_far:,} of {total:,}, about {duration(left)} left")

    yield advance
