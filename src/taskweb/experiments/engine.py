"""Running a plan: the executor does what is left, and what it leaves behind is cleared away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taskweb.experiments.cache import SourceCheckpoints, checkpoint_folder
from taskweb.experiments.checks import check_plan
from taskweb.experiments.executors import Executor, Job
from taskweb.experiments.specs import groups_of
from taskweb.experiments.state import PlanState, plan_state


def run_plan(
    plan_path: Path, executor: Executor, *, retry_failed: bool = False, on_progress: Callable[[int], None] | None = None
) -> PlanState:
    """Do what is left of a plan and return where it stands. May be stopped at any moment, and called again.

    on_progress is called with the number of runs done after each group. Raises TaskWebError before anything is trained for a
    plan that cannot be run.
    """
    checked = check_plan(plan_path)
    before = plan_state(checked.plan, checked.data, retry_failed=retry_failed)
    groups = groups_of(list(before.todo))
    for done in executor.run(Job(plan_path, retry_failed), groups):
        if on_progress is not None:
            on_progress(done)
    after = plan_state(checked.plan, checked.data)
    if not after.todo:
        SourceCheckpoints(checkpoint_folder(after.plan)).sweep()
    return after
