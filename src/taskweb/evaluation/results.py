"""The records of an evaluation, and their JSON form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taskweb.evaluation.measures import Answers
from taskweb.tasks.overflow import CutReport


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer to one prompt. scores: of the choices, in their order; () for a free answer.

    expected: all right answers; () for a question without an answer. tokens_cut: what the model did not read of the input.
    aligned: False where a token reaches from the prompt into a choice.
    """

    row: int
    input: str
    choices: tuple[str, ...]
    scores: tuple[float, ...]
    predicted: str
    expected: tuple[str, ...]
    correct: float
    tokens_cut: int = 0
    aligned: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "row": self.row,
            "input": self.input,
            "choices": list(self.choices) or None,
            "scores": [_number(score) for score in self.scores] or None,
            "predicted": self.predicted,
            "expected": list(self.expected),
            "correct": self.correct,
            "tokens_cut": self.tokens_cut,
            "aligned": self.aligned,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """A metric over the templates of a task. spread: standard deviation over templates, NaN for one template.

    low, high: the 95% confidence interval of the mean over examples, for the same templates.
    """

    mean: float
    spread: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain JSON values, null for NaN."""
        return {name: _number(getattr(self, name)) for name in ("mean", "spread", "low", "high")}


@dataclass(frozen=True, slots=True)
class TemplateResult:
    """One template. confusion: counts, expected by predicted, in the order of the task's labels; () for free answers.

    answers: what metrics are computed from, in the order of the predictions. cut: how inputs fitted.
    """

    name: str
    metrics: Mapping[str, float]
    predictions: tuple[Prediction, ...]
    confusion: tuple[tuple[int, ...], ...] = ()
    answers: Answers | None = field(default=None, repr=False, compare=False)
    cut: CutReport = field(default_factory=CutReport)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the predictions."""
        return {
            "template": self.name,
            "examples": len(self.predictions),
            "metrics": {name: _number(value) for name, value in self.metrics.items()},
            "confusion": [list(row) for row in self.confusion] or None,
            "cut": self.cut.to_dict(),
            "unaligned": self.cut.unaligned,
        }


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task over all its templates. labels: of the rows and columns of confusion tables.

    skipped: rows without a label. single_choice: rows with only one choice. Both are left out of everything else.
    """

    task: str
    origin: str
    labels: tuple[str, ...]
    summary: Mapping[str, Summary]
    templates: tuple[TemplateResult, ...]
    skipped: int = 0
    single_choice: int = 0

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """Counts over all templates."""
        tables = [template.confusion for template in self.templates if template.confusion]
        return tuple(tuple(map(sum, zip(*rows, strict=True))) for rows in zip(*tables, strict=True))

    @property
    def cut(self) -> CutReport:
        """How inputs fitted under all templates."""
        return sum((template.cut for template in self.templates), CutReport())

    @property
    def examples(self) -> int:
        """Number of different rows with an answer."""
        return len({prediction.row for template in self.templates for prediction in template.predictions})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the predictions."""
        return {
            "task": self.task,
            "origin": self.origin,
            "examples": self.examples,
            "skipped": self.skipped,
            "single_choice": self.single_choice,
            "cut": self.cut.to_dict(),
            "unaligned": self.cut.unaligned,
            "metrics": {name: summary.to_dict() for name, summary in self.summary.items()},
            "templates": [template.to_dict() for template in self.templates],
            "labels": list(self.labels),
            "confusion": [list(row) for row in self.confusion] or None,
        }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
