"""Training one model on the tasks of a mixture together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch

from taskweb.errors import ParameterError
from taskweb.mixture import Mixture
from taskweb.models import Encoded, Head, TaskModel, head_for
from taskweb.models.methods.trainable import trainable
from taskweb.models.tensor_file import read_tensors, write_tensors
from taskweb.training.checkpoint import CheckpointSettings
from taskweb.training.encoded_mixture import EncodedMixture, HeldOutTask, encode_mixture
from taskweb.training.history import EvaluationRecord, TrainingHistory
from taskweb.training.loop import Hooks, Progress, fit_encoded
from taskweb.training.settings import TrainingSettings
from taskweb.training.task_scores import PredictionSettings, evaluate
from taskweb.training.workers import SINGLE_PROCESS, Workers, full_tensors, shard_like

SCORE = "score"
LOSS = "loss"


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """End training when `patience` evaluations in a row gave no better score, and restore the best weights.

    path: the file for the best weights so far.
    """

    patience: int
    path: Path

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ParameterError(f"The patience of an early stop must be 1 or more evaluations. Got {self.patience} instead.")


def fit_mixture(
    model: TaskModel,
    mixture: Mixture,
    settings: TrainingSettings,
    *,
    seed: int,
    encoded: EncodedMixture | None = None,
    early_stop: EarlyStop | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_start: Callable[[TrainingHistory], None] | None = None,
    checkpoint: CheckpointSettings | None = None,
    workers: Workers = SINGLE_PROCESS,
) -> TrainingHistory:
    """Train an adapted model with the shared head on all tasks of a mixture; see `fit_encoded`.

    If the mixture has held-out examples, every evaluation records `TASK/METRIC` and `TASK/loss` (mean over terms) of each task,
    and their means over tasks, `score` and `loss`. A metric that cannot be computed, such as a correlation of constant answers,
    is NaN and left out of the means. Without any score, `score` is missing.
    encoded: the mixture as the model reads it, where it is known already (see `encode_mixture`).
    Raises ParameterError for an early stop without held-out examples.
    """
    encoded = encode_mixture(model, mixture) if encoded is None else encoded
    if early_stop and not encoded.heldout:
        raise ParameterError(
            "An early stop needs held-out examples, and this mixture has none. Make a mixture with held-out examples."
        )
    held_out = _HeldOut(model.head, encoded.heldout) if encoded.heldout else None

    def should_stop(history: TrainingHistory) -> bool:
        assert early_stop is not None
        best = final_evaluation(history, best=True)
        if best is history.evaluations[-1]:
            weights = full_tensors(trainable(model.module))
            if workers.is_first:
                write_tensors(early_stop.path, weights, {"step": history.step})
            workers.wait()
        return sum(record.step > best.step for record in history.evaluations) >= early_stop.patience  # type: ignore[union-attr]

    history = fit_encoded(
        model,
        encoded.train,
        settings,
        seed=seed,
        hooks=Hooks(held_out.metrics if held_out else None, should_stop if early_stop else None, on_progress, on_start),
        checkpoint=checkpoint,
        workers=workers,
    )
    if early_stop:
        _restore_best(model, early_stop.path)
    return history


def final_evaluation(history: TrainingHistory, *, best: bool) -> EvaluationRecord | None:
    """The last evaluation, or the `best` by its score (the first of equals); None without any."""
    if not history.evaluations:
        return None
    if not best:
        return history.evaluations[-1]
    return max(history.evaluations, key=lambda record: record.metrics.get(SCORE, -math.inf))


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """The held-out examples of each task, and the shared head."""

    head: Head
    tasks: tuple[HeldOutTask, ...]
    batch_size: int = 32

    def metrics(self, model: TaskModel) -> dict[str, float]:
        """See `fit_mixture`."""
        found: dict[str, float] = {}
        scores, losses = [], []
        for own in self.tasks:
            task, examples = own.task, own.examples
            loss = self._loss(model, own.encoded)
            if self.head.kind == "generation":  # a model that answers in text: how its answer is read depends on the task
                model.set_head(head_for(task.kind, examples), seed=0)
            values = evaluate(model, task, examples, PredictionSettings(batch_size=self.batch_size))
            if self.head.kind == "generation":
                model.set_head(self.head, seed=0)
            found |= {f"{task.name}/{name}": value for name, value in values.items()}
            found[f"{task.name}/{LOSS}"] = loss
            losses.append(loss)
            scores += [fmean(known)] if (known := [value for value in values.values() if value == value]) else []
        return {**found, **({SCORE: fmean(scores)} if scores else {}), LOSS: fmean(losses)}

    def _loss(self, model: TaskModel, encoded: Sequence[Encoded]) -> float:
        total = 0.0
        with torch.no_grad():
            for begin in range(0, len(encoded), self.batch_size):
                total += float(model.loss(encoded[begin : begin + self.batch_size]))
        return total / sum(item.weight for item in encoded)


def _restore_best(model: TaskModel, path: Path) -> None:
    """Load the best weights into the model."""
    tensors, _ = read_tensors(path)
    with torch.no_grad():
        for name, parameter in trainable(model.module).items():
            parameter.copy_(shard_like(tensors[name], parameter))
