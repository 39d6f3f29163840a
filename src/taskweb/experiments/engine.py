"""Running a plan: the executor does what is left, and what it leaves behind is cleared away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from taskweb.experiments.checkpoint_cache import checkpoints_of
from taskweb.experiments.checks import check_plan
from taskweb.experiments.executors import Executor, Job
from taskweb.experiments.plan_lock import only_runner
from taskweb.experiments.run_progress import PlanProgress, watching
from taskweb.experiments.specs import groups_of
from taskweb.experiments.state import PlanState, keys_of, plan_state


def run_plan(
    plan_path: Path,
    executor: Executor,
    *,
    retry_failed: bool = False,
    on_progress: Callable[[PlanProgress], None] | None = None,
) -> PlanState:
    """Do what is left of a plan and return where it stands. May be stopped at any moment, and called again.

    on_progress is told where the run is, before the first run, now and then in a thread of its own, and at the end.
    Raises TaskWebError before anything is trained for a plan that cannot be run, or whose store another process is filling.
    """
    checked = check_plan(plan_path)
    plan, data = checked.plan, checked.data
    with only_runner(plan.store):
        before = plan_state(plan, data, retry_failed=retry_failed)
        groups = groups_of(list(before.todo))
        kept = checkpoints_of(plan)
        sources = [group.source_key(data, plan.threads) for group in groups if group.source is not None]
        kept.keep_only({*sources, *(spec.record(data, plan.threads).key for spec in before.todo)})
        with watching(before, keys_of(plan, data), on_progress):
            if groups:
                with closing(executor.run(Job(plan_path, retry_failed), groups)) as work:
                    for _ in work:
                        pass
        after = plan_state(plan, data)
        if not after.todo:
            kept.keep_only(())
        return after
