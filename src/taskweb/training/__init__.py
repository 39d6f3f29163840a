"""Training: one loop for a task or a mixture, checkpoints, and scores of the trained model.

The names below load on first use, so that settings can be read and checked without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskweb.training.checkpoint import CheckpointSettings
    from taskweb.training.history import DivergedError, EvaluationRecord, MemoryRecord, StepRecord, TrainingHistory
    from taskweb.training.loop import Progress, fit
    from taskweb.training.settings import TrainingSettings
    from taskweb.training.task_scores import Predictions, PredictionSettings, evaluate, predict

__all__ = [
    "CheckpointSettings",
    "DivergedError",
    "EvaluationRecord",
    "MemoryRecord",
    "PredictionSettings",
    "Predictions",
    "Progress",
    "StepRecord",
    "TrainingHistory",
    "TrainingSettings",
    "evaluate",
    "fit",
    "predict",
]

_HOMES = {
    "CheckpointSettings": "checkpoint",
    "DivergedError": "history",
    "EvaluationRecord": "history",
    "MemoryRecord": "history",
    "PredictionSettings": "task_scores",
    "Predictions": "task_scores",
    "Progress": "loop",
    "StepRecord": "history",
    "TrainingHistory": "history",
    "TrainingSettings": "settings",
    "evaluate": "task_scores",
    "fit": "loop",
    "predict": "task_scores",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'taskweb.training' has no attribute '{name}'")
    if _HOMES[name] not in ("history", "settings"):
        import_module("taskweb.models")  # says what is missing where torch is
    return getattr(import_module(f"taskweb.training.{_HOMES[name]}"), name)
