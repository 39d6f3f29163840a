"""Running a plan: the executor does the missing runs, and leftover files are removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from taskweb.errors import ParameterError
from taskweb.experiments.checkpoint_cache import checkpoint_cache_of
from taskweb.experiments.checks import CheckedPlan, check_plan
from taskweb.experiments.executors import Executor, InlineExecutor, Job, RayExecutor, SlurmExecutor
from taskweb.experiments.executors.slurm import settle_earlier_jobs, store_spooled
from taskweb.experiments.fusing import longest_first, most_together, work_of
from taskweb.experiments.pair_choosing import PairChooser, Round, Rounds
from taskweb.experiments.plan import Fuse
from taskweb.experiments.plan_lock import plan_lock
from taskweb.experiments.run_progress import PlanProgress, reporting_progress
from taskweb.experiments.specs import RunGroup, RunSpec, groups_of, keys_of
from taskweb.experiments.state import PlanState, plan_state


@dataclass(frozen=True, slots=True)
class Reports:
    """What is called while a plan runs.

    on_progress: before the first run, now and then from another thread, and at the end; of chosen pairs, in each round.
    on_warning: before the first run, with each of `CheckedPlan.warnings`. on_round: before each round of chosen pairs.
    on_stop: with the reason why no further pair is chosen.
    """

    on_progress: Callable[[PlanProgress], None] | None = None
    on_warning: Callable[[str], None] | None = None
    on_round: Callable[[Round], None] | None = None
    on_stop: Callable[[str], None] | None = None


def run_plan(
    plan_path: Path,
    executor: Executor,
    *,
    retry_failed: bool = False,
    fuse: Fuse | None = None,
    reports: Reports | None = None,
    chooser: PairChooser | None = None,
) -> PlanState:
    """Do the missing runs of a plan, and return its state. May be stopped at any moment, and called again.

    fuse: most trainings at once in shared passes, instead of what the plan says. chooser: of pairs, where the plan's mode is
    `chosen`; they are then bought in rounds until its budget is spent.
    Raises TaskWebError before anything is trained: for a plan that cannot be run, or whose store another process is filling.
    """
    checked = check_plan(plan_path, workers=executor.workers_here)
    running = _Running(plan_path, checked, executor, fuse, reports or Reports())
    for line in checked.warnings:
        if running.reports.on_warning:
            running.reports.on_warning(line)
    if checked.plan.is_chosen and chooser is None:
        raise ParameterError(f'The plan {plan_path} has mode = "chosen", so it needs a chooser of pairs. Give `chooser`.')
    with plan_lock(checked.plan.store):
        earlier = store_spooled if isinstance(executor, SlurmExecutor) else settle_earlier_jobs
        earlier(checked.plan.store, retry_failed)
        return (
            running.all_runs(retry_failed)
            if chooser is None or not checked.plan.is_chosen
            else running.rounds(chooser, retry_failed)
        )


@dataclass(frozen=True)
class _Running:
    """A plan that is being run."""

    path: Path
    checked: CheckedPlan
    executor: Executor
    fuse: Fuse | None
    reports: Reports
    keys: dict[str, RunSpec] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", keys_of(self.checked.plan, self.checked.data))

    def all_runs(self, retry_failed: bool) -> PlanState:
        """Do all runs that are missing."""
        before = self._state(retry_failed)
        self._remove_leftovers(before.todo)
        self._do(before, before.todo, retry_failed)
        after = self._state()
        if not after.todo:
            self._remove_leftovers(())
        return after

    def rounds(self, chooser: PairChooser, retry_failed: bool) -> PlanState:
        """Do the runs of one round after the other, until the chooser or the budget ends it."""
        plan, data = self.checked.plan, self.checked.data
        before = self._state(retry_failed)
        self._remove_leftovers(before.todo)
        if retry_failed and (again := set(before.todo) - set(self._state().todo)):
            self._do(before, [spec for spec in before.todo if spec in again], retry_failed)
        rounds = Rounds(plan, data, chooser, self.keys)
        found = rounds.next(1)
        while isinstance(found, Round):
            if self.reports.on_round:
                self.reports.on_round(found)
            before = self._state()
            self._do(before, found.runs, False)
            stored = before.missing - self._state().missing
            found = rounds.next(found.number + 1) if stored else "the last round stored no run"
        if self.reports.on_stop:
            self.reports.on_stop(found)
        self._remove_leftovers(())
        return self._state()

    def _do(self, state: PlanState, specs: Sequence[RunSpec], retry_failed: bool) -> None:
        """Do these runs. state: before them."""
        plan, data = self.checked.plan, self.checked.data
        groups = groups_of(list(specs))
        before = replace(state, total=state.total - len(state.todo) + len(specs), todo=tuple(specs))
        with reporting_progress(before, self.keys, self.reports.on_progress):
            if groups:
                most = most_together(plan.fuse if self.fuse is None else self.fuse, self.executor)
                work = work_of(groups, most, self.executor.workers_here)
                if not isinstance(self.executor, InlineExecutor):
                    work = longest_first(work, data)
                with closing(self.executor.run(Job(self.path, retry_failed), work)) as done:
                    for _ in done:
                        pass

    def _state(self, retry_failed: bool = False) -> PlanState:
        return plan_state(self.checked.plan, self.checked.data, retry_failed=retry_failed)

    def _remove_leftovers(self, todo: Sequence[RunSpec]) -> None:
        """Remove cached weights and checkpoints that none of these runs needs."""
        data, threads = self.checked.data, self.checked.plan.threads
        sources = {
            RunGroup(spec.setup, spec.source, spec.seed, ()).source_key(data, threads)
            for spec in todo
            if spec.source is not None
        }
        plan, executor = self.checked.plan, self.executor
        cache = executor.cached(plan) if isinstance(executor, RayExecutor) else checkpoint_cache_of(plan)
        cache.remove_others(sources | {spec.record(data, threads).key for spec in todo})
