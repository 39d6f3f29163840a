"""Measuring transfers: a plan, the runs that it asks for, and the executors that do them. Needs the extra `train`."""

from taskweb.experiments.engine import PlanState, run_plan, state_of
from taskweb.experiments.executors import EXECUTORS, InlineExecutor, ProcessExecutor, RayExecutor
from taskweb.experiments.plan import Plan, read_plan

__all__ = [
    "EXECUTORS",
    "InlineExecutor",
    "Plan",
    "PlanState",
    "ProcessExecutor",
    "RayExecutor",
    "read_plan",
    "run_plan",
    "state_of",
]
