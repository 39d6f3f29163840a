"""The runs of a store as columns, ready to be scored; no Run is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.errors import WebError
from taskweb.web.arrays import Codes
from taskweb.web.records.run import RUN_STATUSES
from taskweb.web.records.run_scores import run_scores
from taskweb.web.records.run_table import NO_SOURCE, UNKNOWN_SEED, RunTable, number_unknown_seeds
from taskweb.web.store.checksums import NO_VALUE
from taskweb.web.store.facts import Facts


def run_table(facts: Facts, path: Path) -> RunTable:
    """All runs of a store, from its facts. Raises WebError where there is nothing to score, or two runs conflict.

    A run that did not finish has no score. A metric without a value (None) counts as not measured. Runs with an unknown seed
    are numbered so that none shares the seed of a baseline.
    """
    runs, values = facts.runs, facts.values
    if not len(runs):
        raise WebError(f"The store {path} contains no runs yet. Import or measure some first.")
    transfer = runs["source"] != NO_SOURCE
    if not transfer.any():
        raise WebError(f"The store {path} contains only baselines. Measure transfers from at least one source.")
    setups, setup = _codes(runs["setup"], facts.shown_setups)
    targets, target = _codes(runs["target"], facts.tasks)
    sources, source_of_transfer = _codes(runs["source"][transfer], facts.tasks)
    source = np.full(len(runs), NO_SOURCE, np.int32)
    source[transfer] = source_of_transfer
    place = (setup.astype(np.int64) * len(targets) + target) * (len(sources) + 1) + source + 1
    _refuse_conflicting_runs(facts, path, place)
    seed = number_unknown_seeds(_seed_codes(runs), place, ~transfer)

    # metrics without a value, and those of an unfinished run, are ignored
    counts = (values["kind"] != NO_VALUE) & (runs["status"] == RUN_STATUSES.index("finished"))[facts.of_run]
    metrics, metric = _codes(values["metric"][counts], facts.metrics)
    score, gain_score = run_scores(
        f"The store {path}", (setup, target), targets, metrics, facts.of_run[counts], metric, values["value"][counts]
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


def _refuse_conflicting_runs(facts: Facts, path: Path, place: npt.NDArray[np.int64]) -> None:
    """Raise WebError for runs that differ in hyperparameters or data only: they do not measure the same thing."""
    runs = facts.runs
    order = np.lexsort((runs["replicate"], runs["seed"], runs["seeded"], place))
    same = np.diff(place[order]) == 0
    for name in ("seed", "seeded", "replicate"):
        same &= runs[name][order][1:] == runs[name][order][:-1]
    conflicts = np.flatnonzero(same)
    if len(conflicts):
        first, second = (runs[order[conflicts[0] + step]] for step in (0, 1))
        source = facts.tasks.get(int(first["source"]), "none")
        raise WebError(
            f"The store {path} contains {len(conflicts) + 1} conflicting runs, such as {first['key'].hex()[:12]} and "
            f"{second['key'].hex()[:12]}: {facts.setups[int(first['setup'])]}, target {facts.tasks[int(first['target'])]}, "
            f"source {source}, seed {first['seed'] if first['seeded'] else None}. They differ in hyperparameters or data. "
            "Give a variant a setup name of its own (model/method@variant), or remove one of them."
        )
