"""Runs of a plan carried out one at a time, in an order that is decided while they are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taskweb.experiments.checkpoint_cache import checkpoint_cache_of
from taskweb.experiments.checks import check_plan
from taskweb.experiments.execute import GroupRunner
from taskweb.experiments.executors.base import OpenJob
from taskweb.experiments.fusing import is_fusable
from taskweb.experiments.pair_choosing import examples_read
from taskweb.experiments.plan import Fuse, Plan, PlannedSetup
from taskweb.experiments.plan_lock import plan_lock
from taskweb.experiments.specs import FusedGroups, RunGroup, RunSpec
from taskweb.experiments.task_data import load_task_data, texts_of
from taskweb.tasks import Task
from taskweb.training.settings import chosen_device
from taskweb.web.records.run import Run
from taskweb.web.store import RunStore

_TOGETHER_ON_GPU = 4


@dataclass(frozen=True)
class SingleRuns:
    """Runs of a plan's first setup on its first target. Each outcome is stored as soon as it is known, with the time.

    warnings: what a person should know before anything is trained, a sentence each.
    """

    job: OpenJob
    warnings: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.job.plan

    @property
    def setup(self) -> PlannedSetup:
        """The setup of all runs."""
        return self.plan.setups[0]

    @property
    def task(self) -> Task:
        """The target."""
        return self.plan.tasks[self.plan.targets[0]].task

    def stored(self) -> list[Run]:
        """The outcomes that are in the store, in the order in which they came there. Runs of other settings are left out."""
        if not self.plan.store.exists():
            return []
        with RunStore.open(self.plan.store, read_only=True) as store:
            found = store.runs(setup=self.setup.name, target=self.task.name)
            return [run for run in found if self._is_own(run)]

    def run(self, source: str | None, seed: int) -> Run:
        """The outcome of a run, from the store or made now. source None: the baseline. It may have failed, with its reason."""
        return self.run_all([(source, seed)])[0]

    def run_all(self, wanted: Sequence[tuple[str | None, int]]) -> list[Run]:
        """The outcomes of runs, given by source and seed; several share passes where the setup's method allows it."""
        groups = tuple(RunGroup(self.setup, source, seed, (self.task.name,)) for source, seed in wanted)
        together = len(groups) > 1 and is_fusable(self.setup)
        for work in (FusedGroups(groups, len(groups)),) if together else groups:
            self.job.execute(work)
        keys = [self._spec(source, seed).record(self.job.runner.data, self.plan.threads).key for source, seed in wanted]
        with RunStore.open(self.plan.store, read_only=True) as store:
            return [found for key in keys if (found := store.get(key)) is not None]

    def together(self, fuse: Fuse) -> int:
        """How many runs to choose at once. `auto`: 4 on a GPU where the method shares passes, else 1; bits count on a CPU."""
        if fuse != "auto":
            return fuse
        on_gpu = chosen_device(self.setup.settings_for(self.task.name).device).type == "cuda"
        return _TOGETHER_ON_GPU if on_gpu and is_fusable(self.setup) else 1

    def others(self) -> int:
        """How many runs of the target stand in the store under the same setup, but with other settings or examples."""
        if not self.plan.store.exists():
            return 0
        with RunStore.open(self.plan.store, read_only=True) as store:
            return sum(not self._is_own(run) for run in store.runs(setup=self.setup.name, target=self.task.name))

    def examples_read(self, task: str) -> int:
        """How many examples a training on that task reads, all updates together: the target, or a source."""
        return examples_read(self.setup, self.job.runner.data, task, as_source=task != self.task.name)

    def is_cached(self, source: str, seed: int) -> bool:
        """Whether the weights after a source are there from a run that was stopped."""
        return self._weights(source, seed).exists()

    def evaluated_on(self, rows: Path, store: Path) -> SingleRuns:
        """The same trainings, evaluated on the rows of another file; their outcomes go into a store of their own.

        Weights after sources that are still there are used.
        """
        runner, name = self.job.runner, self.task.name
        task = dataclasses.replace(self.plan.tasks[name], eval_file=rows)
        plan = dataclasses.replace(self.plan, store=store, tasks={**self.plan.tasks, name: task})
        data = {**runner.data, **load_task_data(dataclasses.replace(plan, tasks={name: task}))}
        runner.models.forget_all()
        return SingleRuns(OpenJob(plan, GroupRunner(data, runner.checkpoints, plan.threads, runner.texts), False))

    def forget_weights(self, runs: Iterable[Run]) -> None:
        """Remove the weights after the sources of these runs. Those of the source that is reported on are used once more."""
        for run in runs:
            if run.source is not None and run.seed is not None:
                self._weights(run.source, run.seed).unlink(missing_ok=True)

    def clean_up(self) -> None:
        """Remove weights and checkpoints that no run needs any more."""
        self.job.runner.checkpoints.remove_others(())

    def _weights(self, source: str, seed: int) -> Path:
        group, runner = RunGroup(self.setup, source, seed, ()), self.job.runner
        return runner.checkpoints.source_path(group.source_key(runner.data, self.plan.threads))

    def _spec(self, source: str | None, seed: int) -> RunSpec:
        return RunSpec(self.setup, source, self.task.name, seed)

    def _is_own(self, run: Run) -> bool:
        if run.seed is None or (run.source is not None and run.source not in self.plan.sources):
            return False
        return self._spec(run.source, run.seed).record(self.job.runner.data, self.plan.threads).key == run.key


def checked_runs(plan_path: Path) -> SingleRuns:
    """The runs of a plan file, all of which is checked; nothing is trained or written.

    Raises a TaskWebError for a plan that cannot be run.
    """
    checked = check_plan(plan_path)
    plan, data = checked.plan, checked.data
    checkpoints = dataclasses.replace(checkpoint_cache_of(plan), kept=True)
    runner = GroupRunner(data, checkpoints, plan.threads, texts_of(data))
    return SingleRuns(OpenJob(plan, runner, False, dated=True), checked.warnings)


@contextmanager
def filling_alone(runs: SingleRuns) -> Iterator[None]:
    """Be the only process that fills the store of these runs. Raises TaskWebError where another one does."""
    with plan_lock(runs.plan.store):
        yield
