"""The store of runs: one SQLite file that several processes may write to at once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import Any, Self, TypeVar

from taskweb.errors import InputError, ParameterError, TaskWebError
from taskweb.web.records.run import RUN_STATUSES, Run, canonical_json
from taskweb.web.records.run_table import RunTable
from taskweb.web.records.streams import batches
from taskweb.web.store.checking import problems_of
from taskweb.web.store.columns import run_table
from taskweb.web.store.connection import (
    BUSY_SECONDS,
    FileIdentity,
    close_store_file,
    disk_faults,
    is_busy,
    open_store_file,
    snapshot,
)
from taskweb.web.store.contract import MergeReport, RunCollection, StoreInfo
from taskweb.web.store.run_rows import read_run, read_setup, read_value, stored_key
from taskweb.web.store.run_writer import RunWriter
from taskweb.web.store.setup_names import shown_setup_names

T = TypeVar("T")
_BATCH = 10_000  # runs per transaction: a larger number rewrites each page of the index of keys less often
_CHUNK = 2000  # runs read at a time
_PAUSE = 0.02  # seconds between two attempts to begin writing

_SELECT_RUNS = """
    SELECT runs.id, runs.key, setups.record, origins.record, details.record, target.name, source.name, seed, replicate, status
    FROM runs
    CROSS JOIN setups ON setups.id = runs.setup
    CROSS JOIN tasks AS target ON target.id = runs.target
    LEFT JOIN tasks AS source ON source.id = runs.source
    LEFT JOIN origins ON origins.id = runs.origin
    LEFT JOIN details ON details.run = runs.id
"""
_SELECT_CHUNK = f"""{_SELECT_RUNS}
    WHERE runs.id > :after
    AND (:setup IS NULL OR setups.name = :setup)
    AND (:target IS NULL OR target.name = :target)
    AND (:any_source OR source.name IS :source)
    AND (:status IS NULL OR status = :status)
    ORDER BY runs.id LIMIT :most
