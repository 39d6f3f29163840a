"""Resampled figures equal those of a web that contains each task as often as it was drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.metrics import correlation, rank_correlation
from taskweb.web.analysis.estimate import Estimate, estimates_of, pair_means, plain, task_draws, weighted_correlations


def drawn_web(t: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Each task as often as it was drawn; two copies of one task have no transfer between them."""
    origin = np.repeat(np.arange(len(times)), times.astype(int))
    return t[..., origin[:, None], origin[None, :]]


def holed(seed: int, setups: int = 2, tasks: int = 6) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    t = np.round(draw.normal(size=(setups, tasks, tasks)), 1)  # some ties
    t[draw.random(t.shape) < 0.1] = np.nan
    t[:, np.arange(tasks), np.arange(tasks)] = np.nan
    return t, task_draws(tasks, resamples=4, seed=seed)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_means_over_pairs(seed: int) -> None:
    t, draws = holed(seed)
    by_hand = [
        [np.mean(web[np.isfinite(web)])] if np.isfinite(web := drawn_web(t, times)).any() else [np.nan] for times in draws
    ]
    (expected,) = estimates_of([np.nanmean(t)], np.array(by_hand))
    (found,) = pair_means([t], draws)
    np.testing.assert_allclose((found.value, found.low, found.high), (expected.value, expected.low, expected.high), atol=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_correlations(seed: int) -> None:
    (t, _), draws = holed(seed)[0], holed(seed)[1]
    a, b = np.nonzero(np.isfinite(t) & np.isfinite(t.T))
    for ranks, by_hand in ((False, correlation), (True, rank_correlation)):
        found = weighted_correlations(t[a, b], t[b, a], draws, (a, b), ranks=ranks)
        for value, times in zip(found, draws, strict=True):
            web = drawn_web(t, times)
            assert value == pytest.approx(by_hand(web.ravel(), web.T.ravel()), nan_ok=True, abs=1e-9)


def test_values_that_hardly_differ_correlate_as_they_do() -> None:
    """Sums of squares would cancel: in the second draw, the point that is far away does not occur."""
    x, y = np.array([0.0, 1.0, 2.0, 1e5]), np.array([0.0, 1.0, 4.0, 1e5])
    draws = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 1.0, 1.0, 0.0], [4.0, 0.0, 0.0, 0.0]])
    found = weighted_correlations(x, y, draws, [np.arange(4)])
    assert found[1] == pytest.approx(np.corrcoef([0, 0, 1, 2], [0, 0, 1, 4])[0, 1], abs=1e-9)
    assert np.isnan(found[2])


def test_plain_values_contain_no_nan() -> None:
    value = {"a": Estimate(1.0), "b": (np.float64("inf"), np.int64(2)), 3: np.array([np.nan, 1.0]), "c": "x", "d": True}
    assert plain(value) == {
        "a": {"value": 1.0, "low": None, "high": None},
        "b": [None, 2],
        "3": [None, 1.0],
        "c": "x",
        "d": True,
    }


def test_a_figure_that_is_unknown_has_no_interval() -> None:
    unknown, known = estimates_of([math.nan, 1.0], np.tile(np.arange(5.0)[:, None], 2))
    assert math.isnan(unknown.low)
    assert (known.low, known.high) == (pytest.approx(0.1), pytest.approx(3.9))
    assert len(task_draws(2)) == 0
