"""The state of a plan: which runs are done, running and left, and how long the rest will take. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from taskweb.experiments.digests import digests_and_errors
from taskweb.experiments.heartbeats import RunningRun, RunningWorker, running_workers
from taskweb.experiments.plan import Plan
from taskweb.experiments.plan_file import plan_and_errors, refuse
from taskweb.experiments.resolution import resolved_plan
from taskweb.experiments.specs import RunSpec, keys_of
from taskweb.experiments.spool import Spool, waiting_jobs
from taskweb.experiments.task_data import Digested
from taskweb.web.store import RunStore


@dataclass(frozen=True, slots=True)
class SetupState:
    """The state of one setup, in runs. missing: not in the store, running ones included.

    seconds_per_run: mean over its finished runs, training of sources included; None before the first.
    """

    setup: str
    finished: int
    failed: int
    diverged: int
    running: int
    missing: int
    seconds_per_run: float | None


@dataclass(frozen=True)
class PlanState:
    """The state of a plan. todo: runs that are left, in their order.

    spent: seconds that its runs took so far. seconds_left: that one worker needs for the runs that are left, each at the mean
    of its setup, or of all setups if its own has no measured run yet, and, where pairs are chosen, not more than the budget
    has left; None before the first measured run. pairs: of source, target and setup, that the plan has or may choose;
    pairs_run: those with a run in the store. waiting: jobs in a cluster's queue, and why they wait. specs: all runs of the
    plan, by key.
    """

    plan: Plan
    total: int
    setups: tuple[SetupState, ...]
    todo: tuple[RunSpec, ...]
    workers: tuple[RunningWorker, ...]
    spent: float
    seconds_left: float | None
    pairs: int = 0
    pairs_run: int = 0
    waiting: tuple[int, str] = (0, "")
    specs: Mapping[str, RunSpec] = field(default_factory=dict, repr=False)

    @property
    def running(self) -> tuple[RunningRun, ...]:
        """The runs that live workers are executing."""
        return tuple(run for worker in self.workers for run in worker.runs)

    @property
    def runs_per_hour(self) -> float | None:
        """Runs per hour of the live workers, or of one worker where none is at work, at the mean of the finished runs."""
        seconds = self.seconds_per_run
        return 3600 * max(1, len(self.workers)) / seconds if seconds else None

    @property
    def finished(self) -> int:
        """Runs that have a score."""
        return sum(setup.finished for setup in self.setups)

    @property
    def failed(self) -> int:
        """Runs that failed."""
        return sum(setup.failed for setup in self.setups)

    @property
    def diverged(self) -> int:
        """Runs whose loss became infinite or NaN."""
        return sum(setup.diverged for setup in self.setups)

    @property
    def missing(self) -> int:
        """Runs that are not in the store."""
        return sum(setup.missing for setup in self.setups)

    @property
    def seconds_per_run(self) -> float | None:
        """Mean over the finished runs of all setups."""
        measured = [(own.seconds_per_run, own.finished) for own in self.setups if own.seconds_per_run is not None]
        return sum(mean * runs for mean, runs in measured) / sum(runs for _, runs in measured) if measured else None

    @property
    def budget_is_spent(self) -> bool:
        """Whether the runs took as long as the plan allows. No further run is started then."""
        return self.plan.most_hours is not None and self.spent >= self.plan.most_hours * 3600

    @property
    def affordable(self) -> int | None:
        """How many further runs the budget buys, baselines included, at the mean of those so far; None before the first."""
        limits = [len(self.todo)]
        if self.plan.most_runs is not None:
            limits.append(self.plan.most_runs - (self.total - self.missing))
        if self.plan.most_hours is not None:
            if not self.seconds_per_run:
                return None
            limits.append(int((self.plan.most_hours * 3600 - self.spent) / self.seconds_per_run))
        return max(0, min(limits))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "plan": self.plan.name,
            "store": str(self.plan.store),
            "total": self.total,
            "finished": self.finished,
            "failed": self.failed,
            "diverged": self.diverged,
            "missing": self.missing,
            "left": len(self.todo),
            "running": [{**asdict(run), "seconds": round(run.seconds, 1)} for run in self.running],
            "waiting": self.waiting[0],
            "workers": [worker.passes and asdict(worker.passes) for worker in self.workers],
            "seconds_per_run": self.seconds_per_run,
            "runs_per_hour": self.runs_per_hour,
            "seconds_left": self.seconds_left,
            "seconds_spent": self.spent,
            "budget_hours": self.plan.most_hours,
            **({"pairs_run": self.pairs_run, "affordable": self.affordable} if self.plan.is_chosen else {}),
            "setups": [asdict(setup) for setup in self.setups],
        }


def state_of(plan_path: Path, *, retry_failed: bool = False) -> PlanState:
    """The state of a plan file. Reads its store, and examples that were never read before.

    Raises TaskWebError for a plan that cannot be read or has errors.
    """
    plan, errors = plan_and_errors(plan_path)
    data, data_errors = digests_and_errors(plan)
    refuse(plan_path, [*errors, *data_errors.values()])
    if plan.store.exists():  # without one, no run is done, whatever its key
        plan, unresolved = resolved_plan(plan)
        refuse(plan_path, unresolved)
    return plan_state(plan, data, retry_failed=retry_failed)


def plan_state(plan: Plan, data: Mapping[str, Digested], *, retry_failed: bool = False) -> PlanState:
    """The state of a plan. retry_failed: runs that failed or diverged count as left."""
    specs = keys_of(plan, data)
    outcomes = stored_outcomes(plan.store) | spooled_outcomes(plan.store)
    found = {key: outcome for key, outcome in outcomes.items() if key in specs}
    workers = tuple(running_workers(plan.store))
    seconds: dict[str, list[float]] = {setup.name: [] for setup in plan.setups}
    counts = {setup.name: dict.fromkeys(("finished", "failed", "diverged", "missing"), 0) for setup in plan.setups}
    for key, spec in specs.items():
        status, spent = found.get(key, ("missing", None))
        counts[spec.setup.name][status] += 1
        if status == "finished" and spent is not None:
            seconds[spec.setup.name].append(spent)
    means = {name: fmean(values) if values else None for name, values in seconds.items()}
    again = ("missing", "failed", "diverged") if retry_failed else ("missing",)
    todo = tuple(spec for key, spec in specs.items() if found.get(key, ("missing", None))[0] in again)
    total = sum(spent for _, spent in found.values() if spent is not None)
    in_progress = [run.setup for worker in workers for run in worker.runs]
    return PlanState(
        plan,
        len(specs),
        tuple(
            SetupState(name, **own, running=in_progress.count(name), seconds_per_run=means[name])
            for name, own in counts.items()
        ),
        todo,
        workers,
        total,
        _seconds_left(plan, todo, means, [value for values in seconds.values() for value in values], total),
        len(_pairs(specs.values())),
        len(_pairs(specs[key] for key in found)),
        waiting_jobs(plan.store),
        specs,
    )


def _pairs(specs: Iterable[RunSpec]) -> set[tuple[str, str, str]]:
    return {(spec.setup.name, spec.source, spec.target) for spec in specs if spec.source is not None}


def stored_outcomes(store: Path) -> dict[str, tuple[str, float | None]]:
    """Status and seconds of every run in a store, by key; empty if there is no file. Raises TaskWebError for another one."""
    if not store.exists():
        return {}
    with RunStore.open(store, read_only=True) as runs:
        return {key: (status, seconds) for key, status, seconds in runs.outcomes()}


def spooled_outcomes(store: Path) -> dict[str, tuple[str, float | None]]:
    """As `stored_outcomes`, of runs that jobs left for an owner that has not stored them yet."""
    return {run.key: (run.status, sum(run.durations.values()) or None) for run in Spool.beside(store).outcomes()}


def _seconds_left(
    plan: Plan, todo: tuple[RunSpec, ...], means: Mapping[str, float | None], measured: list[float], spent: float
) -> float | None:
    if not measured:
        return None
    overall = fmean(measured)
    left = sum(overall if (own := means[spec.setup.name]) is None else own for spec in todo)
    if plan.is_chosen and plan.most_hours is not None:
        left = min(left, max(0.0, plan.most_hours * 3600 - spent))
    return left
