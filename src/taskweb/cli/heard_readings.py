"""Saying how files of examples were understood, on stderr: a line for each, and three rows where they are asked for."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from taskweb.cli.console import say
from taskweb.cli.escaping import escaped
from taskweb.cli.options import shared

if TYPE_CHECKING:
    from taskweb.tasks import Example
    from taskweb.tasks.reading.hearing import ReadFile
    from taskweb.workflows.progress import Progress

_LONGEST = 300
_MOST_NAMED = 3  # files that are read alike before they are counted


class Readings:
    """The files that a command has read and not yet spoken of. target: said in any case; others where it is not obvious.

    show: also print their first rows, even if it is quiet.
    """

    def __init__(self, target: str | None, *, show: bool, quiet: bool) -> None:
        self._target = "standard input" if target == "-" else target
        self._show = show
        self._quiet = quiet
        self._heard: list[ReadFile] = []
        self._said: set[tuple[str, str]] = set()

    def hear(self, file: ReadFile) -> None:
        """Remember a file."""
        self._heard.append(file)

    def say(self) -> None:
        """Speak of the files that were read since the last time.

        Of a file that is read in the same way again only once, and of many files that are read alike in one line.
        """
        new = {_key(file): file for file in self._heard if _key(file) not in self._said}
        self._said.update(new)
        self._heard.clear()
        if self._show:
            for (origin, reading), file in new.items():
                say(_line(origin, reading))
                show_examples(file.examples)
            return
        told = [key for key, file in new.items() if not file.reading.is_plain or key[0] == self._target]
        for line in _lines(told):
            say(line, quiet=self._quiet)


def _key(file: ReadFile) -> tuple[str, str]:
    return file.reading.origin, file.reading.line


def _lines(told: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each file, or one for many of a folder that are read alike. told: (file, how it is read)."""
    alike: dict[tuple[str, str], list[str]] = {}
    for origin, reading in told:
        alike.setdefault((os.path.dirname(origin), reading), []).append(origin)  # noqa: PTH120 - also of `hf:` references
    for (folder, reading), origins in alike.items():
        if len(origins) > _MOST_NAMED:
            origins = [f"{len(origins):,} files in {folder or 'this folder'}"]
        yield from (_line(origin, reading) for origin in origins)


def _line(name: str, reading: str) -> str:
    return f"Read {escaped(name)}: {escaped(reading)}."


_CURRENT: ContextVar[Readings | None] = ContextVar("readings", default=None)


def tells_readings(command: Callable[..., None]) -> Callable[..., None]:
    """A command that says how it understood the files that it read, with the option `--show-reading`.

    It says so at its end, or earlier where it calls `say_readings`. Where it fails, it says no more than what is wrong.
    """
    own = inspect.signature(command)
    option = inspect.Parameter("show_reading", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=shared.ShowReading)

    @functools.wraps(command)
    def telling(*, show_reading: bool, **given: Any) -> None:
        from taskweb.tasks.reading.hearing import hearing

        target = next((str(given[name]) for name in ("target", "plan") if given.get(name) is not None), None)
        readings = Readings(target, show=show_reading, quiet=bool(given.get("quiet")))
        before = _CURRENT.set(readings)
        try:
            with hearing(readings.hear):
                command(**given)
        finally:
            _CURRENT.reset(before)
        readings.say()

    telling.__signature__ = own.replace(parameters=[*own.parameters.values(), option])  # type: ignore[attr-defined]
    telling.__annotations__ = {**command.__annotations__, "show_reading": shared.ShowReading}
    return telling


def say_readings() -> None:
    """Speak of the files that the command has read so far, before long work begins."""
    readings = _CURRENT.get()
    if readings is not None:
        readings.say()


def after_readings(progress: Progress) -> Progress:
    """The progress of work before which the command speaks of the files that it has read."""

    @contextmanager
    def shown(title: str, total: int) -> Iterator[Callable[[int], None]]:
        say_readings()
        with progress(title, total) as advance:
            yield advance

    return shown


def show_examples(examples: Iterable[Example]) -> None:
    """Print examples as they are understood."""
    for example in examples:
        for line in _rows_of(example):
            say(line)


def _rows_of(example: Example) -> Iterator[str]:
    yield f"  row {example.row}"
    yield f"    input    {_shortened(example.input)}"
    if example.choices is not None:
        yield f"    choices  {_shortened(' | '.join(example.choices))}"
    answers = " | ".join(example.accepted)
    yield f"    answer   {_shortened(answers) if answers else '(none)'}"


def _shortened(text: str) -> str:
    shown = escaped(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(text):,} characters)"