"""
_SELECT_ONE = f"{_SELECT_RUNS} WHERE runs.key = ?"


class RunStore(RunCollection):
    """Runs in one SQLite file; follows the contract of RunCollection.

    Made by `RunStore.open`, closed by `close` or by leaving a `with` block.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, identity: FileIdentity, *, read_only: bool = False) -> None:
        self.path = path
        self._identity = identity
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = connection
        self._process = os.getpid()
        self._writer = RunWriter(connection)

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False, read_only: bool = False) -> Self:
        """Open a store; with `create`, make an empty one where there is no file.

        Raises InputError, and leaves the file as it is, where it is missing, not a store, damaged, written by a newer version,
        or not readable.
        """
        where = Path(path)
        connection, identity = open_store_file(where, create=create, read_only=read_only)
        return cls(where, connection, identity, read_only=read_only)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._connection is not None and self._process == os.getpid():
            with disk_faults(self.path):
                close_store_file(self._connection, self._identity)
        self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    # --- writing ------------------------------------------------------------------------------------------------------

    def add(self, run: Run) -> bool:
        """Store one run; False where its key is stored already."""
        return self.add_many([run]) == 1

    def add_many(self, runs: Iterable[Run], *, replace_failed: bool = False) -> int:
        """Store runs in batches; return how many were stored, new or, with `replace_failed`, in place of an unfinished one.

        Of runs with the same key the first counts. Raises ParameterError for a run that cannot be stored, WebError when the
        disk is full; the batches before stay stored.
        """
        stored = 0
        for batch in batches(runs, _BATCH):
            by_key: dict[bytes, Run] = {}
            for run in batch:
                key = stored_key(run)
                earlier = by_key.setdefault(key, run)
                if replace_failed and earlier.status != "finished" and run.status == "finished":
                    by_key[key] = run
            with self._writing():
                stored += self._writer.write(by_key, replace_failed=replace_failed)
        return stored

    def remove(self, keys: Iterable[str]) -> int:
        """Delete the runs with these keys; return how many there were."""
        wanted = [(key,) for key in map(_key_bytes, keys) if key is not None]
        with self._writing() as connection:
            return connection.executemany("DELETE FROM runs WHERE key = ?", wanted).rowcount if wanted else 0

    def merge(self, other: RunCollection, *, replace_failed: bool = False) -> MergeReport:
        """Store the runs of another collection; where the two disagree, those of this one stay."""
        added = already_there = 0
        conflicts: list[str] = []
        for batch in batches(other.runs(), _CHUNK):
            fresh: list[Run] = []
            for run in batch:
                own = self.get(run.key)
                if own is None or (replace_failed and own.status != "finished" and run.status == "finished"):
                    fresh.append(run)
                elif _outcome(own) == _outcome(run):
                    already_there += 1
                else:
                    conflicts.append(run.key)
            added += self.add_many(fresh, replace_failed=replace_failed)
        return MergeReport(added, already_there, tuple(conflicts))

    def vacuum(self) -> None:
        """Free the disk space of removed runs."""
        with disk_faults(self.path):
            self._open.execute("VACUUM")
            self._open.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # --- reading ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self._one("SELECT count(*) FROM runs"))

    def __contains__(self, key: object) -> bool:
        stored = _key_bytes(key)
        return stored is not None and bool(self._one("SELECT EXISTS (SELECT 1 FROM runs WHERE key = ?)", stored))

    def get(self, key: str) -> Run | None:
        """The run of that key, None where there is none."""
        with disk_faults(self.path):
            row = self._open.execute(_SELECT_ONE, (_key_bytes(key),)).fetchone()
            return None if row is None else self._read(row)

    def keys(self) -> Iterator[str]:
        """The keys of all runs, in the order in which they were first stored."""
        after = -1
        while True:
            with disk_faults(self.path):
                rows = self._open.execute(
                    "SELECT id, key FROM runs WHERE id > ? ORDER BY id LIMIT ?", (after, _CHUNK)
                ).fetchall()
            if not rows:
                return
            yield from (key.hex() for _, key in rows)
            after = rows[-1][0]

    def outcomes(self) -> list[tuple[str, str, float | None]]:
        """Key, status and seconds of every run, in the order in which they were first stored; reads no record."""
        with disk_faults(self.path):
            rows = self._open.execute("SELECT lower(hex(key)), status, seconds FROM runs ORDER BY id").fetchall()
            return [(key, status, seconds) for key, status, seconds in rows]

    def runs(
        self,
        *,
        setup: str | None = None,
        target: str | None = None,
        source: str | EllipsisType | None = ...,
        status: str | None = None,
    ) -> Iterator[Run]:
        """The runs that match, in the order in which they were first stored; source=None selects baselines.

        Raises ParameterError for a status that does not exist.
        """
        if status is not None and status not in RUN_STATUSES:
            raise ParameterError(f"The status of runs must be one of {', '.join(RUN_STATUSES)}. Got '{status}' instead.")
        any_source = isinstance(source, EllipsisType)
        wanted: dict[str, Any] = {"setup": setup, "target": target, "status": status}
        wanted |= {"any_source": any_source, "source": None if any_source else source}
        return (run for _, run in self._stream(wanted, self._read))

    def run_table(self) -> RunTable:
        """All runs as columns, ready to be scored; those that did not finish have no score.

        Raises WebError where there is nothing to score, and for conflicting runs, which differ in hyperparameters or data only.
        """
        with disk_faults(self.path):
            return run_table(self._open, self.path)

    def info(self) -> StoreInfo:
        """Numbers and names of what is stored."""
        with disk_faults(self.path):
            connection = self._open
            by_status = dict(connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall())

            def names(table: str, column: str) -> tuple[str, ...]:
                found = connection.execute(f"SELECT DISTINCT name FROM {table} JOIN runs ON runs.{column} = {table}.id")  # noqa: S608
                return tuple(sorted(name for (name,) in found))

            shown, used = shown_setup_names(connection), connection.execute("SELECT DISTINCT setup FROM runs")
            seeds = connection.execute("SELECT DISTINCT seed FROM runs WHERE seed IS NOT NULL ORDER BY seed")
            return StoreInfo(
                runs=sum(by_status.values()),
                by_status={status: by_status.get(status, 0) for status in RUN_STATUSES},
                baselines=int(self._one("SELECT count(*) FROM runs WHERE source IS NULL")),
                setups=tuple(sorted({shown[number] for (number,) in used})),
                targets=names("tasks", "target"),
                sources=names("tasks", "source"),
                seeds=tuple(seed for (seed,) in seeds),
            )

    def check(self) -> list[str]:
        """Problems of the store, one sentence each; empty where there are none."""
        return problems_of(self._open, lambda: self._stream(_EVERYTHING, self._read_or_fault))

    # --- internals ----------------------------------------------------------------------------------------------------

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError(f"The store {self.path} is closed.")
        if self._process != os.getpid():
            raise RuntimeError(f"The store {self.path} was opened before a fork. Open it again in this process.")
        return self._connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is stored, or nothing."""
        if self._read_only:
            raise InputError(f"The store {self.path} was opened for reading only. Open it for writing.")
        connection = self._open
        with disk_faults(self.path):
            self._begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._writer.forget()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _begin(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as fault:
                if not is_busy(fault) or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _stream(self, wanted: dict[str, Any], read: Callable[[tuple[Any, ...]], T]) -> Iterator[tuple[str, T]]:
        after = -1
        while True:
            with disk_faults(self.path), snapshot(self._open) as connection:
                rows = connection.execute(_SELECT_CHUNK, wanted | {"after": after, "most": _CHUNK}).fetchall()
                chunk = [(row[1].hex(), read(row)) for row in rows]
            if not chunk:
                return
            yield from chunk
            after = rows[-1][0]

    def _read(self, row: tuple[Any, ...]) -> Run:
        number, _, setup, origin, details, *facts = row
        values = self._open.execute(
            "SELECT metrics.name, value FROM scores CROSS JOIN metrics ON metrics.id = scores.metric WHERE run = ?", (number,)
        )
        return read_run(_setup(setup), facts, origin, details, {name: read_value(cell) for name, cell in values})

    def _read_or_fault(self, row: tuple[Any, ...]) -> Run | Exception:
        try:
            return self._read(row)
        except (TaskWebError, ValueError, TypeError) as fault:
            return fault

    def _one(self, query: str, *values: Any) -> Any:
        with disk_faults(self.path):
            return self._open.execute(query, values).fetchone()[0]


_EVERYTHING = {"setup": None, "target": None, "status": None, "any_source": True, "source": None}
_setup = lru_cache(maxsize=256)(read_setup)


def _key_bytes(key: object) -> bytes | None:
    """A key as stored; None where it is not a key."""
    try:
        return bytes.fromhex(key) if isinstance(key, str) else None
    except ValueError:
        return None


def _outcome(run: Run) -> str:
    return canonical_json([run.status, run.metrics])
