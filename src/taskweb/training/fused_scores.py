"""The scores of several trained runs of one frozen base: their examples are answered in shared passes.

Each run gets the answers of its own weights, whatever else is in a batch. What fails for one run fails for it alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from taskweb.models.base import Question, TaskModel, Wanted
from taskweb.models.fused.fused_model import FusedModel
from taskweb.models.head import Head
from taskweb.models.input_limits import within_limits
from taskweb.models.memory import with_what_fits
from taskweb.tasks import Example, Task
from taskweb.tasks.overflow import CutReport
from taskweb.training.task_scores import (
    PredictionSettings,
    check_examples,
    check_metrics,
    metrics_of,
    predictions_of,
    wanted_of,
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run is evaluated on, with the head of its task."""

    head: Head
    task: Task
    examples: Sequence[Example]


@dataclass(slots=True, eq=False)
class Evaluated:
    """The metrics of a run, None with the error that ended its evaluation.

    read, cut: the examples within the model's limits, and how many were too long. seconds: its share of the work. halved: how
    often memory ran out in passes that it shared.
    """

    metrics: dict[str, float] | None = None
    error: Exception | None = None
    read: Sequence[Example] = ()
    cut: CutReport | None = None
    seconds: float = 0.0
    halved: int = 0


@dataclass(slots=True, eq=False)
class _Answered:
    """A run on its way to its metrics."""

    evaluation: Evaluation
    wanted: Wanted
    found: Evaluated = field(default_factory=Evaluated)
    questions: list[Question] = field(default_factory=list)
    answers: Sequence[Any] = ()

    @property
    def tokens(self) -> int:
        return sum(question.tokens for question in self.questions)


def evaluate_together(
    fused: FusedModel, weights: torch.Tensor, evaluations: Sequence[Evaluation], settings: PredictionSettings | None = None
) -> Iterator[tuple[int, Evaluated]]:
    """Evaluate runs with these weights, (runs, numbers): yields the index of each run and its result as soon as it is known.

    Results are those of `evaluate` for each run alone, up to rounding. Runs of which the same is wanted (scores of choices,
    numbers, texts) share passes; a batch has room for the settings' batch size times the number of these runs.
    """
    settings = settings or PredictionSettings()
    runs = [_Answered(evaluation, wanted_of(evaluation.task, settings)) for evaluation in evaluations]
    for member, run in enumerate(runs):
        _attempt(run, partial(_ask, fused, run, member))
    sharing: dict[Wanted, list[int]] = defaultdict(list)
    for member, run in enumerate(runs):
        if run.found.error is None:
            sharing[run.wanted].append(member)
        else:
            yield member, run.found
    for members in sharing.values():
        with fused.answering(weights) as model:
            _answer(model, [runs[member] for member in members], settings.batch_size)
        for member in members:
            if (own := runs[member]).found.error is None:
                _attempt(own, partial(_measure, own))
            yield member, own.found


def _attempt(run: _Answered, work: Callable[[], None]) -> None:
    """Do a run's own part of the work, and keep what it raises."""
    began = time.perf_counter()
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever a library raises, this run failed and the others go on
        run.found.error = error
    run.found.seconds += time.perf_counter() - began


def _ask(fused: FusedModel, run: _Answered, member: int) -> None:
    """Read a run's examples with the head of its task."""
    own = run.evaluation
    check_metrics(own.task)
    with fused.with_head(own.head) as model:
        run.found.read, run.found.cut = within_limits(model, own.examples)
        check_examples(own.head, own.task, run.found.read)
        run.questions = [replace(question, member=member) for question in model.questions(run.found.read, run.wanted)]


def _answer(model: TaskModel, runs: Sequence[_Answered], batch_size: int) -> None:
    """Answer the questions of runs in shared passes; one by one where these fail, so that no run fails for another."""
    questions = [question for run in runs for question in run.questions]
    halved: list[int] = []
    began = time.perf_counter()
    try:
        answers = with_what_fits(
            model.module,
            batch_size * len(runs),
            lambda size: model.answers(questions, runs[0].wanted, batch_size=size),
            halved.append,
        )
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        if len(runs) == 1:
            runs[0].found.error = error
        answers = None
    seconds, tokens = time.perf_counter() - began, sum(run.tokens for run in runs)
    for run in runs:
        run.found.seconds += seconds * run.tokens / tokens
        run.found.halved += len(halved)
    if answers is None:
        for run in runs if len(runs) > 1 else ():
            _answer(model, [run], batch_size)
        return
    left = iter(answers)
    for run in runs:
        run.answers = [next(left) for _ in run.questions]


def _measure(run: _Answered) -> None:
    own, read = run.evaluation, run.found.read
    run.found.metrics = metrics_of(own.task, predictions_of(own.head, own.task, read, run.answers))
