"""Evaluations that share passes: each run gets its own metrics, and fails alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from taskweb.errors import InputError, TaskWebError
from taskweb.models import Head
from taskweb.models.base import Question, Wanted
from taskweb.tasks import Example, Task
from taskweb.tasks.task import TaskKind
from taskweb.training import PredictionSettings, evaluate
from taskweb.training.fused_scores import Evaluated, Evaluation, evaluate_together
from tests.models import tiny
from tests.models.fused.members import Members

THREE = Head("classification", labels=("no", "yes", "maybe"))
HEADS = (tiny.LABELS, Head("regression", default=2.0), THREE, Head("multiple_choice"))
METRICS: dict[TaskKind, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1"),
    "multiple_choice": ("accuracy",),
    "regression": ("pearson",),
    "span_qa": ("token_f1",),
    "generation": ("exact_match", "token_f1"),
}


def evaluation(head: Head, number: int) -> Evaluation:
    task = Task(f"task{number}", kind=head.kind, metrics=METRICS[head.kind])
    if head.kind == "multiple_choice":
        return Evaluation(head, task, tiny.choice_questions())
    own = tiny.statements(7 + number)
    if head.kind == "regression":
        return Evaluation(head, task, [Example(one.input, str(place % 5)) for place, one in enumerate(own)])
    if head.kind == "classification":
        own = [Example(one.input, one.output, head.labels) for one in own]
    return Evaluation(head, task, own)


def evaluated(members: Members, asked: Sequence[Evaluation], settings: PredictionSettings | None = None) -> list[Evaluated]:
    found = dict(evaluate_together(members.fused, members.weights, asked, settings))
    return [found[number] for number in range(len(asked))]


@pytest.mark.parametrize(("name", "method"), [("gpt2", "lora"), ("t5", "pfeiffer"), ("roberta", "bitfit"), ("bert", "lora")])
def test_metrics_are_those_of_each_run_alone(name: str, method: str) -> None:
    heads = HEADS if name in tiny.ENCODERS else (*HEADS, Head("generation"))
    members = Members(name, method, heads)
    asked = [evaluation(head, number) for number, head in enumerate(heads)]

    settings = PredictionSettings(max_new_tokens=8)

    for model, own, found in zip(members.alone, asked, evaluated(members, asked, settings), strict=True):
        assert found.metrics == pytest.approx(evaluate(model, own.task, own.examples, settings), abs=1e-5, nan_ok=True)
        assert (found.error, len(found.read), found.halved) == (None, len(own.examples), 0)
        assert found.seconds > 0


def test_runs_share_passes() -> None:
    members = Members("gpt2", "lora", [tiny.LABELS] * 4)
    asked = [evaluation(tiny.LABELS, number) for number in range(4)]
    passes: list[int] = []
    for model in (*members.alone, members.fused.model):
        model.module.register_forward_hook(lambda *_: passes.append(1))
    settings = PredictionSettings(batch_size=8)
    for model, own in zip(members.alone, asked, strict=True):
        evaluate(model, own.task, own.examples, settings)
    alone = len(passes)
    passes.clear()
    evaluated(members, asked, settings)

    assert 3 * len(passes) <= alone


def test_a_run_with_a_bad_example_fails_alone() -> None:
    members = Members("roberta", "lora", HEADS[:3])
    asked = [evaluation(head, number) for number, head in enumerate(members.heads)]
    bad = [*asked[0].examples, Example("the cat", "perhaps", ("no", "yes"))]
    found = evaluated(members, [Evaluation(asked[0].head, asked[0].task, bad), *asked[1:]])

    assert isinstance(found[0].error, InputError)
    assert "perhaps" in str(found[0].error)
    for model, own, one in zip(members.alone[1:], asked[1:], found[1:], strict=True):
        assert one.metrics == pytest.approx(evaluate(model, own.task, own.examples), abs=1e-5)


def answers_with(
    monkeypatch: pytest.MonkeyPatch, members: Members, refuse: Callable[[Sequence[Question], int], None]
) -> list[int]:
    """Let the fused model refuse some questions; returns how many it is asked each time."""
    plain, counts = members.fused.model.answers, []

    def answers(questions: Sequence[Question], wanted: Wanted, *, batch_size: int = 32) -> list[Any]:
        counts.append(len(questions))
        refuse(questions, batch_size)
        return plain(questions, wanted, batch_size=batch_size)

    monkeypatch.setattr(members.fused.model, "answers", answers)
    return counts


def test_where_a_shared_pass_fails_runs_are_evaluated_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    members = Members("gpt2", "lora", [tiny.LABELS] * 3)
    asked = [evaluation(tiny.LABELS, number) for number in range(3)]

    def refuse(questions: Sequence[Question], _: int) -> None:
        if any(question.member == 1 for question in questions):
            raise RuntimeError("an odd input")

    counts = answers_with(monkeypatch, members, refuse)
    found = evaluated(members, asked)

    assert counts == [24, 7, 8, 9]
    assert [str(one.error) for one in found] == ["None", "an odd input", "None"]
    for number in (0, 2):
        assert found[number].metrics == evaluate(members.alone[number], asked[number].task, asked[number].examples)


def test_where_memory_runs_out_batches_are_halved_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    members = Members("t5", "lora", [tiny.LABELS] * 3)
    asked = [evaluation(tiny.LABELS, number) for number in range(3)]
    room = 24

    def refuse(_: Sequence[Question], batch_size: int) -> None:
        if batch_size > room:
            raise torch.OutOfMemoryError("out of memory")

    answers_with(monkeypatch, members, refuse)
    found = evaluated(members, asked)
    assert [one.halved for one in found] == [2, 2, 2]
    assert all(one.metrics for one in found)

    room = 0
    assert all(isinstance(one.error, TaskWebError) for one in evaluated(members, asked))
