"""Metrics from weights are those of the metrics' own functions on the resampled answers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from taskweb import metrics
from taskweb.evaluation.intervals import summarise
from taskweb.evaluation.measures import Choices, Numbers, Texts

ROWS = 30


def weights(draw: np.random.Generator, n: int = 5) -> np.ndarray:
    return np.vstack([np.ones(ROWS), draw.multinomial(ROWS, np.full(ROWS, 1 / ROWS), size=n)]).astype(float)


def repeated(values: np.ndarray, row: np.ndarray) -> list[float]:
    return np.repeat(values, row.astype(int)).tolist()


@pytest.mark.parametrize("classes", [2, 3])
def test_choices(classes: int) -> None:
    draw = np.random.default_rng(classes)
    predicted, expected = draw.integers(0, classes, (2, ROWS))
    answers = Choices(np.arange(ROWS), predicted, expected, classes)
    drawn = weights(draw)
    found = answers.metrics(drawn)
    for i, row in enumerate(drawn):
        p, e = repeated(predicted, row), repeated(expected, row)
        assert found["accuracy"][i] == pytest.approx(metrics.accuracy(p, e))
        assert found["macro_f1"][i] == pytest.approx(metrics.macro_f1(p, e))
        assert found["f1"][i] == pytest.approx(metrics.f1(p, e))
    table = answers.confusion(drawn[:1])[0]
    assert table.sum() == ROWS
    assert table[1, 0] == sum((expected == 1) & (predicted == 0))


def test_a_class_that_does_not_occur_does_not_count() -> None:
    answers = Choices(np.arange(2), np.array([0, 1]), np.array([0, 0]), 4)
    assert answers.metrics(np.ones((1, 2)))["macro_f1"][0] == pytest.approx(metrics.macro_f1([0, 1], [0, 0]))


def test_numbers() -> None:
    draw = np.random.default_rng(0)
    predicted = draw.integers(0, 6, ROWS).astype(float)
    expected = predicted + draw.normal(size=ROWS).round(1)
    drawn = weights(draw)
    found = Numbers(np.arange(ROWS), predicted, expected).metrics(drawn)
    for i, row in enumerate(drawn):
        p, e = repeated(predicted, row), repeated(expected, row)
        assert found["pearson"][i] == pytest.approx(metrics.pearson(p, e))
        assert found["spearmanr"][i] == pytest.approx(metrics.spearman(p, e))
    constant = Numbers(np.arange(ROWS), np.ones(ROWS), expected).metrics(drawn)
    assert np.isnan(constant["pearson"]).all()


def test_texts() -> None:
    right = [["Ada Lund", "Lund"], [], ["the mill"]]
    predicted = ["lund", "", "a mill by the river"]
    answers = Texts.compared(np.arange(3), predicted, right)
    found = answers.metrics(np.array([[1.0, 1, 1], [0, 0, 3]]))
    assert found["exact_match"].tolist() == pytest.approx([metrics.exact_match(predicted, right), 0])
    assert found["token_f1"].tolist() == pytest.approx([metrics.token_f1(predicted, right), 0.5])


def made_up(draw: np.random.Generator, rows: int, share: float) -> Choices:
    expected = draw.integers(0, 2, rows)
    return Choices(np.arange(rows), np.where(draw.random(rows) < share, expected, 1 - expected), expected, 2)


def test_the_interval_is_that_of_a_share() -> None:
    one = made_up(np.random.default_rng(1), 400, 0.8)
    summary = summarise([one], 400, ["accuracy"])["accuracy"]
    half = 1.96 * np.sqrt(summary.mean * (1 - summary.mean) / 400)
    assert np.isnan(summary.spread)
    assert (summary.low, summary.high) == pytest.approx((summary.mean - half, summary.mean + half), abs=0.006)


def test_templates_are_paired() -> None:
    """Twice the same answers are no more certain; as many answers to other rows would be."""
    one = made_up(np.random.default_rng(1), 400, 0.8)
    alone, twice = (summarise([one] * n, 400, ["accuracy"])["accuracy"] for n in (1, 2))
    assert (twice.low, twice.high) == (alone.low, alone.high)
    assert twice.spread == 0
    other = made_up(np.random.default_rng(2), 400, 0.6)
    both = summarise([one, other], 400, ["accuracy"])["accuracy"]
    assert both.high - both.low < alone.high - alone.low
    values = [answers.metrics(np.ones((1, 400)))["accuracy"][0] for answers in (one, other)]
    assert (both.mean, both.spread) == pytest.approx((np.mean(values), np.std(values, ddof=1)))


def test_one_row_has_no_interval() -> None:
    summary = summarise([made_up(np.random.default_rng(1), 1, 1.0)], 1, ["accuracy"])["accuracy"]
    assert summary.mean == 1
    assert np.isnan([summary.low, summary.high]).all()


def test_a_template_that_answers_few_rows_is_left_out_of_resamples_without_them() -> None:
    few = Choices(np.array([0]), np.array([1]), np.array([1]), 2)
    assert np.isnan(few.metrics(np.zeros((1, 1)))["accuracy"]).all()
    summary = summarise([made_up(np.random.default_rng(1), 50, 0.8), few], 50, ["accuracy", "macro_f1"])
    assert summary["accuracy"].low <= summary["accuracy"].mean <= summary["accuracy"].high
