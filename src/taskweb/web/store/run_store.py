"""The store of runs: one SQLite file that several processes may write to at once."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import Any, Self

import numpy as np

from taskweb.errors import InputError, ParameterError
from taskweb.web.records.run import RUN_STATUSES, Run, canonical_json
from taskweb.web.records.run_table import NO_SOURCE, RunTable
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
from taskweb.web.store.contract import MergeConflict, MergeReport, RunCollection, StoreInfo
from taskweb.web.store.damage import DamagedError, is_damage, lost_runs
from taskweb.web.store.digest import (
    StoreDigest,
    digest_file,
    inner_digest,
    no_digest,
    outer_digest,
    write_inner_digest,
    write_outer_digest,
)
from taskweb.web.store.facts import Facts, read_facts
from taskweb.web.store.file_system import network_file_system
from taskweb.web.store.lease import Lease, take_lease
from taskweb.web.store.records import run_with_key, stored_runs
from taskweb.web.store.run_rows import stored_key
from taskweb.web.store.run_writer import Change, RunWriter
from taskweb.web.store.salvage import first_damage, salvaged
from taskweb.web.store.schema import FIRST_WITH_CHECKSUMS, version_of

_BATCH = 10_000  # runs per transaction: a larger number rewrites each page of the index of keys less often
_CHUNK = 2000  # runs read at a time
_PAUSE = 0.02  # seconds between two attempts to begin writing

_KEYS_NOT_INDEXED = """
    SELECT count(*) FROM runs NOT INDEXED WHERE NOT EXISTS
    (SELECT 1 FROM runs AS other INDEXED BY sqlite_autoindex_runs_1 WHERE other.key = runs.key AND other.id = runs.id)
