"""Running a plan: what is to do, what is done, and the executor that does the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from taskweb.experiments.cache import SourceCheckpoints
from taskweb.experiments.data import load_task_data
from taskweb.experiments.executors import Executor, Job
from taskweb.experiments.executors.base import checkpoint_folder
from taskweb.experiments.markers import RunningRun, running_runs
from taskweb.experiments.plan import Plan, read_plan
from taskweb.experiments.specs import RunSpec, groups_of, runs_of
from taskweb.web.store import RunStore, is_store


@dataclass(frozen=True)
class PlanState:
    """Where a plan stands. todo: runs not in the store, in the order in which they will be done.

    seconds_per_run: mean over finished runs, with their share of source trainings; None before the first.
    """

    plan: Plan
    total: int
    finished: int
    failed: int
    diverged: int
    todo: tuple[RunSpec, ...]
    running: tuple[RunningRun, ...]
    seconds_per_run: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "plan": self.plan.name,
            "store": str(self.plan.store),
            "total": self.total,
            "finished": self.finished,
            "failed": self.failed,
            "diverged": self.diverged,
            "left": len(self.todo),
            "running": [
                {"setup": r.setup, "source": r.source, "target": r.target, "seed": r.seed, "seconds": round(r.seconds, 1)}
                for r in self.running
            ],
            "seconds_per_run": self.seconds_per_run,
            "seconds_left": None if self.seconds_per_run is None else self.seconds_per_run * len(self.todo),
        }


def state_of(plan_path: Path, *, retry_failed: bool = False) -> PlanState:
    """Read a plan and its store. retry_failed: runs that failed or diverged count as still to do. Raises TaskWebError."""
    plan = read_plan(plan_path)
    data = load_task_data(plan)
    specs = runs_of(plan)
    keys = {spec.record(data, plan.threads).key: spec for spec in specs}
    statuses: dict[str, str] = {}
    seconds: list[float] = []
    if is_store(plan.store):
        with RunStore.open(plan.store, read_only=True) as store:
            for run in store.runs():
                if run.key in keys:
                    statuses[run.key] = run.status
                    if run.status == "finished" and run.durations:
                        seconds.append(sum(run.durations.values()))
    again = ("failed", "diverged") if retry_failed else ()
    todo = tuple(spec for key, spec in keys.items() if key not in statuses or statuses[key] in again)
    counts = {status: list(statuses.values()).count(status) for status in ("finished", "failed", "diverged")}
    return PlanState(
        plan,
        len(keys),
        **counts,
        todo=todo,
        running=tuple(running_runs(plan.store)),
        seconds_per_run=fmean(seconds) if seconds else None,
    )


def run_plan(
    plan_path: Path, executor: Executor, *, retry_failed: bool = False, on_progress: Callable[[int], None] | None = None
) -> PlanState:
    """Do what is left of a plan and return where it stands. May be stopped at any moment, and called again.

    on_progress is called with the number of runs done after each group. Raises TaskWebError before anything is trained for a
    plan that cannot be run.
    """
    before = state_of(plan_path, retry_failed=retry_failed)
    groups = groups_of(list(before.todo))
    for done in executor.run(Job(plan_path, retry_failed), groups):
        if on_progress is not None:
            on_progress(done)
    after = state_of(plan_path)
    if not after.todo:
        SourceCheckpoints(checkpoint_folder(after.plan)).sweep()
    return after
