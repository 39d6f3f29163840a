"""Where things are printed: results on stdout, everything else on stderr; progress as a bar or as plain lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from taskweb.workflows.progress import Progress

_PLAIN_WIDTH = 132  # for pipes and files, where there is no terminal to measure
_SECONDS_BETWEEN_LINES = 5.0
_LEAST_ITEMS_SHOWN = 64


class StoppedError(Exception):
    """An interrupt that left all in order; the message says, in one line, how to go on."""


def output_console() -> Console:
    """The console for results."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)


def print_json(value: object) -> None:
    """A value as JSON on stdout; escaped where the stream cannot hold every character."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    sys.stdout.write(json.dumps(value, ensure_ascii=encoding != "utf8", indent=2, allow_nan=False) + "\n")


def say_notes(notes: Iterable[str], *, quiet: bool) -> None:
    """What a person should know of a result, a line each on stderr."""
    for note in dict.fromkeys(notes):
        say(f"Note: {note.rstrip('.')}.", quiet=quiet)


def say(message: str, *, quiet: bool = False) -> None:
    """One line on stderr."""
    if not quiet:
        sys.stderr.write(message + "\n")


def consent_of(*, yes: bool, quiet: bool) -> Callable[[str], bool]:
    """Show what something costs; on a terminal, ask whether to go on."""

    def consent(cost: str) -> bool:
        asked = not yes and sys.stdin.isatty() and sys.stderr.isatty()
        say(cost, quiet=quiet and not asked)
        if not asked:
            return True
        sys.stderr.write("Go on? [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    return consent


def progress_for(*, quiet: bool, least: int = _LEAST_ITEMS_SHOWN) -> Progress:
    """How long work is shown: a bar on a terminal, a line now and then elsewhere, nothing when quiet.

    least: fewer items than that are done too soon for a bar.
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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(title, total=total)
        yield lambda done: bar.advance(shown, done)


@contextmanager
def _lines(title: str, total: int) -> Iterator[Callable[[int], None]]:
    done_so_far, last = 0, time.monotonic()

    def advance(done: int) -> None:
        nonlocal done_so_far, last
        done_so_far += done
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            say(f"{title}: {done_so_far} of {total}")

    yield advance
