"""Saying how files of examples were understood, on stderr: a line for each, and three rows where they are asked for."""

from __future__ import annotations

import functools
import inspect
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


class Readings:
    """The files that a command has read and not yet spoken of. target: said in any case; others where it is not obvious.

    show: also print their first rows, even if it is quiet.
    """

    def __init__(self, target: str | None, *, show: bool, quiet: bool) -> None:
        self._target = "standard input" if target == "-" else target
        self._show = show
        self._quiet = quiet
        self._heard: list[ReadFile] = []
        self._said: set[str] = set()

    def hear(self, file: ReadFile) -> None:
        """Remember a file."""
        self._heard.append(file)

    def say(self) -> None:
        """Speak of the files that were read since the last time; of a file that is read in the same way again only once."""
        for file in self._heard:
            reading = file.reading
            line = f"Read {escaped(reading.origin)}: {escaped(reading.line)}."
            if line in self._said:
                continue
            self._said.add(line)
            if not reading.is_plain or reading.origin == self._target or self._show:
                say(line, quiet=self._quiet and not self._show)
            if self._show:
                show_examples(file.examples)
        self._heard.clear()


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
