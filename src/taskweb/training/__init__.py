"""Training: one loop for a task or a mixture, checkpoints, and the evaluation of what was learnt."""

import taskweb.models  # noqa: F401 - first, as it says what is missing where torch is
from taskweb.training.checkpoint import CheckpointPlan
from taskweb.training.evaluation import Predictions, evaluate, predict
from taskweb.training.history import DivergedError, EvaluationRecord, MemoryRecord, StepRecord, TrainingHistory
from taskweb.training.loop import Progress, fit
from taskweb.training.settings import TrainingSettings

__all__ = [
    "CheckpointPlan",
    "DivergedError",
    "EvaluationRecord",
    "MemoryRecord",
    "Predictions",
    "Progress",
    "StepRecord",
    "TrainingHistory",
    "TrainingSettings",
    "evaluate",
    "fit",
    "predict",
]
