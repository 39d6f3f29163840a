from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskweb import metrics
from taskweb.errors import ParameterError

SCORES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=6)


def pairs(draw_size: st.SearchStrategy[list[float]]) -> st.SearchStrategy[tuple[list[float], list[float]]]:
    return draw_size.flatmap(
        lambda t: st.tuples(st.just(t), st.lists(st.integers(-4, 4).map(float), min_size=len(t), max_size=len(t)))
    )


def plain_ndcg(truth_order: list[int], predicted_order: list[int]) -> float:
    """The definition, letter by letter, for orders without ties."""
    n = len(truth_order)
    rank = {item: place for place, item in enumerate(truth_order)}
    gain = [2 ** (n - rank[item]) - 1 for item in predicted_order]
    ideal = [2 ** (n - place) - 1 for place in range(n)]
    return sum(g / np.log2(i + 1) for i, g in enumerate(gain, 1)) / sum(g / np.log2(i + 1) for i, g in enumerate(ideal, 1))


def orders(scores: list[float]) -> list[list[int]]:
    """All orders that agree with the scores: the tied in every order."""
    return [list(p) for p in permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in pairwise(p))]


@given(pairs(SCORES))
def test_ndcg_is_the_mean_over_all_orders_of_the_tied(case: tuple[list[float], list[float]]) -> None:
    truth, predicted = case
    expected = np.mean([plain_ndcg(t, p) for t in orders(truth) for p in orders(predicted)])
    assert metrics.ndcg(truth, predicted) == pytest.approx(expected, abs=1e-9)


@given(pairs(SCORES), st.integers(1, 7), st.randoms(use_true_random=False))
def test_regret_is_the_mean_over_all_orders_of_the_tied(
    case: tuple[list[float], list[float]], k: int, shuffler: object
) -> None:
    truth, predicted = case
    raw = [shuffler.uniform(0.1, 1) for _ in truth]  # type: ignore[attr-defined]

    def mean_of_top(scores: list[float]) -> float:
        return float(np.mean([np.mean([raw[i] for i in order[:k]]) for order in orders(scores)]))

    best = mean_of_top(truth)
    assert metrics.regret_at_k(truth, raw, predicted, k) == pytest.approx((best - mean_of_top(predicted)) / best, abs=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60, unique=True), st.randoms(use_true_random=False))
def test_ndcg_lies_in_the_unit_interval_and_ignores_the_order_of_candidates(truth: list[float], shuffler: object) -> None:
    predicted = [shuffler.random() for _ in truth]  # type: ignore[attr-defined]
    value = metrics.ndcg(truth, predicted)
    assert 0 < value <= 1 + 1e-12
    places = list(range(len(truth)))
    shuffler.shuffle(places)  # type: ignore[attr-defined]
    assert metrics.ndcg([truth[i] for i in places], [predicted[i] for i in places]) == pytest.approx(value)
    assert metrics.ndcg(truth, truth) == pytest.approx(1.0)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=30, unique=True))
def test_regret_of_the_true_order_is_zero(truth: list[float]) -> None:
    assert metrics.regret_at_k(truth, truth, truth) == pytest.approx(0.0)
    assert metrics.regret_at_k(truth, truth, [-x for x in truth]) >= -1e-12


def test_ndcg_of_ten_thousand_candidates_is_finite() -> None:
    truth = np.random.default_rng(0).normal(size=10_000)
    assert metrics.ndcg(truth, truth) == pytest.approx(1.0)
    assert 0 <= metrics.ndcg(truth, -truth) < 0.2


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [np.inf])])
def test_ranking_metrics_refuse_what_has_no_order(truth: list[float], predicted: list[float]) -> None:
    with pytest.raises(ParameterError):
        metrics.ndcg(truth, predicted)
    with pytest.raises(ParameterError):
        metrics.regret_at_k(truth, truth, predicted)


def test_regret_refuses_k_below_one_and_tells_of_a_best_of_zero() -> None:
    with pytest.raises(ParameterError, match="'k' parameter"):
        metrics.regret_at_k([1.0], [1.0], [1.0], 0)
    assert np.isnan(metrics.regret_at_k([1.0, 2.0], [0.0, 0.0], [1.0, 2.0], 1))


def test_task_metrics() -> None:
    assert metrics.accuracy(["a", "b"], ["a", "c"]) == 0.5
    assert metrics.f1([1, 1, 0, 0], [1, 0, 1, 0]) == 0.5
    assert metrics.macro_f1(["x", "x", "y"], ["x", "y", "y"]) == pytest.approx(2 / 3)
    assert metrics.pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1.0)
    assert metrics.spearman([1, 2, 3], [1, 8, 27]) == pytest.approx(1.0)
    assert np.isnan(metrics.pearson([1, 1], [1, 2]))
    assert metrics.exact_match(["The Cat!"], [["a cat", "dog"]]) == 1.0
    assert metrics.token_f1(["black cat", ""], [["the black dog"], []]) == pytest.approx((0.5 + 1) / 2)
    assert all(metric.higher_is_better or metric.function is None for metric in metrics.METRICS.values())
    with pytest.raises(ParameterError, match="one prediction per reference"):
        metrics.accuracy([1], [])


@given(
    st.lists(st.sampled_from("abc"), max_size=12).flatmap(
        lambda r: st.tuples(st.just(r), st.lists(st.sampled_from("abcd"), min_size=len(r), max_size=len(r)))
    )
)
def test_shares_lie_in_the_unit_interval(case: tuple[list[str], list[str]]) -> None:
    references, predictions = case
    for metric in (metrics.accuracy, metrics.macro_f1, metrics.f1):
        value = metric(predictions, references)
        assert np.isnan(value) if not references else 0 <= value <= 1


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=20))
def test_rank_correlation_is_that_of_mean_ranks(points: list[tuple[int, int]]) -> None:
    a, b = (np.array([p[i] for p in points], float) for i in range(2))
    value = metrics.rank_correlation(a, b)
    ranks = [[sum(y < x for y in v) + (sum(y == x for y in v) + 1) / 2 for x in v] for v in (a, b)]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(value)
    else:
        assert value == pytest.approx(np.corrcoef(ranks)[0, 1])


def test_equal_values_correlate_with_nothing_whatever_their_mean_rounds_to() -> None:
    equal = np.full(6, 0.1)  # their mean is 0.09999999999999999
    assert np.mean(equal) != equal[0]
    assert np.isnan(metrics.correlation(equal, np.arange(6.0)))
    assert np.isnan(metrics.correlation(equal, equal))
    assert np.isnan(metrics.rank_correlation(equal, np.arange(6.0)))
