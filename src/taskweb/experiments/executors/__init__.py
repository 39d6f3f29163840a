"""Where runs are executed: in this process, in several, on a Ray cluster, or in jobs of Slurm."""

from taskweb.experiments.executors.base import Executor, Job
from taskweb.experiments.executors.inline import InlineExecutor
from taskweb.experiments.executors.process import ProcessExecutor
from taskweb.experiments.executors.ray import RayExecutor
from taskweb.experiments.executors.slurm import SlurmExecutor

__all__ = ["Executor", "InlineExecutor", "Job", "ProcessExecutor", "RayExecutor", "SlurmExecutor"]
