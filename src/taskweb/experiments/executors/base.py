"""The contract of executors, and the job that they execute."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from taskweb.experiments.budget import Budget
from taskweb.experiments.checkpoint_cache import checkpoints_of
from taskweb.experiments.execute import Workbench
from taskweb.experiments.heartbeats import RunningMarker
from taskweb.experiments.plan import Plan
from taskweb.experiments.plan_file import read_plan
from taskweb.experiments.specs import RunGroup, RunSpec
from taskweb.experiments.state import keys_of
from taskweb.experiments.task_data import load_task_data, texts_of
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore


@dataclass(frozen=True)
class Job:
    """What a worker is told: which plan, and where things are kept. Workers read plan and data themselves.

    replace_failed: outcomes take the place of runs that failed before.
    """

    plan_path: Path
    replace_failed: bool = False

    def open(self) -> OpenJob:
        """Read the plan and its data, once per process."""
        plan = read_plan(self.plan_path)
        data = load_task_data(plan)
        bench = Workbench(data, checkpoints_of(plan), plan.threads, texts_of(data))
        budget = Budget(plan.most_hours, () if plan.most_hours is None else keys_of(plan, data))
        return OpenJob(plan, bench, self.replace_failed, budget)


@dataclass(frozen=True)
class OpenJob:
    """A job in a process that executes it."""

    plan: Plan
    bench: Workbench
    replace_failed: bool
    budget: Budget = field(default_factory=lambda: Budget(None, ()))

    def execute(self, group: RunGroup) -> int:
        """Do what is left of a group, within the budget; each outcome is in the store before the next run starts.

        Returns how many runs were done.
        """
        done = 0
        with RunStore.open(self.plan.store, create=True) as store, RunningMarker(self.plan.store) as marker:
            left = self.left_of(group, store)
            if left is None:
                return 0
            with closing(self.bench.events(left)) as events:
                for event in events:
                    if isinstance(event, Run):
                        self.keep(event, store)
                        done += 1
                    elif self.budget.is_spent(store):
                        break
                    else:
                        marker.tell(event)
        return done

    def left_of(self, group: RunGroup, store: RunStore) -> RunGroup | None:
        """The group without the runs that are in the store already; None where all are."""
        targets = tuple(spec.target for spec in group.specs() if not self._is_done(spec, store))
        return replace(group, targets=targets) if targets else None

    def keep(self, run: Run, store: RunStore) -> None:
        """Put an outcome into the store."""
        store.add_many([run], replace_failed=self.replace_failed)
        self.budget.add(sum(run.durations.values()))

    def _is_done(self, spec: RunSpec, store: RunStore) -> bool:
        found = store.get(spec.record(self.bench.data, self.bench.threads).key)
        return found is not None and (found.status == "finished" or not self.replace_failed)


class Executor(Protocol):
    """Executes groups of runs, in any order and any number at once.

    Whatever the executor, the store holds the same records: outcomes depend on the run alone. `run` yields the number of runs
    done, now and then. Closing the iterator, or an interrupt, stops the work: runs that have not finished leave no process and
    nothing half-written behind, and are done when the plan is run again. A worker that dies loses the run it was at, which is
    done again; a run at which workers keep dying is recorded as failed, and the rest goes on.
    """

    def run(self, job: Job, groups: Sequence[RunGroup]) -> Generator[int, None, None]:
        """Execute the groups. Raises TaskWebError where no work can be done at all."""
        ...
