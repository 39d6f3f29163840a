"""Streams of runs: a look at the first ones, and batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from taskweb.web.records.run import Run

T = TypeVar("T")
_FIRST_RUNS = 10_000


def peek(runs: Iterable[Run]) -> tuple[list[Run], Iterator[Run]]:
    """The first 10,000 runs, which decide the columns of a table, and a stream of all runs, the first ones included."""
    stream = iter(runs)
    first = list(islice(stream, _FIRST_RUNS))
    return first, chain(first, stream)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` items, in order."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
