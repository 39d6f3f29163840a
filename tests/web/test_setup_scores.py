"""Scores of a web by setup, with how sure their signs are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from taskweb.web.bootstrap import student_interval, student_probability, student_quantile
from taskweb.web.published import published_web
from taskweb.web.setup_scores import scores_by_setup
from tests.conftest import made_up_web


def test_all_setups_come_first_and_are_the_mean() -> None:
    web = published_web()
    scores = scores_by_setup(web)
    assert scores.names == ("all", *web.setups)
    assert scores.pc is not None
    assert np.allclose(scores.pc[0], web.matrix("pc"), equal_nan=True)
    assert np.array_equal(scores.t[1:], web.t, equal_nan=True)
    assert np.nanmax(scores.setups[0]) == 7


def test_the_interval_of_the_mean_is_over_setups() -> None:
    web = published_web()
    scores = scores_by_setup(web)
    assert web.pc is not None
    target, source = web.target_index("rte"), web.source_index("snli")
    low, high = student_interval(web.pc[:, target, source])
    assert scores.reach[0, target, source] == pytest.approx((high - low) / 2)


def test_harm_is_as_sure_as_the_interval_says() -> None:
    scores = scores_by_setup(published_web())
    assert scores.pc is not None
    beyond = np.abs(scores.pc) > scores.reach
    known = np.isfinite(scores.harm)
    sure = (scores.harm < 0.025) | (scores.harm > 0.975)
    assert np.array_equal(beyond[known], sure[known])
    assert np.array_equal(scores.harm[known] < 0.5, scores.pc[known] > 0)


def test_students_t() -> None:
    bounds = np.array([0.0, student_quantile(0.95, 7), -student_quantile(0.95, 7), np.inf, np.nan])
    assert student_probability(bounds, 7) == pytest.approx([0.5, 0.975, 0.025, 1.0, np.nan], nan_ok=True)


def test_the_sign_of_single_runs_is_unknown() -> None:
    web = made_up_web(setups=("a/finetune",))
    scores = scores_by_setup(web)
    assert scores.names == ("a/finetune",)
    assert not scores.has_intervals
    assert scores.runs is None


def test_a_pair_that_one_setup_measured_keeps_its_own_interval() -> None:
    web = published_web()
    t, pc = web.t.copy(), np.array(web.pc)
    t[1:, 3, 0], pc[1:, 3, 0] = np.nan, np.nan
    scores = scores_by_setup(dataclasses.replace(web, t=t, pc=pc))
    assert scores.reach[0, 3, 0] == scores.reach[1, 3, 0]
    assert scores.harm[0, 3, 0] == scores.harm[1, 3, 0]
