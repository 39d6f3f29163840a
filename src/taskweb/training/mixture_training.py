"""Training one model on the tasks of a mixture together.

Models that answer in text learn each task by its own words. An encoder answers through its head: of one task, that task's; of
several, one number for each pair of input and choice, so that all of them share the head and a task never seen can use it
(`choices`); or one output for each label word of classifications (`labels`), which reads an input once and answers tasks in
the same words.
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
from taskweb.training.loop import Progress, fit_encoded
from taskweb.training.settings import TrainingSettings
from taskweb.training.task_scores import evaluate
from taskweb.training.workers import SINGLE_PROCESS, Workers, full_tensors, shard_like

SCORE = "score"
LOSS = "loss"
Answers = Literal["choices", "labels"]
ANSWERS: tuple[Answers, ...] = get_args(Answers)


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """End training when `patience` evaluations in a row brought no better score, and go back to the best weights.

    place: the file that keeps the best weights while training goes on.
    """

    patience: int
    place: Path

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ParameterError(f"The patience of an early stop must be 1 or more evaluations. Got {self.patience} instead.")


def shared_head(family: Family, mixture: Mixture, answers: Answers = "choices") -> Head:
    """The head that serves all tasks of a mixture. Raises ParameterError where an encoder cannot learn them together.

    answers: what an encoder does with several tasks: compare an example's choices, or put out all label words of the tasks.
    """
    if family != "encoder":
        return Head()
    examples = [item.example for item in (*mixture.train, *mixture.heldout)]
    if len(mixture.tasks) == 1:
        kind = mixture.tasks[0].kind
        if kind == "generation":
            raise ParameterError(f"An encoder cannot write text, which '{mixture.tasks[0].name}' asks for. Take T5 or GPT-2.")
        return head_for(kind, examples)
    if answers == "labels":
        if others := sorted(task.name for task in mixture.tasks if task.kind != "classification"):
            raise ParameterError(
                "An encoder that answers by labels learns classifications, and these are none: "
                f"{', '.join(others)}. Leave them out, or let it compare choices."
            )
        return head_for("classification", examples)
    without = sorted({item.task for item in (*mixture.train, *mixture.heldout) if not item.example.choices})
    if without:
        raise ParameterError(
            f"An encoder learns several tasks together by comparing choices, and these have none: {', '.join(without)}. "
            "Leave them out, or take T5 or GPT-2."
        )
    return Head("multiple_choice")


def prepared_task(task: Task, head: Head) -> Task:
    """The task as the shared head answers it: where choices are compared, any task with choices is a multiple choice."""
    return replace(task, kind="multiple_choice") if head.kind == "multiple_choice" else task


def encode_mixture(model: TaskModel, mixture: Mixture) -> list[Encoded]:
    """Token ids of all training examples, in the order of the mixture. The model's head must be the shared one.

    Raises InputError that names the task of an example that cannot be learnt from.
    """
    encoded: dict[int, Encoded] = {}
    for task in mixture.tasks:
        places = [place for place, item in enumerate(mixture.train) if item.task == task.name]
        examples = [mixture.train[place].example for place in places]
        encoded |= zip(places, _encoded_as(model, task.to_task(), examples), strict=True)
    return [encoded[place] for place in range(len(mixture.train))]


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
    """Train an adapted model, whose head is the shared one, on all tasks of a mixture; see `fit_encoded`.

    Where the mixture holds examples out, every evaluation records `TASK/METRIC` and `TASK/loss` (mean over terms) of each task,
    and their means over tasks, `score` and `loss`. A metric that cannot be computed, such as a correlation of constant answers,
    is NaN and left out of the means; without any score, `score` is missing.
    Raises ParameterError for an early stop without held-out examples.
    """
    if early_stop and not mixture.heldout:
        raise ParameterError(
            "An early stop needs held-out examples, and this mixture has none. Make one with a held-out share."
        )
    encoded = encode_mixture(model, mixture)
    judged = _HeldOut.of(model, mixture) if mixture.heldout else None

    def is_enough(history: TrainingHistory) -> bool:
        assert early_stop is not None
        best = final_evaluation(history, best=True)
        if best is history.evaluations[-1]:
            weights = full_tensors(trainable(model.module))
            if workers.is_first:
                write_tensors(early_stop.place, weights, {"step": history.step})
            workers.wait()
        return sum(record.step > best.step for record in history.evaluations) >= early_stop.patience  # type: ignore[union-attr]

    history = fit_encoded(
        model,
        encoded,
        settings,
        seed=seed,
        evaluate=None if judged is None else judged.metrics,
        until=is_enough if early_stop else None,
        on_progress=on_progress,
        checkpoint=checkpoint,
        workers=workers,
    )
    if early_stop:
        _go_back(model, early_stop.place)
    return history


def final_evaluation(history: TrainingHistory, *, best: bool) -> EvaluationRecord | None:
    """The last evaluation, or the `best` by its score, the first of equals; None without any."""
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
            if self.head.kind == "generation":  # a model that answers in text: how it is read follows the task
                model.set_head(head_for(task.kind, examples), seed=0)
            values = evaluate(model, task, examples, batch_size=self.batch_size)
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
        raise InputError(f"'{task.name}' cannot be learnt: {error}") from None
    finally:
        if shared.kind == "generation":
            model.set_head(shared, seed=0)


def _go_back(model: TaskModel, place: Path) -> None:
    """Put the best weights into the model."""
    tensors, _ = read_tensors(place)
    with torch.no_grad():
        for name, parameter in trainable(model.module).items():
            parameter.copy_(shard_like(tensors[name], parameter))
