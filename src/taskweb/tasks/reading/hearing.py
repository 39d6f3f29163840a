"""Hearing how files are understood, while they are read by whatever a command calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from taskweb.tasks.task import Example

SHOWN_EXAMPLES = 3


class Understanding(Protocol):
    """How a file was understood."""

    @property
    def origin(self) -> str:
        """The name of the file."""
        ...

    @property
    def line(self) -> str:
        """One line that says it."""
        ...

    @property
    def is_plain(self) -> bool:
        """Whether nothing about it needs to be said."""
        ...


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read: how, and its first examples."""

    reading: Understanding
    examples: tuple[Example, ...]


Hear = Callable[[ReadFile], None]
_HEARER: ContextVar[Hear | None] = ContextVar("hearer", default=None)


@contextmanager
def hearing(hear: Hear) -> Iterator[None]:
    """Call `hear` with every file that is read within the block."""
    before = _HEARER.set(hear)
    try:
        yield
    finally:
        _HEARER.reset(before)


def tell(reading: Understanding, examples: Sequence[Example]) -> None:
    """Say that a file was read, to whoever wants to hear it."""
    hear = _HEARER.get()
    if hear is not None:
        hear(ReadFile(reading, tuple(examples[:SHOWN_EXAMPLES])))
