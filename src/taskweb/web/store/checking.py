"""The checks of a store: a damaged file, broken links between tables, keys that do not match their runs, conflicting runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from taskweb.web.records.run import RUN_STATUSES
from taskweb.web.store.damage import DamagedError, lost_runs
from taskweb.web.store.digest import digest_file, inner_digest, outer_digest
from taskweb.web.store.salvage import salvaged

_MOST_SHOWN = 20
_CONFLICTING_RUNS = """
    SELECT setups.name, target.name, source.name, seed, replicate, count(*)
    FROM runs JOIN setups ON setups.id = runs.setup JOIN tasks AS target ON target.id = runs.target
    LEFT JOIN tasks AS source ON source.id = runs.source
    GROUP BY setups.name, instr(setups.record, '"record_format"') > 0, runs.target, runs.source, seed, replicate
    HAVING count(*) > 1
"""


def problems_of(connection: sqlite3.Connection, path: Path, *, has_checksums: bool) -> list[str]:
    """Every problem found, one sentence each. has_checksums: whether the store, of this path, has any."""
    checks = [_of_file(connection), _of_links(connection), _of_statuses(connection), _of_conflicting_runs(connection)]
    checks += [_of_runs(connection, has_checksums), *([_of_digest(connection, path)] if has_checksums else [])]
    problems: list[str] = []
    for found in checks:
        try:
            problems += _first(found)
        except (sqlite3.DatabaseError, UnicodeDecodeError, DamagedError) as fault:
            problems.append(f"The file is damaged: {fault}")
    return list(dict.fromkeys(problem.replace("\n", " ") for problem in problems))


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


def _of_runs(connection: sqlite3.Connection, has_checksums: bool) -> Iterator[str]:
    for key, run in salvaged(connection, checksums=has_checksums):
        if isinstance(run, DamagedError):
            yield f"The {str(run).removeprefix('the ')}."
        elif run.key != key:
            yield f"The run {key} does not match its key: its content was changed, and now has the key {run.key}."


def _of_digest(connection: sqlite3.Connection, path: Path) -> Iterator[str]:
    outer, inner = outer_digest(path), inner_digest(connection)
    if inner is None:
        yield "The digest of the store cannot be read."
        return
    query = "SELECT count(*), ifnull(sum(checksum), 0) FROM runs NOT INDEXED"
    if tuple(connection.execute(query).fetchone()) != (inner.runs, inner.total):
        yield f"The runs are not those of the digest, which counts {inner.runs:,}."
    if outer is not None and outer.is_of(inner) and outer != inner and outer.generation >= inner.generation:
        yield str(lost_runs(path, digest_file(path), outer.runs, inner.runs))
