"""The score of a model on a task's labelled examples, for every kind of task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from taskweb.errors import InputError, ParameterError, unknown_name
from taskweb.metrics import METRICS
from taskweb.models.answers import choices_of, shown
from taskweb.models.base import Reduction, TaskModel, device_of
from taskweb.models.head import number_of
from taskweb.models.memory import with_what_fits
from taskweb.tasks import Example, Task
from taskweb.training.settings import Precision, computing_in

_METRICS_OF_ANSWERS = ("exact_match", "token_f1")


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model answered, and what it should have, in the order of the examples.

    Classification: places in the head's labels. Multiple choice: places in the example's choices. Regression: numbers. Span QA
    and generation: texts.
    """

    predicted: tuple[Any, ...]
    expected: tuple[Any, ...]


def evaluate(
    model: TaskModel,
    task: Task,
    examples: Sequence[Example],
    *,
    batch_size: int = 32,
    reduction: Reduction = "mean",
    max_new_tokens: int = 64,
    precision: Precision | None = None,
    on_halved: Callable[[int], None] = lambda _: None,
) -> dict[str, float]:
    """The task's metrics on labelled examples, by name; the task score is their mean.

    Classification and multiple choice take the likeliest choice (the first of equals); batch_size: choices or examples at once.
    precision: of computation; None leaves it as it is (float32, and within `fit` that of training).
    Where memory runs out, the batch size is halved and what failed is done again; on_halved is told the new size.
    Raises InputError for an example without a valid output, ParameterError for a head of another kind or a metric that is only
    read, never computed.
    """
    uncomputed = [name for name in task.metrics if name not in METRICS or METRICS[name].function is None]
    if uncomputed:
        raise unknown_name("metric to compute", uncomputed[0], [name for name, metric in METRICS.items() if metric.function])
    with nullcontext() if precision is None else computing_in(precision, device_of(model.module)):
        found = predict(
            model,
            task,
            examples,
            batch_size=batch_size,
            reduction=reduction,
            max_new_tokens=max_new_tokens,
            on_halved=on_halved,
        )
    return {name: _metric(name, found) for name in task.metrics}


def predict(
    model: TaskModel,
    task: Task,
    examples: Sequence[Example],
    *,
    batch_size: int = 32,
    reduction: Reduction = "mean",
    max_new_tokens: int = 64,
    on_halved: Callable[[int], None] = lambda _: None,
) -> Predictions:
    """The model's answers to labelled examples beside the right ones; parameters as of `evaluate`."""
    if model.head.kind != task.kind:
        raise ParameterError(
            f"The model's head is for {model.head.kind}, and '{task.name}' is {task.kind}. Set it with "
            "model.set_head(head_for(task.kind, examples), seed=...)."
        )
    if not examples:
        raise InputError(f"There are no examples of '{task.name}' to evaluate on. Give at least one.")
    return with_what_fits(
        model.module, batch_size, lambda size: _predicted(model, task, examples, size, reduction, max_new_tokens), on_halved
    )


def _predicted(
    model: TaskModel, task: Task, examples: Sequence[Example], batch_size: int, reduction: Reduction, max_new_tokens: int
) -> Predictions:
    if task.kind in ("classification", "multiple_choice"):
        return _chosen(model, examples, batch_size, reduction)
    if task.kind == "regression":
        expected = tuple(number_of(example.output) for example in examples)
        return Predictions(tuple(model.numbers(examples, batch_size=batch_size).tolist()), expected)
    if task.kind == "generation" and (unlabelled := [example for example in examples if example.output is None]):
        raise _no_output(unlabelled[0])
    texts = model.generate(examples, max_new_tokens=max_new_tokens, batch_size=batch_size)
    return Predictions(tuple(texts), tuple((example.output or "").strip() for example in examples))


def _chosen(model: TaskModel, examples: Sequence[Example], batch_size: int, reduction: Reduction) -> Predictions:
    choices = [choices_of(example, model.head) for example in examples]
    for example, own in zip(examples, choices, strict=True):
        if example.output is None:
            raise _no_output(example)
        if example.output not in own:
            raise InputError(
                f"The answer '{example.output}' to '{shown(example)}' is none of its choices: {', '.join(own)}. "
                "Mend the example."
            )
    scores = model.score_choices(examples, reduction=reduction, batch_size=batch_size)
    answers = [own[int(np.argmax(values))] for own, values in zip(choices, scores, strict=True)]
    places = [model.head.labels or own for own in choices]
    return Predictions(
        tuple(_place(answer, own) for answer, own in zip(answers, places, strict=True)),
        tuple(_place(example.output, own) for example, own in zip(examples, places, strict=True)),
    )


def _place(answer: str | None, labels: Sequence[str]) -> int:
    if answer not in labels:
        raise unknown_name("label of this head", str(answer), labels)
    return labels.index(answer)


def _metric(name: str, found: Predictions) -> float:
    function = METRICS[name].function
    assert function is not None
    if name in _METRICS_OF_ANSWERS:
        return function([str(text) for text in found.predicted], [[text] if text else [] for text in found.expected])
    return function(list(found.predicted), list(found.expected))


def _no_output(example: Example) -> InputError:
    return InputError(f"The example '{shown(example)}' has no output to judge an answer by. Leave unlabelled ones out.")
