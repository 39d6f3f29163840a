"""Zero-shot evaluation: a model's scores on a task under each of its templates, and their confidence intervals."""

from taskweb.evaluation.evaluate import EvaluationSettings, check_model, evaluate_task
from taskweb.evaluation.paired_tests import McNemar, PairedComparison, compare
from taskweb.evaluation.prompted_rows import PromptedTask, TemplateChoice, load_prompted
from taskweb.evaluation.result_files import save_predictions, save_results
from taskweb.evaluation.results import Prediction, Summary, TaskResult, TemplateResult

__all__ = [
    "EvaluationSettings",
    "McNemar",
    "PairedComparison",
    "Prediction",
    "PromptedTask",
    "Summary",
    "TaskResult",
    "TemplateChoice",
    "TemplateResult",
    "check_model",
    "compare",
    "evaluate_task",
    "load_prompted",
    "save_predictions",
    "save_results",
]
