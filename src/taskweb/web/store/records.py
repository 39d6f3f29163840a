"""Whole records of an open store, each checked against its checksum."""

from __future__ import annotations

import sqlite3
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from taskweb.web.records.run import Run
from taskweb.web.records.streams import batches
from taskweb.web.store.checksums import KEY_BYTES, SETUP_MARK, metrics_sum, rest_sum, run_checksum, text_sum
from taskweb.web.store.damage import DamagedError
from taskweb.web.store.run_rows import read_run, read_setup, read_value

_AT_ONCE = 500  # ids in one query; older SQLite allows 999
_COLUMNS = (
    "runs.id, key, setups.name, setups.record, target.name, runs.source, source.name, seed, replicate, status, seconds, "
    "runs.origin, origins.record, details.record"
)
_JOINED = """
    FROM runs LEFT JOIN setups ON setups.id = runs.setup LEFT JOIN tasks AS target ON target.id = runs.target
    LEFT JOIN tasks AS source ON source.id = runs.source LEFT JOIN origins ON origins.id = runs.origin
    LEFT JOIN details ON details.run = runs.id
"""
_text_sum = lru_cache(maxsize=4096)(text_sum)
_setup = lru_cache(maxsize=256)(read_setup)
Cells = list[tuple[str | None, Any]]


class StoredRun(NamedTuple):
    """The cells of a run, names in place of ids. source_id, origin_id: None where the run has no source, or no origin.

    rest, checksum: None in a store of format 1, which has none. cells: name of each metric (None where it is missing) and its
    cell.
    """

    number: int
    key: Any
    setup_name: Any
    setup: Any
    target: Any
    source_id: Any
    source: Any
    seed: Any
    replicate: Any
    status: Any
    seconds: Any
    origin_id: Any
    origin: Any
    details: Any
    rest: Any
    checksum: Any
    cells: Cells

    @property
    def label(self) -> str:
        """How messages name the run."""
        return self.key.hex() if isinstance(self.key, bytes) else f"number {self.number}"

    def expected(self) -> tuple[int, int]:
        """The sum of the rest, and the checksum, that these cells should have. Raises DamagedError for cells of no run."""
        try:
            texts = [_text_sum(f"{self.setup_name}{SETUP_MARK}{self.setup}"), _text_sum(self.target)]
            source = None if self.source_id is None else _text_sum(self.source)
            rest = rest_sum(self.origin, self.details)
            cells = [(_text_sum(name), cell) for name, cell in self.cells]
            if len(self.key) != KEY_BYTES or (self.origin_id is None) != (self.origin is None):
                raise TypeError("a part is missing")
            numbers = self.seed, self.replicate, self.status, self.seconds
            return rest, run_checksum(self.key, (*texts, source), numbers, metrics_sum(cells), rest)
        except (struct.error, TypeError, KeyError, AttributeError):
            raise self._damaged("has parts that are missing or of another kind") from None

    def run(self) -> Run:
        """The run. Raises DamagedError unless every part is what was written."""
        expected = self.expected()
        if self.checksum is not None and (self.rest, self.checksum) != expected:
            raise self._damaged("does not match its checksum")
        facts = self.target, self.source, self.seed, self.replicate, self.status
        metrics = {str(name): read_value(cell) for name, cell in self.cells}
        try:
            return read_run(_setup(self.setup), facts, self.origin, self.details, metrics)
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise self._damaged("has parts that cannot be read") from None

    def _damaged(self, how: str) -> DamagedError:
        return DamagedError(f"the run {self.label} {how}", self.label)


def stored_runs(connection: sqlite3.Connection, numbers: Iterable[int], *, checksums: bool = True) -> dict[int, StoredRun]:
    """The runs with these numbers, as far as they are there. checksums: whether the store has any."""
    found: dict[int, StoredRun] = {}
    sums = "rest, checksum" if checksums else "NULL, NULL"
    for some in batches(numbers, _AT_ONCE):
        marks = ", ".join("?" * len(some))
        rows = connection.execute(f"SELECT {_COLUMNS}, {sums} {_JOINED} WHERE runs.id IN ({marks})", some).fetchall()
        cells = cells_of(connection, some)
        found |= {row[0]: StoredRun._make((*row, cells.get(row[0], []))) for row in rows}
    return found


def run_with_key(connection: sqlite3.Connection, key: bytes | None) -> int | None:
    """The number of the run with a key; None where there is none."""
    row = connection.execute("SELECT id FROM runs WHERE key = ?", (key,)).fetchone()
    return None if row is None else int(row[0])


def cells_of(connection: sqlite3.Connection, numbers: Sequence[int]) -> Mapping[int, Cells]:
    """Name and cell of every metric of these runs, by the number of the run."""
    found: defaultdict[int, Cells] = defaultdict(list)
    query = "SELECT run, metrics.name, value FROM scores LEFT JOIN metrics ON metrics.id = scores.metric"
    marks = ", ".join("?" * len(numbers))
    for number, name, cell in connection.execute(f"{query} WHERE run IN ({marks}) ORDER BY run, metric", numbers):
        found[number].append((name, cell))
    return found
