"""Bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest

from taskweb.web.bootstrap import mean_interval, mean_over_targets, percentile_interval, resample_counts, student_interval


def test_bootstrap_intervals_cover_as_they_say() -> None:
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = mean_interval(draw.normal(1.0, 1.0, (1, 25)))
        covered += low <= 1.0 <= high
    assert 175 <= covered <= 198  # 95% requested; the percentile bootstrap is a little short with 25 values
    values = np.array([[1.0, np.nan, 3.0], [5.0, 5.0, 5.0]])
    assert mean_over_targets(values) == 3.5
    assert all(np.isnan(mean_interval(np.array([[1.0]]))))


def test_a_resample_draws_as_many_items_as_there_are() -> None:
    times = resample_counts(7, resamples=50, seed=3)
    assert times.shape == (50, 7)
    assert (times.sum(axis=1) == 7).all()
    assert not np.array_equal(times, resample_counts(7, resamples=50, seed=4))


def test_a_percentile_interval_leaves_out_draws_without_a_value() -> None:
    draws = np.column_stack([np.arange(101.0), np.full(101, np.nan), np.r_[5.0, np.full(100, np.nan)]])
    draws[::2, 0] = np.nan
    low, high = percentile_interval(draws)
    assert low[0] == pytest.approx(np.quantile(np.arange(1.0, 100, 2), 0.025))
    assert high[0] == pytest.approx(np.quantile(np.arange(1.0, 100, 2), 0.975))
    assert np.isnan(low[1:]).all()
    assert np.isnan(high[1:]).all()


@pytest.mark.parametrize(
    ("count", "quantile"), [(2, 12.706205), (3, 4.302653), (4, 3.182446), (11, 2.228139), (31, 2.042272), (1001, 1.962339)]
)
def test_students_interval_has_the_tabled_quantiles(count: int, quantile: float) -> None:
    values = np.random.default_rng(count).normal(size=count)
    low, high = student_interval(list(values))
    reach = quantile * values.std(ddof=1) / count**0.5
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach), rel=1e-5)


def test_students_interval_of_one_value_is_not_known() -> None:
    assert all(np.isnan(student_interval([0.5])))
