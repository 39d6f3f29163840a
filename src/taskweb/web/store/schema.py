"""The tables of a store, and the migrations of files of older versions."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from functools import lru_cache

from taskweb.web.records.streams import batches
from taskweb.web.store.damage import DamagedError
from taskweb.web.store.digest import StoreDigest
from taskweb.web.store.records import stored_runs

APPLICATION_ID = 0x74776562  # "tweb": marks an SQLite file as a store

_BATCH = 2000  # runs upgraded at a time

# A run is one narrow row; names and records that many runs share are rows of their own. `scores.value` has no type: NULL is
# a metric without a value and the text 'NaN' a value that is not a number, since SQLite turns NaN into NULL.
# `details` contains, as JSON, the parts of a run that scoring does not read.
_FIRST_TABLES = (
    "CREATE TABLE setups (id INTEGER PRIMARY KEY, name TEXT NOT NULL, record TEXT NOT NULL UNIQUE)",
    "CREATE TABLE tasks (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE metrics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE origins (id INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE)",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        setup INTEGER NOT NULL REFERENCES setups,
        target INTEGER NOT NULL REFERENCES tasks,
        source INTEGER REFERENCES tasks,
        seed INTEGER,
        replicate INTEGER NOT NULL,
        status TEXT NOT NULL,
        seconds REAL,
        origin INTEGER REFERENCES origins
    )""",
    """CREATE TABLE scores (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        metric INTEGER NOT NULL REFERENCES metrics,
        value,
        PRIMARY KEY (run, metric)
    ) WITHOUT ROWID""",
    "CREATE TABLE details (run INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE, record TEXT NOT NULL)",
)


def _create(connection: sqlite3.Connection) -> None:
    for statement in _FIRST_TABLES:
        connection.execute(statement)


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Checksums of runs (`rest`: of what scoring does not read), and the digest of the store."""
    connection.execute("ALTER TABLE runs ADD COLUMN rest INTEGER")
    connection.execute("ALTER TABLE runs ADD COLUMN checksum INTEGER")
    connection.execute("CREATE TABLE digest (record TEXT NOT NULL)")
    numbers = [number for (number,) in connection.execute("SELECT id FROM runs ORDER BY id")]
    total = 0
    for some in batches(numbers, _BATCH):
        sums = []
        for run in stored_runs(connection, some, checksums=False).values():
            if run.run().key != run.key.hex():
                raise DamagedError(f"the run {run.label} does not match its key")
            rest, checksum = run.expected()
            total += checksum
            sums.append((rest, checksum, run.number))
        if len(sums) < len(some):
            raise DamagedError("some of its runs cannot be read")
        connection.executemany("UPDATE runs SET rest = ?, checksum = ? WHERE id = ?", sums)
    connection.execute("INSERT INTO digest (record) VALUES (?)", (StoreDigest.fresh(len(numbers), total).text,))


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create, _add_checksums)
"""MIGRATIONS[n] takes a file of version n to version n + 1; an empty file has version 0. Released migrations never change."""


FIRST_WITH_CHECKSUMS = 2
"""The version since which runs have checksums, and the store a digest."""


def newest_version() -> int:
    """The version of the files that this code writes."""
    return len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of an open file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open file to the newest version in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version_of(connection) :]:  # read again: another process may have been faster
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {newest_version()}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def tables_are_whole(connection: sqlite3.Connection, version: int) -> bool:
    """Whether the tables and indexes of an open file are those of its version; others may be there, too."""
    return _made_by(MIGRATIONS[:version]) <= _objects(connection)


@lru_cache
def _made_by(migrations: tuple[Callable[[sqlite3.Connection], None], ...]) -> frozenset[tuple[object, ...]]:
    """The tables and indexes that these migrations make."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for step in migrations:
            step(fresh)
        return _objects(fresh)


def _objects(connection: sqlite3.Connection) -> frozenset[tuple[object, ...]]:
    """What sqlite_master says, white space apart."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return frozenset((*names, sql if sql is None else re.sub(r"\s+", "", str(sql))) for *names, sql in rows)
