"""Running a plan: the executor does the missing runs, and leftover files are removed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from taskweb.experiments.checkpoint_cache import checkpoint_cache_of
from taskweb.experiments.checks import check_plan
from taskweb.experiments.executors import Executor, InlineExecutor, Job
from taskweb.experiments.fusing import longest_first, most_together, work_of
from taskweb.experiments.memory_needs import memory_warning
from taskweb.experiments.plan import Fuse
from taskweb.experiments.plan_lock import plan_lock
from taskweb.experiments.run_progress import PlanProgress, reporting_progress
from taskweb.experiments.specs import groups_of
from taskweb.experiments.state import PlanState, keys_of, plan_state


def run_plan(
    plan_path: Path,
    executor: Executor,
    *,
    retry_failed: bool = False,
    fuse: Fuse | None = None,
    on_progress: Callable[[PlanProgress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> PlanState:
    """Do the missing runs of a plan, and return its state. May be stopped at any moment, and called again.

    fuse: most trainings at once in shared passes, instead of what the plan says. on_progress: called before the first run, now
    and then from another thread, and at the end. on_warning: called before the first run where runs will probably not fit into
    memory.
    Raises TaskWebError before anything is trained: for a plan that cannot be run, or whose store another process is filling.
    """
    checked = check_plan(plan_path, workers=executor.workers_here)
    plan, data = checked.plan, checked.data
    if on_warning and (warning := memory_warning(checked.memory)):
        on_warning(warning)
    with plan_lock(plan.store):
        before = plan_state(plan, data, retry_failed=retry_failed)
        groups = groups_of(list(before.todo))
        cache = checkpoint_cache_of(plan)
        sources = [group.source_key(data, plan.threads) for group in groups if group.source is not None]
        cache.remove_others({*sources, *(spec.record(data, plan.threads).key for spec in before.todo)})
        with reporting_progress(before, keys_of(plan, data), on_progress):
            if groups:
                most = most_together(plan.fuse if fuse is None else fuse, executor)
                work = work_of(groups, most, executor.workers_here)
                if not isinstance(executor, InlineExecutor):
                    work = longest_first(work, data)
                with closing(executor.run(Job(plan_path, retry_failed), work)) as done:
                    for _ in done:
                        pass
        after = plan_state(plan, data)
        if not after.todo:
            cache.remove_others(())
        return after
