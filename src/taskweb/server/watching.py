"""A plan or refinement while it runs elsewhere, read from its store without changing it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.errors import InputError, TaskWebError
from taskweb.experiments.heartbeats import RunningWorker, running_workers
from taskweb.experiments.plan_file import plan_and_errors
from taskweb.experiments.specs import RunSpec
from taskweb.experiments.state import PlanState, state_of
from taskweb.tasks.paths import kind_of_path
from taskweb.web import TransferWeb
from taskweb.web.records.run import Run
from taskweb.web.scores import score_runs
from taskweb.web.store import RunStore, is_store
from taskweb.workflows.refining.plan_folder import STORE, RefineFolder
from taskweb.workflows.saved_rankings import ranking_json, read_full_ranking

Specs = Mapping[str, RunSpec]
LATEST_RUNS, LATEST_FAILURES, MOST_TRANSFERS = 25, 10, 300
_LARGEST_SHARE = 0.1  # of the time, for reading
_LEAST_SECONDS = 0.5
_WATCHABLE = "Give the store of a plan, a plan, or a folder of taskweb refine."


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched. plan: None where the plan of a store is not known. ranking: of a refinement."""

    store: Path
    plan: Path | None = None
    ranking: Path | None = None
    name: str = ""

    @property
    def is_refinement(self) -> bool:
        """Whether it is a refinement, of whose plan only a part is run."""
        return self.ranking is not None


def find_watched(where: Path) -> Watched:
    """A store, a plan, or the folder of a refinement, to be watched; its store may not be there yet.

    Raises InputError for anything else, and a TaskWebError for a plan with errors.
    """
    kind = kind_of_path(where)
    if kind == "folder":
        folder = RefineFolder.at(where)
        if not folder.plan.exists() and not folder.store.exists():
            raise InputError(f"The folder {where} is not one of taskweb refine: it has no plan and no {STORE}. Give a store.")
        checked = _checked_store_of if not folder.store.exists() else _store_of
        store = checked(folder.plan) if folder.plan.exists() else folder.store
        return Watched(store, folder.plan if folder.plan.exists() else None, folder.ranking, where.resolve().name)
    if kind == "file" and where.suffix.lower() == ".toml":
        return Watched(_checked_store_of(where), where, None, where.stem)
    if kind == "file" and is_store(where):
        return Watched(where, _plan_beside(where), None, where.stem)
    if kind == "missing":
        raise InputError(f"There is nothing to watch at {where}. {_WATCHABLE}")
    raise InputError(f"{where} is neither a store nor a plan. {_WATCHABLE}")


@dataclass
class Watch:
    """Snapshots of what is watched; one is read again after a while only, so that many people cost as much as one."""

    watched: Watched
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _last: dict[str, Any] | None = field(default=None, repr=False)
    _next: float = 0.0

    def snapshot(self) -> dict[str, Any]:
        """The state now, or a moment ago, as plain JSON values. Raises a TaskWebError for a store that cannot be read."""
        with self._lock:
            began = time.monotonic()
            if self._last is None or began >= self._next:
                self._last = snapshot_of(self.watched)
                ended = time.monotonic()
                self._next = ended + max(_LEAST_SECONDS, (ended - began) / _LARGEST_SHARE)
            return self._last


def snapshot_of(watched: Watched) -> dict[str, Any]:
    """Progress, running runs, the latest runs and failures, and transfers measured so far, as plain JSON values.

    They are those of the plan where there is one, and `others` says how many runs of other plans the store has.
    """
    state, problem = _state(watched)
    specs = None if state is None else state.specs
    workers = [own for worker in running_workers(watched.store) if (own := _of_plan(worker, specs)) is not None]
    latest, failures, counts, others = _runs(watched.store, specs)
    known = {} if state is None else state.to_dict()
    is_plan = state is not None
    left = known.get("seconds_left")
    return {
        "name": watched.name,
        "plan": watched.plan.name if is_plan and watched.plan is not None else None,
        "others": others,
        "kind": "refinement" if watched.is_refinement else "plan" if is_plan else "store",
        "counts": {status: known[status] for status in counts} if is_plan else counts,
        "total": known.get("total") if is_plan else None,
        "missing": known.get("missing") if is_plan else None,
        "left": known.get("left") if is_plan else None,
        "seconds_left": None if left is None or not is_plan else left / max(1, len(workers)),
        "runs_per_hour": known.get("runs_per_hour"),
        "setups": known.get("setups", []) if is_plan else [],
        "running": [asdict(run) for worker in workers for run in worker.runs],
        "workers": len(workers),
        "latest": latest,
        "failures": failures,
        "transfers": _transfers(watched.store, specs),
        "ranking": _ranking(watched),
        "problem": problem,
    }


