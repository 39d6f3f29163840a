"""The contract of executors, and the job that they execute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from taskweb.experiments.cache import SourceCheckpoints, checkpoint_folder
from taskweb.experiments.data import load_task_data, texts_of
from taskweb.experiments.execute import Workbench
from taskweb.experiments.markers import RunningMarker
from taskweb.experiments.plan import Plan
from taskweb.experiments.plan_file import read_plan
from taskweb.experiments.specs import RunGroup
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
        bench = Workbench(data, SourceCheckpoints(checkpoint_folder(plan)), plan.threads, texts_of(data))
        return OpenJob(plan, bench, self.replace_failed)


@dataclass(frozen=True)
class OpenJob:
    """A job in a process that executes it."""

    plan: Plan
    bench: Workbench
    replace_failed: bool

    def execute(self, group: RunGroup) -> int:
        """Do the runs of a group; each outcome is in the store before the next run starts. Returns how many there were."""
        done = 0
        with RunStore.open(self.plan.store, create=True) as store, RunningMarker(self.plan.store) as marker:
            for run in self.bench.outcomes(group, marker.tell):
                store.add_many([run], replace_failed=self.replace_failed)
                done += 1
        return done


class Executor(Protocol):
    """Executes groups of runs, in any order and any number at once.

    Whatever the executor, the store holds the same records: outcomes depend on the run alone. `run` yields the number of runs
    done after each group. Stopping the iteration stops the work: runs that have not finished leave nothing behind, and are
    done when the plan is run again. A worker that dies loses the runs it had not finished, and the rest goes on.
    """

    def run(self, job: Job, groups: Sequence[RunGroup]) -> Iterator[int]:
        """Execute the groups. Raises TaskWebError where no work can be done at all."""
        ...
