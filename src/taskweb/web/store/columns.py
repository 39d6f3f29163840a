"""The runs of a store as columns, ready to be scored; no Run is built."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import WebError
from taskweb.web.arrays import Codes
from taskweb.web.records.run_scores import run_scores
from taskweb.web.records.run_table import NO_SOURCE, UNKNOWN_SEED, RunTable, number_unknown_seeds
from taskweb.web.store.connection import snapshot
from taskweb.web.store.setup_names import shown_setup_names

_RUN_FIELDS = np.dtype(
    [
        ("id", "i8"),
        ("setup", "i4"),
        ("target", "i4"),
        ("source", "i4"),
        ("seed", "i8"),
        ("seeded", "?"),
        ("replicate", "i8"),
        ("finished", "?"),
        ("seconds", "f8"),
    ]
)
_RUNS = """
    SELECT id, setup, target, ifnull(source, -1), ifnull(seed, 0), seed IS NOT NULL, replicate, status = 'finished', seconds
    FROM runs ORDER BY id
"""
_VALUE_FIELDS = np.dtype([("run", "i8"), ("metric", "i4"), ("value", "f8")])
_VALUES = """
    SELECT run, metric, CASE typeof(value) WHEN 'text' THEN NULL ELSE value END FROM scores WHERE value IS NOT NULL ORDER BY run
"""
_NAMES = """
    SELECT lower(hex(key)), setups.name, target.name, source.name, seed
    FROM runs JOIN setups ON setups.id = runs.setup JOIN tasks AS target ON target.id = runs.target
    LEFT JOIN tasks AS source ON source.id = runs.source WHERE runs.id = ?
"""


def run_table(connection: sqlite3.Connection, path: Path) -> RunTable:
    """All runs of an open store. Raises WebError where there is nothing to score, or two runs conflict.

    A run that did not finish has no score. A metric without a value (None) counts as not measured. Runs with an unknown seed
    are numbered so that none shares the seed of a baseline.
    """
    with snapshot(connection):
        runs = np.fromiter(connection.execute(_RUNS), _RUN_FIELDS)
        values = np.fromiter(connection.execute(_VALUES), _VALUE_FIELDS)
        setup_names = shown_setup_names(connection)
        task_names = dict(connection.execute("SELECT id, name FROM tasks").fetchall())
        metric_names = dict(connection.execute("SELECT id, name FROM metrics").fetchall())
    if not len(runs):
        raise WebError(f"The store {path} contains no runs yet. Import or measure some first.")
    transfer = runs["source"] != NO_SOURCE
    if not transfer.any():
        raise WebError(f"The store {path} contains only baselines. Measure transfers from at least one source.")
    setups, setup = _codes(runs["setup"], setup_names)
    targets, target = _codes(runs["target"], task_names)
    sources, source_of_transfer = _codes(runs["source"][transfer], task_names)
    source = np.full(len(runs), NO_SOURCE, np.int32)
    source[transfer] = source_of_transfer
    place = (setup.astype(np.int64) * len(targets) + target) * (len(sources) + 1) + source + 1
    _refuse_conflicting_runs(connection, path, runs, place)
    seed = number_unknown_seeds(_seed_codes(runs), place, ~transfer)

    metrics, metric = _codes(values["metric"], metric_names)
    of_run = np.searchsorted(runs["id"], values["run"])
    counts = runs["finished"][of_run]  # metrics of an unfinished run are ignored
    score, gain_score = run_scores(
        f"The store {path}", (setup, target), targets, metrics, of_run[counts], metric[counts], values["value"][counts]
    )
    hours = runs["seconds"] / 3600
    return RunTable(
        setups, targets, sources, setup, target, source, seed, score, gain_score,
        hours if np.isfinite(hours).any() else None,
    )  # fmt: skip


def _codes(ids: Codes, names: dict[int, str]) -> tuple[tuple[str, ...], Codes]:
    """The names of these ids, sorted, and the position of each id's name; ids with the same name share it."""
    used = np.unique(ids)
    distinct = sorted({names[i] for i in used.tolist()})
    position = {name: i for i, name in enumerate(distinct)}
    by_id = np.array([position[names[i]] for i in used.tolist()], np.int32)
    return tuple(distinct), by_id[np.searchsorted(used, ids)] if len(used) else np.zeros(0, np.int32)


def _seed_codes(runs: npt.NDArray[Any]) -> Codes:
    """Number the seeds: known ones by seed and replicate."""
    codes = np.full(len(runs), UNKNOWN_SEED, np.int32)
    known = runs["seeded"]
    codes[known] = np.unique(runs[["seed", "replicate"]][known], return_inverse=True)[1]
    return codes


def _refuse_conflicting_runs(
    connection: sqlite3.Connection, path: Path, runs: npt.NDArray[Any], place: npt.NDArray[np.int64]
) -> None:
    """Raise WebError for runs that differ in hyperparameters or data only: they do not measure the same thing."""
    order = np.lexsort((runs["replicate"], runs["seed"], runs["seeded"], place))
    same = np.diff(place[order]) == 0
    for name in ("seed", "seeded", "replicate"):
        same &= runs[name][order][1:] == runs[name][order][:-1]
    conflicts = np.flatnonzero(same)
    if len(conflicts):
        first, second = (
            connection.execute(_NAMES, (int(runs["id"][order[conflicts[0] + step]]),)).fetchone() for step in (0, 1)
        )
        _, setup, target, source, seed = first
        raise WebError(
            f"The store {path} contains {len(conflicts) + 1} conflicting runs, such as {first[0][:12]} and "
            f"{second[0][:12]}: {setup}, target {target}, source {source or 'none'}, seed {seed}. They differ in "
            "hyperparameters or data. Give a variant a setup name of its own (model/method@variant), or remove one of them."
        )
