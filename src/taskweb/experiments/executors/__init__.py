"""Where runs are executed: in this process, or in several."""

from taskweb.experiments.executors.base import Executor, Job
from taskweb.experiments.executors.inline import InlineExecutor
from taskweb.experiments.executors.process import ProcessExecutor

EXECUTORS = ("inline", "process")

__all__ = ["EXECUTORS", "Executor", "InlineExecutor", "Job", "ProcessExecutor"]
