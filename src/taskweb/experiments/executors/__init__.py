"""Where runs are executed: in this process, in several, or on a Ray cluster."""

from taskweb.experiments.executors.base import Executor, Job
from taskweb.experiments.executors.inline import InlineExecutor
from taskweb.experiments.executors.process import ProcessExecutor
from taskweb.experiments.executors.ray import RayExecutor

__all__ = ["Executor", "InlineExecutor", "Job", "ProcessExecutor", "RayExecutor"]
