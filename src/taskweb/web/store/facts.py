"""What is known of every run without its details, as columns, each run checked against its checksum. No Run is built."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.web.records.run import RUN_STATUSES
from taskweb.web.records.run_table import NO_SOURCE
from taskweb.web.store.checksums import (
    KEY_BYTES,
    NO_VALUE,
    NOT_A_NUMBER,
    NUMBER,
    ROW_FIELDS,
    SETUP_MARK,
    UNKNOWN,
    VALUE_FIELDS,
    sums_of,
    text_sum,
)
from taskweb.web.store.damage import DamagedError
from taskweb.web.store.digest import inner_digest
from taskweb.web.store.run_rows import NAN
from taskweb.web.store.setup_names import shown_setup_names

_RUN_FIELDS = np.dtype(
    [
        ("id", "i8"),
        ("key", f"S{KEY_BYTES}"),
        ("setup", "i8"),
        ("target", "i8"),
        ("source", "i8"),
        ("seed", "i8"),
        ("seeded", "?"),
        ("replicate", "i8"),
        ("status", "i1"),
        ("seconds", "f8"),
        ("rest", "u4"),
        ("checksum", "u8"),
    ]
)
_STATUS = " ".join(f"WHEN '{status}' THEN {code}" for code, status in enumerate(RUN_STATUSES))
_RUNS = f"""
    SELECT id, key, setup, target, ifnull(source, {NO_SOURCE}), ifnull(seed, 0), seed IS NOT NULL, replicate,
    CASE status {_STATUS} ELSE -1 END, seconds, {{sums}} FROM runs NOT INDEXED ORDER BY id
"""  # noqa: S608
_VALUE_FIELDS = np.dtype([("run", "i8"), ("metric", "i8"), ("kind", "u1"), ("value", "f8")])
_VALUES = f"""
    SELECT run, metric,
    CASE typeof(value) WHEN 'real' THEN {NUMBER} WHEN 'null' THEN {NO_VALUE}
    ELSE CASE value WHEN '{NAN}' THEN {NOT_A_NUMBER} ELSE {UNKNOWN} END END,
    CASE typeof(value) WHEN 'real' THEN value ELSE 0.0 END FROM scores ORDER BY run
"""  # noqa: S608
_MOST_IDS = 100_000_000
Rows = npt.NDArray[Any]


@dataclass(frozen=True)
class Facts:
    """All runs of a store as columns, in the order in which they were first stored.

    runs: a structured array; `seeded` says whether there is a seed, `source` is NO_SOURCE for a baseline, `status` a position
    in RUN_STATUSES. values: measurements, in the order of the runs; `value` is NaN where there is none. of_run: the position of
    each value's run. setups, tasks, metrics: names by id. records: of the setups, by id.
    generation: of the store's digest when they were read; None without one.
    """

    runs: Rows
    values: Rows
    of_run: npt.NDArray[np.intp]
    setups: dict[int, str]
    tasks: dict[int, str]
    metrics: dict[int, str]
    records: dict[int, str]
    generation: int | None = None

    @property
    def keys(self) -> list[str]:
        """The keys of the runs, as hexadecimal digits."""
        digits, width = self.runs["key"].tobytes().hex(), 2 * KEY_BYTES
        return [digits[start : start + width] for start in range(0, len(digits), width)]

    @property
    def shown_setups(self) -> dict[int, str]:
        """The name under which each setup that has runs is shown, by id."""
        used = np.unique(self.runs["setup"]).tolist()
        return shown_setup_names({number: (self.setups[number], self.records[number]) for number in used})

    @property
    def statuses(self) -> list[str]:
        """The status of each run."""
        return [RUN_STATUSES[code] for code in self.runs["status"].tolist()]

    def only(self, keys: Collection[str]) -> Facts:
        """The facts of the runs with these keys, in their order."""
        kept = np.fromiter((key in keys for key in self.keys), bool, len(self.runs))
        places = np.cumsum(kept) - 1
        measured = kept[self.of_run]
        values, of_run = self.values[measured], places[self.of_run[measured]]
        return dataclasses.replace(self, runs=self.runs[kept], values=values, of_run=of_run)


def read_facts(connection: sqlite3.Connection, *, checksums: bool = True) -> Facts:
    """All runs of an open store, within a transaction of the caller. checksums: whether the store has any.

    Raises DamagedError where a run is not what was written, or not all runs are there, and sqlite3.Error.
    """
    try:
        runs = np.fromiter(connection.execute(_RUNS.format(sums="rest, checksum" if checksums else "0, 0")), _RUN_FIELDS)
        values = np.fromiter(connection.execute(_VALUES), _VALUE_FIELDS)
        setups, tasks, metrics = (_names(connection, table) for table in ("setups", "tasks", "metrics"))
        records = dict(connection.execute("SELECT id, record FROM setups NOT INDEXED"))
    except (ValueError, TypeError, OverflowError):
        raise DamagedError("a run has a part of another kind") from None
    if setups.keys() != records.keys() or not all(isinstance(record, str) for record in records.values()):
        raise DamagedError("a setup has parts that are missing or of another kind")
    if (runs["status"] < 0).any():
        raise DamagedError("a run has an unknown status")
    if (np.diff(runs["id"]) <= 0).any() or (np.diff(values["run"]) < 0).any():
        raise DamagedError("runs are not in their order")
    of_run = _positions(runs["id"], values["run"], "a measurement belongs to no run")
    generation = None
    if checksums:
        sums = {number: text_sum(f"{name}{SETUP_MARK}{records[number]}") for number, name in setups.items()}
        generation = _check(connection, runs, _expected(runs, values, of_run, sums, _text_sums(tasks), _text_sums(metrics)))
    else:
        for column, names in (("setup", setups), ("target", tasks), ("source", tasks | {NO_SOURCE: ""})):
            _looked_up(runs[column], dict.fromkeys(names, 0))
        _looked_up(values["metric"], dict.fromkeys(metrics, 0))
    values["value"][values["kind"] != NUMBER] = np.nan
    return Facts(runs, values, of_run, setups, tasks, metrics, records, generation)


def _names(connection: sqlite3.Connection, table: str) -> dict[int, str]:
    names = dict(connection.execute(f"SELECT id, name FROM {table} NOT INDEXED"))  # noqa: S608
    if not all(isinstance(name, str) for name in names.values()):
        raise DamagedError(f"a name in '{table}' is not a text")
    return names


def _text_sums(names: dict[int, str]) -> dict[int, int]:
    return {number: text_sum(name) for number, name in names.items()}


def _check(connection: sqlite3.Connection, runs: Rows, expected: npt.NDArray[np.uint64]) -> int:
    """Compare runs with their checksums and the digest; return the digest's generation."""
    wrong = np.flatnonzero(runs["checksum"] != expected)
    if len(wrong):
        others = f", nor do {len(wrong) - 1:,} others" if len(wrong) > 1 else ""
        key = runs["key"][wrong[0]].hex()
        raise DamagedError(f"the run {key} does not match its checksum{others}", key)
    digest = inner_digest(connection)
    if digest is None:
        raise DamagedError("its digest cannot be read")
    if digest.runs != len(runs):
        raise DamagedError(f"{len(runs):,} of its {digest.runs:,} runs are there")
    if digest.total != int(expected.sum()):
        raise DamagedError("its digest is of other runs")
    return digest.generation


