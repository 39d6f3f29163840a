"""Training one model on the tasks of a mixture together.

Models that answer in text learn each task by its own words. An encoder answers through its head. For one task, that is the
task's head. For several tasks there are two kinds: `choices` scores each pair of input and choice with one number, so that all
tasks share the head and an unseen task can use it; `labels` has one output per label word of classifications, reads an input
once, and answers tasks that use the same words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Literal, get_args

import torch

from taskweb.errors import InputError, ParameterError
from taskweb.mixture import Mixture
from taskweb.models import Encoded, Head, TaskModel, head_for
from taskweb.models.base import Family
from taskweb.models.methods.trainable import trainable
from taskweb.models.tensor_file import read_tensors, write_tensors
from taskweb.tasks import Example, Task
from taskweb.training.checkpoint import CheckpointSettings
from taskweb.training.history import EvaluationRecord, TrainingHistory
from taskweb.training.loop import Hooks, Progress, fit_encoded
from taskweb.training.settings import TrainingSettings
from taskweb.training.task_scores import PredictionSettings, evaluate
from taskweb.training.workers import SINGLE_PROCESS, Workers, full_tensors, shard_like

SCORE = "score"
LOSS = "loss"
Answers = Literal["choices", "labels"]
ANSWERS: tuple[Answers, ...] = get_args(Answers)


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


def shared_head(family: Family, mixture: Mixture, answers: Answers = "choices") -> Head:
    """The head that serves all tasks of a mixture. Raises ParameterError where an encoder cannot learn them together.

    answers: how an encoder answers several tasks: it compares an example's choices, or has an output for every label word.
    """
    if family != "encoder":
        return Head()
    examples = [item.example for item in (*mixture.train, *mixture.heldout)]
    if len(mixture.tasks) == 1:
        kind = mixture.tasks[0].kind
        if kind == "generation":
            raise ParameterError(f"An encoder cannot generate text, which '{mixture.tasks[0].name}' needs. Use T5 or GPT-2.")
        return head_for(kind, examples)
    if answers == "labels":
        if others := sorted(task.name for task in mixture.tasks if task.kind != "classification"):
            raise ParameterError(
                "An encoder that answers by labels learns classifications only, and these tasks are not: "
                f"{', '.join(others)}. Leave them out, or set answers to choices."
            )
        return head_for("classification", examples)
    without = sorted({item.task for item in (*mixture.train, *mixture.heldout) if not item.example.choices})
    if without:
        raise ParameterError(
            f"An encoder learns several tasks together by comparing choices. These tasks have none: {', '.join(without)}. "
            "Leave them out, or use T5 or GPT-2."
        )
    return Head("multiple_choice")


def prepared_task(task: Task, head: Head) -> Task:
    """The task as the shared head answers it: a head that compares choices treats every task as multiple choice."""
    return replace(task, kind="multiple_choice") if head.kind == "multiple_choice" else task


def encode_mixture(model: TaskModel, mixture: Mixture) -> list[Encoded]:
    """Token ids of all training examples, in the order of the mixture. The model must have the shared head.

    Raises InputError that names the task of an example that cannot be trained on.
    """
    encoded: dict[int, Encoded] = {}
    for task in mixture.tasks:
        indices = [index for index, item in enumerate(mixture.train) if item.task == task.name]
        examples = [mixture.train[index].example for index in indices]
        encoded |= zip(indices, _encoded_as(model, task.to_task(), examples), strict=True)
    return [encoded[index] for index in range(len(mixture.train))]


def fit_mixture(
    model: TaskModel,
    mixture: Mixture,
    settings: TrainingSettings,
    *,
    seed: int,
    early_stop: EarlyStop | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: CheckpointSettings | None = None,
    workers: Workers = SINGLE_PROCESS,
) -> TrainingHistory:
    """Train an adapted model with the shared head on all tasks of a mixture; see `fit_encoded`.

    If the mixture has held-out examples, every evaluation records `TASK/METRIC` and `TASK/loss` (mean over terms) of each task,
    and their means over tasks, `score` and `loss`. A metric that cannot be computed, such as a correlation of constant answers,
    is NaN and left out of the means. Without any score, `score` is missing.
    Raises ParameterError for an early stop without held-out examples.
    """
    if early_stop and not mixture.heldout:
        raise ParameterError(
            "An early stop needs held-out examples, and this mixture has none. Make a mixture with held-out examples."
        )
    encoded = encode_mixture(model, mixture)
    held_out = _HeldOut.of(model, mixture) if mixture.heldout else None

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
        encoded,
        settings,
        seed=seed,
        hooks=Hooks(held_out.metrics if held_out else None, should_stop if early_stop else None, on_progress),
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
    """The held-out examples of each task, as text and as token ids."""

    head: Head
    tasks: tuple[tuple[Task, tuple[Example, ...], tuple[Encoded, ...]], ...]
    batch_size: int = 32

    @classmethod
    def of(cls, model: TaskModel, mixture: Mixture) -> _HeldOut:
        found = []
        for task in mixture.tasks:
            examples = tuple(item.example for item in mixture.heldout if item.task == task.name)
            if examples:
                prepared = prepared_task(task.to_task(), model.head)
                found.append((prepared, examples, tuple(_encoded_as(model, task.to_task(), examples))))
        return cls(model.head, tuple(found))

    def metrics(self, model: TaskModel) -> dict[str, float]:
        """See `fit_mixture`."""
        found: dict[str, float] = {}
        scores, losses = [], []
        for task, examples, encoded in self.tasks:
            loss = self._loss(model, encoded)
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


def _encoded_as(model: TaskModel, task: Task, examples: Sequence[Example]) -> list[Encoded]:
    """Token ids of examples of one task, for the model's shared head."""
    shared = model.head
    try:
        if shared.kind == "generation":
            model.set_head(head_for(task.kind, examples), seed=0)
        return model.encode(examples)
    except InputError as error:
        raise InputError(f"'{task.name}' cannot be trained on: {error}") from None
    finally:
        if shared.kind == "generation":
            model.set_head(shared, seed=0)


def _restore_best(model: TaskModel, path: Path) -> None:
    """Load the best weights into the model."""
    tensors, _ = read_tensors(path)
    with torch.no_grad():
        for name, parameter in trainable(model.module).items():
            parameter.copy_(shard_like(tensors[name], parameter))
