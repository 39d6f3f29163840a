"""Evaluation of every kind of task by the metrics that the task names."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import numpy as np

from taskweb.errors import InputError, NameNotFoundError, ParameterError
from taskweb.metrics import METRICS
from taskweb.models import Head, head_for
from taskweb.tasks import Example, Task
from taskweb.training import PredictionSettings, evaluate, predict
from tests.models import tiny

CLASSIFICATION = Task("weather", "classification", ("accuracy", "f1"))
CHOICE = Task("places", "multiple_choice", ("accuracy",))
REGRESSION = Task("likeness", "regression", ("pearson", "spearmanr"))
SPAN = Task("where", "span_qa", ("exact_match", "token_f1"))
GENERATION = Task("tell", "generation", ("exact_match", "accuracy"))


@pytest.mark.parametrize("name", tiny.NAMES)
def test_classification_and_choice_follow_the_scores(name: str) -> None:
    for task, examples in ((CLASSIFICATION, tiny.statements(9)), (CHOICE, tiny.choice_questions())):
        model = tiny.model(name, head_for(task.kind, examples))
        best = [int(np.argmax(values)) for values in model.score_choices(examples)]
        right = [example.choices.index(example.output) for example in examples]  # type: ignore[union-attr, arg-type]
        found = evaluate(model, task, examples, PredictionSettings(batch_size=4))
        assert set(found) == set(task.metrics)
        assert found["accuracy"] == np.mean([a == b for a, b in zip(best, right, strict=True)])
        if task == CLASSIFICATION:
            assert found["f1"] == METRICS["f1"].function(best, right)  # type: ignore[misc]


@pytest.mark.parametrize("name", tiny.NAMES)
def test_regression_correlates_numbers(name: str) -> None:
    examples = [Example(example.input, str(i % 5)) for i, example in enumerate(tiny.statements(8))]
    model = tiny.model(name, head_for("regression", examples))
    model.numbers = lambda examples, **_: np.array([2.0 * float(e.output or 0) + 1 for e in examples])  # type: ignore[method-assign]
    assert evaluate(model, REGRESSION, examples) == pytest.approx({"pearson": 1.0, "spearmanr": 1.0})


@pytest.mark.parametrize("name", tiny.NAMES)
def test_spans_are_compared_as_answers(name: str) -> None:
    examples = [Example("the cat sat on the mat", "the mat"), Example("the dog ran", None), Example("the dog ran", "dog")]
    model = tiny.model(name, Head("span_qa"))
    answers = iter(["mat", "", "cat"])
    model.generate = lambda examples, **_: [next(answers) for _ in examples]  # type: ignore[method-assign]
    assert evaluate(model, SPAN, examples) == pytest.approx({"exact_match": 2 / 3, "token_f1": 2 / 3})


@pytest.mark.parametrize("name", tiny.NAMES)
def test_real_spans_and_numbers_have_scores(name: str) -> None:
    examples = [Example("the cat sat on the mat", "the mat"), Example("the dog ran", None)]
    found = evaluate(tiny.model(name, Head("span_qa")), SPAN, examples, PredictionSettings(max_new_tokens=4))
    assert all(0 <= value <= 1 for value in found.values())
    numbers = [Example("the cat", "1"), Example("the dog ran", "2")]
    assert len(predict(tiny.model(name, Head("regression")), REGRESSION, numbers).predicted) == 2


def test_generated_text_is_compared() -> None:
    model = tiny.model("t5", Head())
    model.generate = lambda examples, **_: ["The cat!", "dog"]  # type: ignore[method-assign]
    examples = [Example("who", "cat"), Example("what", "dog")]
    assert evaluate(model, GENERATION, examples) == {"exact_match": 1.0, "accuracy": 0.5}
    several = [Example("who", "cat", references=("cat", "The cat!")), Example("what", "cow", references=("cow", "ox"))]
    assert evaluate(model, GENERATION, several) == {"exact_match": 0.5, "accuracy": 0.5}
    with pytest.raises(InputError, match="no output"):
        evaluate(model, GENERATION, [Example("who")])


def test_what_cannot_be_scored_is_refused() -> None:
    model = tiny.model("bert")
    with pytest.raises(ParameterError, match="head is for classification, but 'where' is span_qa"):
        evaluate(model, SPAN, tiny.statements(2))
    with pytest.raises(InputError, match="no examples"):
        evaluate(model, CLASSIFICATION, [])
    with pytest.raises(InputError, match="has no output"):
        evaluate(model, CLASSIFICATION, [Example("the cat", None, ("no", "yes"))])
    with pytest.raises(InputError, match="not one of its choices"):
        evaluate(model, CLASSIFICATION, [Example("the cat", "maybe", ("no", "yes"))])
    with pytest.raises(NameNotFoundError, match="metric to compute"):
        evaluate(model, Task("weather", "classification", ("wer",)), tiny.statements(2))
