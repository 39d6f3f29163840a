"""What a model answers with: the kind of a task and the answers that it fixes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from taskweb.errors import InputError, ParameterError
from taskweb.tasks import Example
from taskweb.tasks.task import TASK_KINDS, TaskKind


@dataclass(frozen=True, slots=True)
class Head:
    """The answers of a task.

    kind: the task's kind. labels: the fixed label set of a classification, in order (an encoder has one output for each).
    default: the value that a regression counts where a text model writes no number.
    """

    kind: TaskKind = "generation"
    labels: tuple[str, ...] = ()
    default: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in TASK_KINDS:
            raise ParameterError(f"The kind of a head must be one of {', '.join(TASK_KINDS)}. Got '{self.kind}' instead.")
        if self.kind != "classification" and self.labels:
            raise ParameterError(f"Only a classification has labels. Got {len(self.labels)} for {self.kind}.")
        if len(set(self.labels)) != len(self.labels):
            raise ParameterError(f"The labels of a head must differ. Got {', '.join(self.labels)}.")

    @property
    def outputs(self) -> int:
        """How many numbers an encoder's head puts out: one per label, two for a span's ends, one otherwise."""
        return {"classification": len(self.labels), "span_qa": 2, "generation": 0}.get(self.kind, 1)


def head_for(kind: TaskKind, examples: Sequence[Example]) -> Head:
    """The head that suits examples of a task of that kind; unlabelled ones may be among them.

    Labels stand in the order of the choices where all examples share them, else sorted. The default of a regression is the
    mean of its outputs. Raises InputError for a classification without any label.
    """
    if kind == "classification":
        return Head(kind, labels=label_set(examples))
    if kind == "regression":
        values = [number_of(example.output) for example in examples if example.output is not None]
        return Head(kind, default=math.fsum(values) / len(values) if values else 0.0)
    return Head(kind)


def label_set(examples: Sequence[Example]) -> tuple[str, ...]:
    """All answers that a classification may give. Raises InputError where there are none."""
    shared = {example.choices for example in examples}
    if len(shared) == 1 and (only := next(iter(shared))):
        return only
    labels = {label for choices in shared for label in choices or ()}
    labels |= {example.output for example in examples if example.output is not None}
    if not labels:
        raise InputError("A classification needs labels, and these examples have neither choices nor outputs. Add 'choices'.")
    return tuple(sorted(labels))


def number_of(text: str | None) -> float:
    """The number that an example's output states. Raises InputError for anything else."""
    value = read_number(text or "")
    if value is None:
        raise InputError(f"The output of a regression must be a finite number. Got '{text}' instead.")
    return value


def read_number(text: str) -> float | None:
    """The number that a text is, None where it is none or not finite."""
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return value if math.isfinite(value) else None
