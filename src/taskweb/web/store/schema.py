"""The tables of a store, and the migrations of files of older versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

APPLICATION_ID = 0x74776562  # "tweb": marks an SQLite file as a store

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


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create,)
"""MIGRATIONS[n] takes a file of version n to version n + 1; an empty file has version 0. Released migrations never change."""


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
