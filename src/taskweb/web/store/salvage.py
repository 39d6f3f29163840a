"""Going through a damaged store: every run that is whole, and the name of every other one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from taskweb.web.records.run import Run
from taskweb.web.records.streams import batches
from taskweb.web.store.damage import DamagedError
from taskweb.web.store.records import StoredRun, stored_runs

_AT_ONCE = 500
_KEYS_IN_INDEX = "SELECT id, key FROM runs INDEXED BY sqlite_autoindex_runs_1 ORDER BY key"
_KEYS_IN_TABLE = "SELECT id, key FROM runs NOT INDEXED ORDER BY id"
_NUMBERS = ("SELECT DISTINCT run, NULL FROM scores ORDER BY run", "SELECT run, NULL FROM details ORDER BY run")
_IDS = "SELECT setup, target, source, origin FROM runs WHERE id = ?"
_METRICS = "SELECT metric, value FROM scores WHERE run = ? ORDER BY metric"
_FAULTS = (sqlite3.Error, UnicodeDecodeError)


def salvaged(connection: sqlite3.Connection, *, checksums: bool) -> Iterator[tuple[str, Run | DamagedError]]:
    """Every run of which any table or index knows: its key, and the run, or what is wrong with it."""
    numbers = _known_numbers(connection)
    names: list[_IndexedNames] = []  # read when they are needed first
    for some in batches(sorted(numbers), _AT_ONCE):
        for number, found in _readable(connection, some, checksums):
            key = numbers[number]
            label = key.hex() if isinstance(key, bytes) else f"number {number}"
            if isinstance(found, DamagedError):
                yield label, DamagedError(f"the run {label} {found}", label)
                continue
            try:
                run = found.run()
                if not checksums and run.key != found.label:
                    raise DamagedError(f"the run {label} does not match its key", label)
                yield found.label, run
            except DamagedError as fault:
                names = names or [_IndexedNames.of(connection)]
                yield found.label, _with_other_names(connection, found, names[0]) or fault


def first_damage(connection: sqlite3.Connection, *, checksums: bool) -> DamagedError | None:
    """What is wrong with the first run that is not whole; None where every run is."""
    return next((found for _, found in salvaged(connection, checksums=checksums) if isinstance(found, DamagedError)), None)


def _known_numbers(connection: sqlite3.Connection) -> dict[int, Any]:
    """The numbers of all runs that any part of the file knows, with their keys where those are known."""
    found: dict[int, Any] = {}
    for query in (_KEYS_IN_INDEX, _KEYS_IN_TABLE, f"{_KEYS_IN_TABLE} DESC", *_NUMBERS):
        with suppress(*_FAULTS):  # as far as it can be read
            for number, key in connection.execute(query):
                if isinstance(number, int) and found.get(number) is None:
                    found[number] = key
    return found


def _readable(
    connection: sqlite3.Connection, numbers: list[int], checksums: bool
) -> Iterator[tuple[int, StoredRun | DamagedError]]:
    """The runs with these numbers; where a page cannot be read, those beside it one by one."""
    try:
        found = stored_runs(connection, numbers, checksums=checksums)
    except _FAULTS:
        if len(numbers) == 1:
            yield numbers[0], DamagedError("cannot be read")
            return
        middle = len(numbers) // 2
        yield from _readable(connection, numbers[:middle], checksums)
        yield from _readable(connection, numbers[middle:], checksums)
        return
    for number in numbers:
        yield number, found.get(number, DamagedError("is missing"))


@dataclass(frozen=True, slots=True)
class _IndexedNames:
    """Names and records by id, as the indexes have them: a second copy of each."""

    setups: dict[int, str]
    tasks: dict[int, str]
    metrics: dict[int, str]
    origins: dict[int, str]

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> _IndexedNames:
        def texts(table: str, column: str) -> dict[int, str]:
            found: dict[int, str] = {}
            for order in ("", "DESC"):
                query = f"SELECT id, {column} FROM {table} INDEXED BY sqlite_autoindex_{table}_1 ORDER BY {column} {order}"  # noqa: S608
                with suppress(*_FAULTS):
                    found.update(iter(connection.execute(query)))
            return found

        return cls(texts("setups", "record"), texts("tasks", "name"), texts("metrics", "name"), texts("origins", "record"))


def _with_other_names(connection: sqlite3.Connection, stored: StoredRun, names: _IndexedNames) -> Run | None:
    """The run with the names of the indexes, if those are what was written."""
    try:
        setup, target, source, origin = connection.execute(_IDS, (stored.number,)).fetchone()
        cells = connection.execute(_METRICS, (stored.number,)).fetchall()
        record = names.setups[setup]
        run = stored._replace(
            setup=record,
            setup_name=json.loads(record)[0],
            target=names.tasks[target],
            source=None if source is None else names.tasks[source],
            origin=None if origin is None else names.origins[origin],
            cells=[(names.metrics[metric], cell) for metric, cell in cells],
        ).run()
        return run if run.key == stored.label else None
    except (*_FAULTS, LookupError, TypeError, ValueError, DamagedError):
        return None
