"""Looking at the first runs of a stream without losing them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from taskweb.web.records.run import Run

_LEAD = 10_000


def with_lead(runs: Iterable[Run]) -> tuple[list[Run], Iterator[Run]]:
    """The first 10,000 runs, by which the columns of a table are chosen, and all runs."""
    stream = iter(runs)
    lead = list(islice(stream, _LEAD))
    return lead, chain(lead, stream)