def _state(watched: Watched) -> tuple[PlanState | None, str | None]:
    """The state of the plan, or why it is not known; none of a refinement, which does not run its whole plan."""
    if watched.plan is None or watched.is_refinement:
        return None, None
    try:
        return state_of(watched.plan), None
    except TaskWebError as error:
        return None, str(error)


def _of_plan(worker: RunningWorker, specs: Specs | None) -> RunningWorker | None:
    """The worker with its runs of the plan; None for one that is at work for others only. specs: None for runs of any plan."""
    if specs is None or not worker.runs:
        return worker
    planned = {(spec.setup.name, spec.source, spec.target, spec.seed) for spec in specs.values()}
    own = tuple(run for run in worker.runs if (run.setup, run.source, run.target, run.seed) in planned)
    return replace(worker, runs=own) if own else None


def _runs(store: Path, specs: Specs | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, int], int]:
    """The latest runs and the latest failures, newest first, the number of runs by status, and how many are of other plans."""
    counts = {"finished": 0, "failed": 0, "diverged": 0}
    if not store.exists():
        return [], [], counts, 0
    with RunStore.open(store, read_only=True) as runs:
        every = runs.outcomes()
        outcomes = [outcome for outcome in every if specs is None or outcome[0] in specs]
        for _, status, _ in outcomes:
            counts[status] += 1
        newest = outcomes[::-1]
        latest = [runs.get(key) for key, _, _ in newest[:LATEST_RUNS]]
        failed = [runs.get(key) for key, status, _ in newest if status != "finished"][:LATEST_FAILURES]
    return [_run(run) for run in latest if run], [_run(run) for run in failed if run], counts, len(every) - len(outcomes)


def _run(run: Run) -> dict[str, Any]:
    return {
        "setup": run.setup.name,
        "source": run.source,
        "target": run.target,
        "seed": run.seed,
        "status": run.status,
        "reason": run.reason,
        "scores": {name: _finite(value) for name, value in run.metrics.items()},
        "seconds": math.fsum(run.durations.values()) or None,
    }


def _transfers(store: Path, specs: Specs | None) -> list[dict[str, Any]]:
    """Mean gains of pairs measured so far, the largest first; empty before the first pair with a baseline."""
    if not store.exists():
        return []
    try:
        with RunStore.open(store, read_only=True) as runs:
            web = score_runs(runs.run_table(None if specs is None else specs.keys()), store.name)
    except TaskWebError:  # nothing to score yet
        return []
    found = _gains(web)
    if len(found) > MOST_TRANSFERS:
        found = [*found[: MOST_TRANSFERS // 2], *found[-MOST_TRANSFERS // 2 :]]
    return found


def _gains(web: TransferWeb) -> list[dict[str, Any]]:
    if web.pc is None:
        return []
    found = [
        {
            "setup": web.setups[s],
            "target": web.targets[t],
            "source": web.sources[c],
            "gain": float(web.pc[s, t, c]),
            "seeds": None if web.n_seeds is None else _finite(web.n_seeds[s, t, c]),
        }
        for s, t, c in np.argwhere(np.isfinite(web.pc)).tolist()
        if web.targets[t] != web.sources[c]
    ]
    return sorted(found, key=lambda entry: -_number(entry))


def _number(entry: Mapping[str, Any]) -> float:
    return float(entry["gain"])


def _ranking(watched: Watched) -> dict[str, Any] | None:
    """The ranking of a refinement, once it is written."""
    if watched.ranking is None or not watched.ranking.exists():
        return None
    try:
        return ranking_json(read_full_ranking(watched.ranking))
    except TaskWebError:
        return None


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _store_of(plan: Path) -> Path:
    read, _ = plan_and_errors(plan)
    return read.store


def _checked_store_of(plan: Path) -> Path:
    """The store of a plan that can be run. Raises InputError, in one line, for one that cannot."""
    read, errors = plan_and_errors(plan)
    if errors:
        more = f" For all {len(errors)} errors: taskweb run {plan} --dry-run" if len(errors) > 1 else ""
        raise InputError(f"The plan {plan} cannot be watched: {errors[0].rstrip('.')}.{more}")
    return read.store


def _plan_beside(store: Path) -> Path | None:
    """A plan in the same folder that writes to this store."""
    for file in sorted(store.parent.glob("*.toml")):
        try:
            if _store_of(file).resolve() == store.resolve():
                return file
        except (TaskWebError, OSError):
            continue
    return None
