"""Zero-shot evaluation: how well a model does on a task under each of its templates, and how sure that is."""

from taskweb.evaluation.data import PromptedTask, TemplateChoice, load_prompted
from taskweb.evaluation.evaluate import EvaluationSettings, check_model, evaluate_task
from taskweb.evaluation.results import Prediction, Summary, TaskResult, TemplateResult
from taskweb.evaluation.saving import save_predictions, save_results

__all__ = [
    "EvaluationSettings",
    "Prediction",
    "PromptedTask",
    "Summary",
    "TaskResult",
    "TemplateChoice",
    "TemplateResult",
    "check_model",
    "evaluate_task",
    "load_prompted",
    "save_predictions",
    "save_results",
]
