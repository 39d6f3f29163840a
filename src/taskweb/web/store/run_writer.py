"""Writing runs as rows, within a transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from taskweb.errors import ParameterError
from taskweb.web.records.run import Run
from taskweb.web.records.streams import batches
from taskweb.web.store.run_rows import details_record, origin_record, seconds_of, setup_record, stored_value

_KEYS = 500  # keys looked up at a time; older SQLite allows 999 values in a query
_MOST_IDS = 100_000  # cached ids of names and records; the limit bounds memory
_INSERT_RUN = """
    INSERT INTO runs (id, key, setup, target, source, seed, replicate, status, seconds, origin)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class RunWriter:
    """Writes runs through one connection, and caches the ids of names and records that many runs share."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Clear the cache: ids given in a transaction that was rolled back do not exist."""
        self._ids.clear()

    def write(self, runs: Mapping[bytes, Run], *, replace_failed: bool) -> int:
        """Write the runs whose keys are new, or, with `replace_failed`, stored as unfinished; return how many."""
        connection = self._connection
        next_id = int(connection.execute("SELECT ifnull(max(id), -1) + 1 FROM runs").fetchone()[0])
        known = self._known(runs)
        replaced: list[tuple[int]] = []
        of_runs, of_scores, of_details = [], [], []
        shared: dict[object, int | None] = {}  # ids of records that runs of this batch share, by object identity
        for key, run in runs.items():
            if key not in known:
                row_id, next_id = next_id, next_id + 1
            elif replace_failed and known[key][1] != "finished" and run.status == "finished":
                row_id = known[key][0]
                replaced.append((row_id,))
            else:
                continue
            setup, origin = id(run.setup), (id(run.versions), run.commit)
            if setup not in shared:
                shared[setup] = self._id("setups", setup_record(run.setup), name=run.setup.name)
            if origin not in shared:
                record = origin_record(run)
                shared[origin] = None if record is None else self._id("origins", record)
            target = self._id("tasks", run.target)
            source = None if run.source is None else self._id("tasks", run.source)
            of_runs.append((
                row_id, key, shared[setup], target, source, run.seed, run.replicate, run.status, seconds_of(run), shared[origin]
            ))  # fmt: skip
            for metric, value in run.metrics.items():
                of_scores.append((row_id, self._id("metrics", metric), stored_value(value)))
            details = details_record(run)
            if details is not None:
                of_details.append((row_id, details))
        if replaced:
            connection.executemany("DELETE FROM runs WHERE id = ?", replaced)  # also deletes their scores and details
        connection.executemany(_INSERT_RUN, of_runs)
        connection.executemany("INSERT INTO scores (run, metric, value) VALUES (?, ?, ?)", of_scores)
        connection.executemany("INSERT INTO details (run, record) VALUES (?, ?)", of_details)
        return len(of_runs)

    def _known(self, keys: Iterable[bytes]) -> dict[bytes, tuple[int, str]]:
        """Row id and status of the keys that are stored."""
        found: dict[bytes, tuple[int, str]] = {}
        for some in batches(keys, _KEYS):
            query = f"SELECT key, id, status FROM runs WHERE key IN ({', '.join('?' * len(some))})"  # noqa: S608
            found.update((key, (row_id, status)) for key, row_id, status in self._connection.execute(query, some))
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
        return self._ids.setdefault((table, text), int(found[0]))
