"""Writing runs as rows, within a transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from taskweb.errors import ParameterError
from taskweb.web.records.run import Run
from taskweb.web.records.streams import batches
from taskweb.web.store.checksums import SETUP_MARK, metrics_sum, rest_sum, run_checksum, text_sum
from taskweb.web.store.damage import DamagedError
from taskweb.web.store.run_rows import details_record, origin_record, seconds_of, setup_record, stored_value

_KEYS = 500  # keys looked up at a time; older SQLite allows 999 values in a query
_MOST_IDS = 100_000  # cached ids of names and records; the limit bounds memory
_INSERT_RUN = """
    INSERT INTO runs (id, key, setup, target, source, seed, replicate, status, seconds, origin, rest, checksum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction did. stored: runs written. runs, total: what that adds to their number, and the sum of checksums."""

    stored: int
    runs: int
    total: int


@dataclass(frozen=True, slots=True)
class _Shared:
    """A name or record that many runs share: its row (None where there is none), its text, and the checksum of its text."""

    row_id: int | None
    text: str | None
    checksum: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A run that is stored already."""

    row_id: int
    status: str
    checksum: int


class RunWriter:
    """Writes runs through one connection, and caches the ids of names and records that many runs share."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[tuple[str, str], int] = {}
        self._names: dict[tuple[str, str], _Shared] = {}

    def forget(self) -> None:
        """Clear the cache: ids given in a transaction that was rolled back do not exist."""
        self._ids.clear()
        self._names.clear()

    def write(self, runs: Mapping[bytes, Run], *, replace_failed: bool) -> Change:
        """Write the runs whose keys are new, or, with `replace_failed`, stored as unfinished."""
        connection = self._connection
        next_id = int(connection.execute("SELECT ifnull(max(id), -1) + 1 FROM runs").fetchone()[0])
        known = self._known(runs)
        replaced: list[tuple[int]] = []
        of_runs, of_scores, of_details = [], [], []
        total = 0
        shared: dict[object, _Shared] = {}  # setups that runs of this batch share, by object identity; origins
        for key, run in runs.items():
            if key not in known:
                row_id, next_id = next_id, next_id + 1
            elif replace_failed and known[key].status != "finished" and run.status == "finished":
                row_id = known[key].row_id
                replaced.append((row_id,))
                total -= known[key].checksum
            else:
                continue
            setup, origin = self._setup(run, shared), self._origin(run, shared)
            target, source = self._name("tasks", run.target), None if run.source is None else self._name("tasks", run.source)
            cells = [(self._name("metrics", metric), stored_value(value)) for metric, value in run.metrics.items()]
            details, seconds = details_record(run), seconds_of(run)
            texts = (setup.checksum, target.checksum, None if source is None else source.checksum)
            rest = rest_sum(origin.text, details)
            checksum = run_checksum(
                key,
                texts,
                (run.seed, run.replicate, run.status, seconds),
                metrics_sum((metric.checksum, cell) for metric, cell in cells),
                rest,
            )
            total += checksum
            of_runs.append((
                row_id, key, setup.row_id, target.row_id, source and source.row_id, run.seed, run.replicate, run.status,
                seconds, origin.row_id, rest, checksum,
            ))  # fmt: skip
            of_scores += [(row_id, metric.row_id, cell) for metric, cell in cells]
            if details is not None:
                of_details.append((row_id, details))
        if replaced:
            connection.executemany("DELETE FROM runs WHERE id = ?", replaced)  # also deletes their scores and details
        connection.executemany(_INSERT_RUN, of_runs)
        connection.executemany("INSERT INTO scores (run, metric, value) VALUES (?, ?, ?)", of_scores)
        connection.executemany("INSERT INTO details (run, record) VALUES (?, ?)", of_details)
        return Change(len(of_runs), len(of_runs) - len(replaced), total)

    def _setup(self, run: Run, shared: dict[object, _Shared]) -> _Shared:
        setup = run.setup
        if id(setup) not in shared:
            record = setup_record(setup)
            shared[id(setup)] = _Shared(
                self._id("setups", record, name=setup.name), record, text_sum(f"{setup.name}{SETUP_MARK}{record}")
            )
        return shared[id(setup)]

    def _origin(self, run: Run, shared: dict[object, _Shared]) -> _Shared:
        place = tuple(run.versions.items()), run.commit
        if place not in shared:
            record = origin_record(run)
            shared[place] = _Shared(None if record is None else self._id("origins", record), record, 0)
        return shared[place]

    def _name(self, table: str, name: str) -> _Shared:
        found = self._names.get((table, name))
        if found is None:
            if len(self._names) >= _MOST_IDS:
                self._names.clear()
            row_id = self._id(table, name)
            found = self._names[table, name] = _Shared(row_id, name, text_sum(name))
        return found

    def _known(self, keys: Iterable[bytes]) -> dict[bytes, _Known]:
        """The keys that are stored."""
        found: dict[bytes, _Known] = {}
        for some in batches(keys, _KEYS):
            query = f"SELECT key, id, status, checksum FROM runs WHERE key IN ({', '.join('?' * len(some))})"  # noqa: S608
            found.update((key, _Known(*facts)) for key, *facts in self._connection.execute(query, some))
        return found

    def _id(self, table: str, text: str, **further: str) -> int:
        """The id of a name or record in its table; a new one is inserted."""
        known = self._ids.get((table, text))
        if known is not None:
            return known
        if len(self._ids) >= _MOST_IDS:
            self.forget()
        column = "record" if table in ("setups", "origins") else "name"
        columns, values = (column, *further), (text, *further.values())
        marks = ", ".join("?" * len(values))
        try:
            self._connection.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)  # noqa: S608
        except UnicodeEncodeError:
            raise ParameterError(f"The name {text!r} in '{table}' is not valid text.") from None
        found = self._connection.execute(f"SELECT id FROM {table} WHERE {column} = ?", (text,)).fetchone()  # noqa: S608
        query = f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED WHERE id = ?"  # noqa: S608
        if self._connection.execute(query, found).fetchone() != values:  # the row is not what the index says
            raise DamagedError(f"the name or record {text[:60]!r} in '{table}' is not what was written")
        return self._ids.setdefault((table, text), int(found[0]))
