"""Measuring transfers: a plan, its runs, and the executors that do them. Needs the extra `train`.

The names below load on first use, so that the state of a plan can be read without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskweb.experiments.checks import CheckedPlan, check_plan
    from taskweb.experiments.engine import Reports, run_plan
    from taskweb.experiments.executors import InlineExecutor, ProcessExecutor, RayExecutor, SlurmExecutor
    from taskweb.experiments.pair_choosing import PairChooser
    from taskweb.experiments.plan import Plan
    from taskweb.experiments.plan_file import read_plan
    from taskweb.experiments.single_runs import SingleRuns, checked_runs, filling_alone
    from taskweb.experiments.state import PlanState, state_of

EXECUTORS = ("inline", "process", "ray", "slurm")

__all__ = [
    "EXECUTORS",
    "CheckedPlan",
    "InlineExecutor",
    "PairChooser",
    "Plan",
    "PlanState",
    "ProcessExecutor",
    "RayExecutor",
    "Reports",
    "SingleRuns",
    "SlurmExecutor",
    "check_plan",
    "checked_runs",
    "filling_alone",
    "read_plan",
    "run_plan",
    "state_of",
]

_HOMES = {
    "CheckedPlan": "checks",
    "InlineExecutor": "executors",
    "PairChooser": "pair_choosing",
    "Plan": "plan",
    "PlanState": "state",
    "ProcessExecutor": "executors",
    "RayExecutor": "executors",
    "Reports": "engine",
    "SingleRuns": "single_runs",
    "SlurmExecutor": "executors",
    "check_plan": "checks",
    "checked_runs": "single_runs",
    "filling_alone": "single_runs",
    "read_plan": "plan_file",
    "run_plan": "engine",
    "state_of": "state",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'taskweb.experiments' has no attribute '{name}'")
    if _HOMES[name] not in ("plan", "plan_file", "state"):
        import_module("taskweb.models")  # says what is missing where torch is
    return getattr(import_module(f"taskweb.experiments.{_HOMES[name]}"), name)
