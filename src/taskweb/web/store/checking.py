"""The checks of a store: a damaged file, broken links between tables, keys that do not match their runs, conflicting runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator

from taskweb.errors import TaskWebError
from taskweb.web.records.run import RUN_STATUSES, Run

_MOST_SHOWN = 20
_CONFLICTING_RUNS = """
    SELECT setups.name, target.name, source.name, seed, replicate, count(*)
    FROM runs JOIN setups ON setups.id = runs.setup JOIN tasks AS target ON target.id = runs.target
    LEFT JOIN tasks AS source ON source.id = runs.source
    GROUP BY setups.name, instr(setups.record, '"record_format"') > 0, runs.target, runs.source, seed, replicate
    HAVING count(*) > 1
"""


def problems_of(connection: sqlite3.Connection, runs: Callable[[], Iterable[tuple[str, Run | Exception]]]) -> list[str]:
    """Every problem found, one sentence each; `runs` gives all records with the key that each is stored under."""
    problems: list[str] = []
    for found in (_of_file, _of_links, _of_statuses, _of_conflicting_runs, lambda _: _of_keys(runs())):
        try:
            problems += _first(found(connection))
        except sqlite3.DatabaseError as fault:
            problems.append(f"The file is damaged: {fault}")
        except TaskWebError as fault:
            problems.append(str(fault))
    return list(dict.fromkeys(problems))


def _first(problems: Iterator[str]) -> list[str]:
    shown = [problem for problem, _ in zip(problems, range(_MOST_SHOWN), strict=False)]
    rest = sum(1 for _ in problems)
    return [*shown, f"{rest} more of this kind."] if rest else shown


def _of_file(connection: sqlite3.Connection) -> Iterator[str]:
    for (finding,) in connection.execute("PRAGMA integrity_check"):
        if finding != "ok":
            yield f"The file is damaged: {finding}"


def _of_links(connection: sqlite3.Connection) -> Iterator[str]:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"Row {row} of '{table}' refers to a row that is missing from '{parent}'."


def _of_statuses(connection: sqlite3.Connection) -> Iterator[str]:
    for status, count in connection.execute("SELECT status, count(*) FROM runs GROUP BY status"):
        if status not in RUN_STATUSES:
            yield f"{count} runs have the unknown status '{status}'."


def _of_conflicting_runs(connection: sqlite3.Connection) -> Iterator[str]:
    for setup, target, source, seed, replicate, count in connection.execute(_CONFLICTING_RUNS):
        number = f"seed {seed}" if seed is not None else f"no seed, replicate {replicate}"
        yield (
            f"{count} runs of {setup}, target {target}, source {source or 'none'}, {number} differ in hyperparameters or data. "
            "Give a variant a setup name of its own, or remove all but one."
        )


def _of_keys(runs: Iterable[tuple[str, Run | Exception]]) -> Iterator[str]:
    for key, run in runs:
        if isinstance(run, Exception):
            yield f"The run {key} cannot be read: {run}"
        elif run.key != key:
            yield f"The run {key} does not match its key: its content was changed, and now has the key {run.key}."