def _expected(
    runs: Rows,
    values: Rows,
    of_run: npt.NDArray[np.intp],
    setups: dict[int, int],
    tasks: dict[int, int],
    metrics: dict[int, int],
) -> npt.NDArray[np.uint64]:
    """The checksum that each run should have. setups, tasks, metrics: checksums of their texts by id."""
    cells = np.zeros(len(values), VALUE_FIELDS)
    cells["metric"] = _looked_up(values["metric"], metrics)
    cells["kind"], cells["value"] = values["kind"], values["value"]
    rows = np.zeros(len(runs), ROW_FIELDS)
    for name in ("key", "seed", "seeded", "replicate", "rest", "seconds"):
        rows[name] = runs[name]
    rows["seconds"][np.isnan(runs["seconds"])] = np.nan
    rows["setup"] = _looked_up(runs["setup"], setups)
    rows["target"] = _looked_up(runs["target"], tasks)
    rows["source"] = _looked_up(runs["source"], tasks | {NO_SOURCE: 0})
    rows["sourced"] = runs["source"] != NO_SOURCE
    rows["status"] = runs["status"].astype(np.uint8)
    rows["metrics"] = np.bincount(of_run, weights=sums_of(cells).astype(float), minlength=len(runs))
    return sums_of(rows)


def _looked_up(ids: npt.NDArray[np.int64], sums: dict[int, int]) -> npt.NDArray[np.uint32]:
    """The sum of each id. Raises DamagedError for an id without a name."""
    highest = max(sums, default=NO_SOURCE)
    if len(ids) and (ids.min() < NO_SOURCE or ids.max() > highest):
        raise DamagedError("a run has a name that is missing")
    if highest > _MOST_IDS or min(sums, default=0) < NO_SOURCE:
        raise DamagedError("a name has a number that was never given")
    table, known = np.zeros(highest + 2, np.uint32), np.zeros(highest + 2, bool)  # NO_SOURCE is at the end
    for number, of_text in sums.items():
        table[number], known[number] = of_text, True
    if not known[ids].all():
        raise DamagedError("a run has a name that is missing")
    return table[ids]


def _positions(ids: Rows, wanted: Rows, message: str) -> npt.NDArray[np.intp]:
    """The position of each wanted id among sorted ones."""
    found = np.searchsorted(ids, wanted)
    if len(wanted) and (not len(ids) or found.max() >= len(ids) or (ids[found] != wanted).any()):
        raise DamagedError(message)
    return found
