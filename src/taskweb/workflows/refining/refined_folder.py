"""What a folder of `taskweb refine` says: its ranking, its runs in the order in which they were made, and what is next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError
from taskweb.selectors import Ranking
from taskweb.tasks import catalogue
from taskweb.tasks.paths import kind_of_path
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore
from taskweb.workflows.refining.plan_folder import RefineFolder
from taskweb.workflows.saved_rankings import read_full_ranking
from taskweb.workflows.suggesting import NextRun


@dataclass(frozen=True)
class RefinedFolder:
    """A finished or running refinement.

    made: runs with the gain of each over the baseline of its seed, as a fraction, None where that is not known. coming: the
    runs worth making next, best first. stopped: why no more are made; None where that is not known.
    """

    ranking: Ranking
    made: tuple[tuple[Run, float | None], ...]
    coming: tuple[NextRun, ...]
    stopped: str | None


def read_refined(place: Path) -> RefinedFolder:
    """Read a folder of `taskweb refine`. Raises a TaskWebError for anything else."""
    folder = RefineFolder.at(place)
    if kind_of_path(place) != "folder" or not folder.ranking.exists():
        raise InputError(
            f"{place} is not a folder of taskweb refine: it has no {folder.ranking.name}. Give the folder of --to."
        )
    ranking = read_full_ranking(folder.ranking)
    with RunStore.open(folder.store, read_only=True) as store:
        runs = [run for run in store.runs() if run.target == ranking.target]
    made = tuple((run, gain) for run, gain in zip(runs, _gains(runs, ranking.target), strict=True))
    coming, stopped = ranking.kept.get("next", ()), ranking.kept.get("stopped")
    return RefinedFolder(
        ranking, made, tuple(_next_run(entry, place) for entry in coming), None if stopped is None else str(stopped)
    )


def _gains(runs: Sequence[Run], target: str) -> list[float | None]:
    """The gain of each run over the baseline of its seed."""
    tasks = catalogue()

    def score(run: Run) -> float:
        return run.score(tasks[target].transfer_metrics if target in tasks else tuple(run.metrics))

    baselines = {run.seed: score(run) for run in runs if run.source is None}
    found: list[float | None] = []
    for run in runs:
        base, own = baselines.get(run.seed, math.nan), score(run)
        known = run.source is not None and math.isfinite(own) and math.isfinite(base) and base != 0
        found.append((own - base) / abs(base) if known else None)
    return found


def _next_run(entry: Mapping[str, Any], place: Path) -> NextRun:
    try:
        source = entry["source"]
        return NextRun(None if source is None else str(source), int(entry["seed"]), float(entry["improvement"]), None)
    except (TypeError, ValueError, LookupError):
        raise InputError(f"The ranking in {place} names a next run that cannot be read. Continue the refinement.") from None
