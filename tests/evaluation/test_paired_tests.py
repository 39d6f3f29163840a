"""Paired tests against values worked out by hand, and their rates on made-up models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from taskweb.errors import ParameterError
from taskweb.evaluation.intervals import summarise
from taskweb.evaluation.measures import Choices, Numbers
from taskweb.evaluation.paired_tests import compare, mcnemar_p
from taskweb.evaluation.results import Prediction, TaskResult, TemplateResult


def made_up(answers: dict[str, Sequence[int]], rows: Sequence[int] | None = None, *, right: int = 1) -> TaskResult:
    """A task whose right answer is always class 1, and what was answered under each template."""
    templates, found = [], []
    for name, predicted in answers.items():
        own = list(range(len(predicted))) if rows is None else list(rows)
        choices = Choices(np.arange(len(own)), np.array(predicted), np.full(len(own), right), 2)
        predictions = tuple(
            Prediction(row, "", ("no", "yes"), (), str(answer), ("yes",), float(answer == right))
            for row, answer in zip(own, predicted, strict=True)
        )
        confusion = tuple(tuple(map(int, row)) for row in choices.confusion(np.ones((1, len(own))))[0])
        found.append(choices)
        templates.append(TemplateResult(name, {}, predictions, confusion, choices))
    size = max(len(own) for own in answers.values())
    return TaskResult("made up", "", ("no", "yes"), summarise(found, size, ("accuracy", "macro_f1")), tuple(templates))


@pytest.mark.parametrize(
    ("only_first", "only_second", "wanted"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 * (1/2), at most 1
        (0, 5, 2 / 32),
        (1, 9, 2 * (1 + 10) / 1024),
        (3, 10, 2 * (1 + 13 + 78 + 286) / 8192),
        (12, 12, 1.0),
    ],
)
def test_mcnemar_is_twice_the_tail_of_a_fair_coin(only_first: int, only_second: int, wanted: float) -> None:
    assert mcnemar_p(only_first, only_second) == pytest.approx(wanted, rel=1e-12)
    assert mcnemar_p(only_second, only_first) == pytest.approx(wanted, rel=1e-12)


def test_mcnemar_of_many_rows_is_the_sum_of_whole_numbers() -> None:
    exact = 2 * sum(math.comb(4000, k) for k in range(1901)) / 2**4000
    assert mcnemar_p(1900, 2100) == pytest.approx(exact, rel=1e-9)


def test_one_template_is_tested_by_mcnemar() -> None:
    base = made_up({"a": [1] * 10 + [0] * 10})
    other = made_up({"a": [0] + [1] * 18 + [0]})  # loses one row, wins nine
    found = compare(base, other)
    assert found.rows == 20
    assert (found.templates["a"].only_first, found.templates["a"].only_second) == (1, 9)
    accuracy = found.differences["accuracy"]
    assert accuracy.value == pytest.approx(0.4)
    assert (accuracy.test, accuracy.p) == ("mcnemar", pytest.approx(22 / 1024))
    assert accuracy.low < 0.4 < accuracy.high
    assert accuracy.low > 0
    assert found.differences["macro_f1"].test == "bootstrap"
    assert found.to_dict()["templates"] == [{"template": "a", "mcnemar": {"only_base": 1, "only_adapter": 9, "p": 22 / 1024}}]


def test_several_templates_are_tested_by_rows_not_by_answers() -> None:
    rng = np.random.default_rng(0)
    answers = (rng.random(40) < 0.5).astype(int)
    better = np.where(rng.random(40) < 0.15, 1, answers)
    one = compare(made_up({"a": answers}), made_up({"a": better}))
    many = compare(made_up(dict.fromkeys("abcdef", answers)), made_up(dict.fromkeys("abcdef", better)))
    # The same answers six times over are no more evidence than once.
    assert many.differences["accuracy"].value == pytest.approx(one.differences["accuracy"].value)
    assert many.differences["accuracy"].low == pytest.approx(one.differences["accuracy"].low)
    assert many.differences["accuracy"].test == "bootstrap"
    assert list(many.templates) == list("abcdef")


def test_equal_models_differ_in_nothing() -> None:
    result = made_up({"a": [1, 0, 1, 1], "b": [0, 0, 1, 1]})
    found = compare(result, result)
    assert all((d.value, d.low, d.high, d.p) == (0, 0, 0, 1) for d in found.differences.values())


def test_only_rows_that_both_answered_count() -> None:
    base = made_up({"a": [1, 0, 1, 0]}, rows=[3, 5, 7, 9])
    other = made_up({"a": [1, 1, 0, 1]}, rows=[1, 5, 7, 11])
    found = compare(base, other)
    assert found.rows == 2  # 5 is won, 7 lost
    assert (found.templates["a"].only_first, found.templates["a"].only_second) == (1, 1)
    assert found.differences["accuracy"].value == 0


def test_metrics_that_are_no_sums_of_rows_are_resampled_whole() -> None:
    rng = np.random.default_rng(1)
    right = rng.normal(size=60)

    def numbers(noise: float) -> TaskResult:
        predicted = right + noise * rng.normal(size=60)
        answers = Numbers(np.arange(60), predicted, right)
        predictions = tuple(Prediction(i, "", (), (), str(predicted[i]), (str(right[i]),), 0.0) for i in range(60))
        summary = summarise([answers], 60, ("pearson",))
        return TaskResult("numbers", "", (), summary, (TemplateResult("a", {}, predictions, (), answers),))

    found = compare(numbers(3.0), numbers(0.3))
    assert found.templates == {}
    assert found.differences["pearson"].p < 0.01
    assert found.differences["pearson"].low > 0.2


def test_the_bootstrap_is_wrong_as_often_as_it_says() -> None:
    wrong = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        one, other = ({name: (rng.random(50) < 0.6).astype(int) for name in "ab"} for _ in range(2))
        wrong += compare(made_up(one), made_up(other)).differences["accuracy"].p < 0.1
    assert wrong <= 14  # 6 expected; 15 or more in one of a thousand such tests


def test_other_tasks_and_templates_are_refused() -> None:
    with pytest.raises(ParameterError, match="same task and templates"):
        compare(made_up({"a": [1, 0]}), made_up({"b": [1, 0]}))
    with pytest.raises(ParameterError, match="same task and templates"):
        compare(made_up({"a": [1, 0]}), made_up({"a": [1, 0], "b": [1, 0]}))
