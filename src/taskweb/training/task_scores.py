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
from taskweb.models.base import FloatArray, Reduction, TaskModel, Wanted, device_of
from taskweb.models.head import Head, number_of
from taskweb.models.memory import with_what_fits
from taskweb.tasks import Example, Task
from taskweb.training.settings import Precision, computing_in

_METRICS_OF_ANSWERS = ("exact_match", "token_f1")


@dataclass(frozen=True, slots=True)
class PredictionSettings:
    """How to predict. batch_size: choices or examples at once. reduction: of the scores of a choice's tokens.

    max_new_tokens: most tokens of a generated answer.
    """

    batch_size: int = 32
    reduction: Reduction = "mean"
    max_new_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model answered, and the right answers, in the order of the examples.

    Classification: indices of the head's labels. Multiple choice: indices of the example's choices. Regression: numbers. Span
    QA and generation: texts; of the right answers all that are accepted, none where there is no answer.
    """

    predicted: tuple[Any, ...]
    expected: tuple[Any, ...]


def evaluate(
    model: TaskModel,
    task: Task,
    examples: Sequence[Example],
    settings: PredictionSettings | None = None,
    *,
    precision: Precision | None = None,
    on_halved: Callable[[int], None] = lambda _: None,
) -> dict[str, float]:
    """The task's metrics on labelled examples, by name; the task score is their mean.

    Classification and multiple choice take the likeliest choice (the first of equals). precision: of computation; None leaves
    it unchanged (float32, and within `fit` that of training). Where memory runs out, the batch size is halved and the failed
    batch repeated; on_halved gets the new size.
    Raises InputError for an example without a valid output, ParameterError for a head of another kind or a metric that cannot
    be computed, only imported.
    """
    check_metrics(task)
    with nullcontext() if precision is None else computing_in(precision, device_of(model.module)):
        found = predict(model, task, examples, settings, on_halved=on_halved)
    return metrics_of(task, found)


def predict(
    model: TaskModel,
    task: Task,
    examples: Sequence[Example],
    settings: PredictionSettings | None = None,
    *,
    on_halved: Callable[[int], None] = lambda _: None,
) -> Predictions:
    """The model's answers to labelled examples, and the right ones; parameters as in `evaluate`."""
    settings = settings or PredictionSettings()
    wanted = wanted_of(task, settings)
    check_examples(model.head, task, examples)

    def work(size: int) -> Sequence[Any]:
        if wanted.answer == "choices":
            return model.score_choices(examples, reduction=settings.reduction, batch_size=size)
        if wanted.answer == "numbers":
            return list(model.numbers(examples, batch_size=size).tolist())
        return model.generate(examples, max_new_tokens=settings.max_new_tokens, batch_size=size)

    return predictions_of(model.head, task, examples, with_what_fits(model.module, settings.batch_size, work, on_halved))


def wanted_of(task: Task, settings: PredictionSettings) -> Wanted:
    """What a model is asked for, by the task's kind."""
    if task.kind in ("classification", "multiple_choice"):
        return Wanted("choices", settings.reduction)
    return Wanted("numbers" if task.kind == "regression" else "texts", max_new_tokens=settings.max_new_tokens)


def check_metrics(task: Task) -> None:
    """Raise ParameterError for a metric that cannot be computed, only imported."""
    uncomputed = [name for name in task.metrics if name not in METRICS or METRICS[name].function is None]
    if uncomputed:
        raise unknown_name("metric to compute", uncomputed[0], [name for name, metric in METRICS.items() if metric.function])


def check_examples(head: Head, task: Task, examples: Sequence[Example]) -> None:
    """Raise ParameterError for a head of another kind, InputError for no examples, or one without a valid output."""
    if head.kind != task.kind:
        raise ParameterError(
            f"The model's head is for {head.kind}, but '{task.name}' is {task.kind}. Set it with "
            "model.set_head(head_for(task.kind, examples), seed=...)."
        )
    if not examples:
        raise InputError(f"There are no examples of '{task.name}' to evaluate on. Give at least one.")
    for example in examples:
        if task.kind == "regression":
            number_of(example.output)
        elif task.kind != "span_qa" and example.output is None:
            raise _no_output(example)
        elif task.kind in ("classification", "multiple_choice") and example.output not in (own := choices_of(example, head)):
            raise InputError(
                f"The answer '{example.output}' to '{shown(example)}' is not one of its choices: {', '.join(own)}. "
                "Fix the example."
            )


def predictions_of(head: Head, task: Task, examples: Sequence[Example], answers: Sequence[Any]) -> Predictions:
    """What was answered beside what is right. answers: scores of choices, numbers or texts, one for each example."""
    if task.kind in ("classification", "multiple_choice"):
        return _chosen(head, examples, answers)
    if task.kind == "regression":
        return Predictions(tuple(answers), tuple(number_of(example.output) for example in examples))
    return Predictions(tuple(answers), tuple(_accepted(example) for example in examples))


def _accepted(example: Example) -> tuple[str, ...]:
    return tuple(text for accepted in example.accepted if (text := accepted.strip()))


def metrics_of(task: Task, found: Predictions) -> dict[str, float]:
    """The task's metrics by name."""
    return {name: _metric(name, found) for name in task.metrics}


def _chosen(head: Head, examples: Sequence[Example], scores: Sequence[FloatArray]) -> Predictions:
    choices = [choices_of(example, head) for example in examples]
    answers = [own[int(np.argmax(values))] for own, values in zip(choices, scores, strict=True)]
    labels = [head.labels or own for own in choices]
    return Predictions(
        tuple(_index_of(answer, own) for answer, own in zip(answers, labels, strict=True)),
        tuple(_index_of(example.output, own) for example, own in zip(examples, labels, strict=True)),
    )


def _index_of(answer: str | None, labels: Sequence[str]) -> int:
    if answer not in labels:
        raise unknown_name("label of this head", str(answer), labels)
    return labels.index(answer)


def _metric(name: str, found: Predictions) -> float:
    function = METRICS[name].function
    assert function is not None
    if name in _METRICS_OF_ANSWERS:
        return function([str(text) for text in found.predicted], [list(texts) for texts in found.expected])
    pairs = zip(found.predicted, found.expected, strict=True)
    return function(list(found.predicted), [_nearest(predicted, right) for predicted, right in pairs])


def _nearest(predicted: Any, right: Any) -> Any:
    """Of several accepted texts that which was predicted, else the first, for metrics that compare with one."""
    if not isinstance(right, tuple):
        return right
    return predicted if predicted in right else next(iter(right), "")


def _no_output(example: Example) -> InputError:
    return InputError(f"The example '{shown(example)}' has no output to compare an answer with. Leave out unlabelled examples.")
