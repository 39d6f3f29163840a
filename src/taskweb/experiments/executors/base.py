"""The contract of executors, and the job that they execute."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from taskweb.experiments.budget import Budget
from taskweb.experiments.checkpoint_cache import checkpoint_cache_of
from taskweb.experiments.execute import GroupRunner
from taskweb.experiments.fused_execute import events_of
from taskweb.experiments.heartbeats import Heartbeat, PassFacts
from taskweb.experiments.plan import Plan
from taskweb.experiments.plan_file import read_plan, refuse
from taskweb.experiments.rescued_runs import require_store, store_or_rescue, store_rescued
from taskweb.experiments.resolution import resolved_plan
from taskweb.experiments.specs import RunGroup, RunSpec, Work, keys_of, outcome
from taskweb.experiments.task_data import load_task_data, texts_of
from taskweb.web.records.run import Run
from taskweb.web.records.run_times import measured_now
from taskweb.web.store import RunStore


@dataclass(frozen=True)
class Job:
    """What workers are given. They read the plan and its data themselves.

    replace_failed: outcomes replace runs that failed before.
    """

    plan_path: Path
    replace_failed: bool = False

    def open(self) -> OpenJob:
        """Read the plan and its data, once per process."""
        plan, unresolved = resolved_plan(read_plan(self.plan_path))
        refuse(self.plan_path, unresolved)
        data = load_task_data(plan)
        runner = GroupRunner(data, checkpoint_cache_of(plan), plan.threads, texts_of(data))
        budget = Budget(plan.most_hours, () if plan.most_hours is None else keys_of(plan, data))
        return OpenJob(plan, runner, self.replace_failed, budget)


@dataclass(frozen=True)
class OpenJob:
    """A job in a process that executes it. dated: whether outcomes say when they were measured."""

    plan: Plan
    runner: GroupRunner
    replace_failed: bool
    budget: Budget = field(default_factory=lambda: Budget(None, ()))
    dated: bool = False
    _opened_before: list[bool] = field(default_factory=list, repr=False)

    def execute(self, work: Work) -> int:
        """Execute the missing runs of a group, or of groups together, within the budget, and return their number.

        Each outcome is stored as soon as it is known.
        """
        with self.open_store() as store, Heartbeat(self.plan.store) as heartbeat:
            missing = self.missing_of(work, store)
            if missing is None:
                return 0
            done = 0
            with closing(events_of(self.runner, missing, lambda: not self.budget.is_spent(store))) as events:
                for event in events:
                    if isinstance(event, Run):
                        self.save(event, store)
                        heartbeat.end(event)
                        done += 1
                    elif isinstance(event, PassFacts):
                        heartbeat.note(event)
                    elif isinstance(work, RunGroup) and self.budget.is_spent(store):
                        break
                    else:
                        heartbeat.report(event)
            return done

    def missing_of(self, work: Work, store: RunStore) -> Work | None:
        """The work without the runs that are stored already; None where all are."""
        return work.keeping(lambda spec: not self._is_done(spec, store))

    def open_store(self) -> RunStore:
        """Open the store for writing, and store what was kept for it. It is made the first time; later it must be there."""
        require_store(self.plan.store, opened_before=bool(self._opened_before))
        store = RunStore.open(self.plan.store, create=True)
        self._opened_before.append(True)
        store_rescued(store, replace_failed=self.replace_failed)
        return store

    def save(self, run: Run, store: RunStore) -> None:
        """Store an outcome. Where the store cannot take it, it is kept for the next time, and the store's error raised."""
        if self.dated:
            run = outcome(run, extra={**run.extra, **measured_now()})
        store_or_rescue(store, run, replace_failed=self.replace_failed)
        self.budget.add(sum(run.durations.values()))

    def _is_done(self, spec: RunSpec, store: RunStore) -> bool:
        found = store.get(spec.record(self.runner.data, self.runner.threads).key)
        return found is not None and (found.status == "finished" or not self.replace_failed)


class Executor(Protocol):
    """Executes work, in any order and several pieces at once.

    Every executor stores the same records: an outcome depends on the run alone. `run` yields the number of runs done, now and
    then. Closing the iterator, or an interrupt, stops the work: unfinished runs leave no process and no half-written file
    behind, and are done when the plan is run again. If a worker dies, its run is done again. A run whose workers keep dying is
    recorded as failed, and the other runs go on.
    """

    @property
    def workers_here(self) -> int:
        """How many runs are done at once on this machine; 0 where they are done on others."""

    def run(self, job: Job, work: Sequence[Work]) -> Generator[int, None, None]:
        """Execute the work. Raises TaskWebError where no work can be done at all."""
        ...
