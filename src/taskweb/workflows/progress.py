"""How workflows show long work: a title and a number of items, then how many are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

# How long work is shown: called with a title and the number of items (0: not known), it returns a context that yields a
# function to call with the number of items just done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextmanager
def silent(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
    """Show nothing."""
    yield lambda _done: None