"""


class RunStore(RunCollection):
    """Runs in one SQLite file; follows the contract of RunCollection.

    Made by `RunStore.open`, closed by `close` or by leaving a `with` block. Every run that is read is checked against its
    checksum, and all of them against the digest of the store (see `digest`): WebError where a run is not what was written, or
    is not there. `get` still gives the other runs, and `salvage` all that are whole.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        identity: FileIdentity,
        *,
        read_only: bool = False,
        lease: Lease | None = None,
    ) -> None:
        self.path = path
        self._identity = identity
        self._read_only = read_only
        self._lease = lease
        self._connection: sqlite3.Connection | None = connection
        self._process = os.getpid()
        self._writer = RunWriter(connection)
        self._has_checksums = version_of(connection) >= FIRST_WITH_CHECKSUMS
        self._keys_are_indexed = False  # as far as was checked
        self.notes: tuple[str, ...] = ()
        self._adopt_digest()

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False, read_only: bool = False) -> Self:
        """Open a store; with `create`, make an empty one where there is no file.

        Raises InputError, and leaves the file as it is, where it is missing, not a store, damaged, written by a newer version,
        or not readable.
        """
        where = Path(path)
        lease = None if read_only or where.is_dir() else take_lease(where, network_file_system(where.parent))
        try:
            connection, identity = open_store_file(where, create=create, read_only=read_only)
            return cls(where, connection, identity, read_only=read_only, lease=lease)
        except BaseException:
            if lease is not None:
                lease.release()
            raise

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._connection is not None and self._process == os.getpid():
            try:
                with disk_faults(self.path):
                    close_store_file(self._connection, self._identity)
            finally:
                if self._lease is not None:
                    self._lease.release()
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
            with self._writing() as (connection, changes):
                self._check_keys(connection)
                changes.append(self._writer.write(by_key, replace_failed=replace_failed))
            stored += changes[0].stored
        return stored

    def remove(self, keys: Iterable[str]) -> int:
        """Delete the runs with these keys; return how many there were."""
        removed = 0
        with self._writing() as (connection, changes):
            for key in {key for key in map(_key_bytes, keys) if key is not None}:
                row = connection.execute("SELECT checksum FROM runs WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    connection.execute("DELETE FROM runs WHERE key = ?", (key,))
                    changes.append(Change(0, -1, -row[0]))
                    removed += 1
        return removed

    def merge(self, other: RunCollection, *, replace_failed: bool = False) -> MergeReport:
        """Store the runs of another collection; where the two disagree, those of this one stay."""
        return self.merge_runs(other.runs(), replace_failed=replace_failed)

    def merge_runs(self, runs: Iterable[Run], *, replace_failed: bool = False) -> MergeReport:
        """Store runs as `merge` does; slower than `add_many`, as each is compared with the stored one."""
        added = already_there = 0
        conflicts: list[MergeConflict] = []
        for batch in batches(runs, _CHUNK):
            fresh: list[Run] = []
            for run in batch:
                own = self.get(run.key)
                if own is None or (replace_failed and own.status != "finished" and run.status == "finished"):
                    fresh.append(run)
                elif _outcome(own) == _outcome(run):
                    already_there += 1
                else:
                    conflicts.append(MergeConflict.between(own, run))
            added += self.add_many(fresh, replace_failed=replace_failed)
        return MergeReport(added, already_there, tuple(conflicts))

    def vacuum(self) -> None:
        """Free the disk space of removed runs."""
        with disk_faults(self.path):
            self._open.execute("VACUUM")
            self._open.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # --- reading ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if self._has_checksums:
            with disk_faults(self.path):
                return self._digest(self._open).runs
        return int(self._one("SELECT count(*) FROM runs NOT INDEXED"))

    def __contains__(self, key: object) -> bool:
        with disk_faults(self.path):
            return self._number_of(_key_bytes(key)) is not None

    def get(self, key: str) -> Run | None:
        """The run of that key, None where there is none."""
        with disk_faults(self.path):
            number = self._number_of(_key_bytes(key))
            if number is None:
                return None
            found = stored_runs(self._open, [number], checksums=self._has_checksums).get(number)
            if found is None:
                raise DamagedError(f"the run {key} cannot be read")
            return found.run()

    def keys(self) -> Iterator[str]:
        """The keys of all runs, in the order in which they were first stored."""
        return iter(self._facts().keys)

    def outcomes(self) -> list[tuple[str, str, float | None]]:
        """Key, status and seconds of every run, in the order in which they were first stored; reads no details."""
        facts = self._facts()
        seconds = [None if math.isnan(value) else value for value in facts.runs["seconds"].tolist()]
        return list(zip(facts.keys, facts.statuses, seconds, strict=True))

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
        return self._stream(setup, target, source, status)

    def run_table(self, keys: Collection[str] | None = None) -> RunTable:
        """All runs as columns, or those with these keys, ready to be scored; those that did not finish have no score.

        Raises WebError where there is nothing to score, and for conflicting runs, which differ in hyperparameters or data only.
        """
        facts = self._facts()
        return run_table(facts if keys is None else facts.only(keys), self.path)

    def info(self) -> StoreInfo:
        """Numbers and names of what is stored."""
        facts = self._facts()
        runs, tasks = facts.runs, facts.tasks
        sources = runs["source"][runs["source"] != NO_SOURCE]
        counts = Counter(facts.statuses)
        return StoreInfo(
            runs=len(runs),
            by_status={status: counts[status] for status in RUN_STATUSES},
            baselines=len(runs) - len(sources),
            setups=tuple(sorted(set(facts.shown_setups.values()))),
            targets=tuple(sorted(tasks[number] for number in np.unique(runs["target"]).tolist())),
            sources=tuple(sorted(tasks[number] for number in np.unique(sources).tolist())),
            seeds=tuple(np.unique(runs["seed"][runs["seeded"]]).tolist()),
        )

    def check(self) -> list[str]:
        """Problems of the store, one sentence each; empty where there are none."""
        return problems_of(self._open, self.path, has_checksums=self._has_checksums)

    def expected_runs(self) -> int:
        """How many runs were stored, by the newest digest; those that can be counted, where there is none."""
        inner, outer = self._inner(), outer_digest(self.path)
        known = [digest for digest in (inner, outer) if digest is not None and (inner is None or inner.is_of(digest))]
        if known:
            return max(known, key=lambda digest: digest.generation).runs
        return sum(1 for _ in salvaged(self._open, checksums=self._has_checksums))

    def salvage(self) -> Iterator[Run]:
        """Every run that is whole, in the order in which they were first stored, whatever else is damaged."""
        found = salvaged(self._open, checksums=self._has_checksums)
        return (run for _, run in found if not isinstance(run, DamagedError))

    # --- internals ----------------------------------------------------------------------------------------------------

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError(f"The store {self.path} is closed.")
        if self._process != os.getpid():
            raise RuntimeError(f"The store {self.path} was opened before a fork. Open it again in this process.")
        return self._connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, list[Change]]]:
        """One transaction: all of it is stored, or nothing. The block says what it changed, and the digests follow."""
        if self._read_only:
            raise InputError(f"The store {self.path} was opened for reading only. Open it for writing.")
        connection = self._open
        if self._lease is not None:
            self._lease.check()
        changes: list[Change] = []
        with disk_faults(self.path):
            outer = outer_digest(self.path)
            self._begin(connection)
            try:
                digest = self._digest(connection, outer)
                yield connection, changes
                runs, total = sum(change.runs for change in changes), sum(change.total for change in changes)
                if runs or total:
                    digest = digest.changed(runs, total)
                    write_inner_digest(connection, digest)
                connection.execute("COMMIT")
            except BaseException:
                self._writer.forget()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            if digest != outer:
                self._write_outer(digest)

    def _write_outer(self, digest: StoreDigest) -> None:
        """The runs are stored already, so a file that cannot be written is only noted."""
        try:
            write_outer_digest(self.path, digest)
        except OSError as fault:
            self._note(
                f"the digest file {digest_file(self.path)} cannot be written ({fault.strerror or fault}): if the store loses "
                "what was stored last, nobody will see it"
            )

    def _adopt_digest(self) -> None:
        """Note that there is no digest of this store beside it; where it is opened for writing, write one."""
        if not self._has_checksums:
            self._note(f"the store {self.path} has no checksums yet: the next writing adds them")
            return
        with disk_faults(self.path):
            inner, outer = inner_digest(self._open), outer_digest(self.path)
            if inner is None or (outer is not None and outer.is_of(inner)):
                return
            if not self._read_only:
                self._write_outer(inner)
            else:
                self._note(f"{no_digest(self.path)}: its runs are checked, but not whether what was stored last is there")

    def _inner(self) -> StoreDigest | None:
        return inner_digest(self._open) if self._has_checksums else None

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes += (text,)

    def _digest(self, connection: sqlite3.Connection, outer: StoreDigest | None = None) -> StoreDigest:
        """The digest of the store. Raises DamagedError where it cannot be read, WebError where it is behind its file.

        outer: that beside the store, read before the transaction began; without one it is read now.
        """
        outer = outer or outer_digest(self.path)
        inner = inner_digest(connection)
        if inner is None:
            raise DamagedError("its digest cannot be read")
        if outer is not None and outer.is_of(inner):
            if inner.generation < outer.generation:
                raise lost_runs(self.path, digest_file(self.path), outer.runs, inner.runs)
            if inner.generation == outer.generation and inner != outer:
                raise DamagedError("its digest is not the one in its digest file")
        return inner

    def _facts(self) -> Facts:
        """What is known of all runs, in one state of the file. Raises WebError that names a damaged run."""
        with disk_faults(self.path):
            outer = outer_digest(self.path)
            try:
                with snapshot(self._open) as connection:
                    if self._has_checksums:
                        self._digest(connection, outer)
                    return read_facts(connection, checksums=self._has_checksums)
            except (DamagedError, sqlite3.DatabaseError) as fault:
                named = isinstance(fault, DamagedError) and fault.run is not None
                if named or (isinstance(fault, sqlite3.Error) and not is_damage(fault)):
                    raise
                raise first_damage(self._open, checksums=self._has_checksums) or DamagedError(str(fault)) from None

    def _number_of(self, key: bytes | None) -> int | None:
        """The number of the run with a key; None where there is none, and the index and the digest say so, too."""
        if key is None:
            return None
        outer = outer_digest(self.path)
        with snapshot(self._open) as connection:
            number = run_with_key(connection, key)
            if number is None:
                self._check_keys(connection)
                if self._has_checksums:
                    self._digest(connection, outer)
        return number

    def _check_keys(self, connection: sqlite3.Connection) -> None:
        """Make sure, once, that the index has the key of every run: else a run that is stored seems to be missing."""
        if not self._keys_are_indexed:
            missing = int(connection.execute(_KEYS_NOT_INDEXED).fetchone()[0])
            if missing:
                raise DamagedError(f"the index of its keys lacks {missing:,} runs")
            self._keys_are_indexed = True

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

    def _stream(
        self, setup: str | None, target: str | None, source: str | EllipsisType | None, status: str | None
    ) -> Iterator[Run]:
        facts = self._facts()
        runs, fits = facts.runs, np.ones(len(facts.runs), bool)
        if setup is not None:
            fits &= np.isin(runs["setup"], [number for number, name in facts.setups.items() if name == setup])
        if target is not None:
            fits &= np.isin(runs["target"], [number for number, name in facts.tasks.items() if name == target])
        if source is None:
            fits &= runs["source"] == NO_SOURCE
        elif not isinstance(source, EllipsisType):
            fits &= np.isin(runs["source"], [number for number, name in facts.tasks.items() if name == source])
        if status is not None:
            fits &= runs["status"] == RUN_STATUSES.index(status)
        for numbers in batches(runs["id"][fits].tolist(), _CHUNK):
            with disk_faults(self.path), snapshot(self._open) as connection:
                found = stored_runs(connection, numbers, checksums=self._has_checksums)
                if len(found) < len(numbers) and not self._has_changed_since(facts.generation):
                    raise DamagedError("some of its runs cannot be found")
                chunk = [found[number].run() for number in numbers if number in found]
            yield from chunk

    def _has_changed_since(self, generation: int | None) -> bool:
        """Whether runs were stored or removed since then: a run that is not there any more may have been removed."""
        digest = self._inner()
        return digest is not None and digest.generation != generation

    def _one(self, query: str, *values: Any) -> Any:
        with disk_faults(self.path):
            return self._open.execute(query, values).fetchone()[0]


def _key_bytes(key: object) -> bytes | None:
    """A key as stored; None where it is not a key."""
    try:
        return bytes.fromhex(key) if isinstance(key, str) else None
    except ValueError:
        return None


def _outcome(run: Run) -> str:
    return canonical_json([run.status, run.metrics])
