"""Chains are counted exactly, in a web, in resamples of its tasks, and in webs drawn by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.web.analysis.chains import ChainCounts, Chains
from taskweb.web.analysis.estimate import task_draws
from taskweb.web.analysis.nulls import NULL_MODELS
from taskweb.web.analysis.square import square_of
from taskweb.web.arrays import nan_mean
from taskweb.web.published import published_web
from tests.web.analysis.test_estimate import drawn_web, holed


def counted(t: np.ndarray, grid: np.ndarray, weights: np.ndarray | None = None) -> ChainCounts:
    chains = Chains.of(t)
    return chains.steps(chains.measured(t), grid).count(weights)


def by_definition(t: np.ndarray, grid: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Chains and those with T(A -> C) > 0, (matrices, thresholds), and shares of T > 0: sums over all A, B and C."""
    stack = np.concatenate([t, nan_mean(t, axis=0)[None]])
    triples, positive = np.zeros((2, len(stack), len(grid)))
    often = np.einsum("a,b,c->abc", weights, weights, weights)
    for i, matrix in enumerate(stack):
        for j, threshold in enumerate(grid):
            above = matrix > threshold
            chains = above[:, :, None] * above[None] * np.isfinite(matrix)[:, None] * often
            triples[i, j], positive[i, j] = chains.sum(), (chains * (matrix > 0)[:, None]).sum()
    pairs = np.outer(weights, weights)
    ends = np.array([[(pairs * (matrix > 0)).sum(), (pairs * np.isfinite(matrix)).sum()] for matrix in stack])
    triples, positive, ends = (np.concatenate([x[:-1], x[:-1].sum(axis=0)[None], x[-1:]]) for x in (triples, positive, ends))
    with np.errstate(invalid="ignore"):
        return [triples, positive, ends[:, 0] / ends[:, 1]]


@given(st.integers(0, 10_000), st.integers(3, 9), st.sampled_from([0.0, 0.1, 0.6]))
@settings(max_examples=40, deadline=None)
def test_counts_are_those_of_the_definition(seed: int, tasks: int, missing: float) -> None:
    draw = np.random.default_rng(seed)
    t = np.round(draw.normal(size=(2, tasks, tasks)), 1)
    t[draw.random(t.shape) < missing] = np.nan
    t[:, np.arange(tasks), np.arange(tasks)] = np.nan
    t[:, :, : int(draw.integers(0, 2))] = np.nan
    grid = np.unique([0.0, *draw.random(int(draw.integers(0, 25))).round(2)])  # more than fit into one product
    for weights in (np.ones(tasks), *task_draws(tasks, resamples=2, seed=seed)):
        found = counted(t, grid, weights)
        for one, other in zip((found.triples, found.positive, found.base_rate), by_definition(t, grid, weights), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", sorted(NULL_MODELS))
def test_webs_drawn_by_chance_are_counted_as_any(name: str) -> None:
    """The published web, whose draws leave missing pairs where they are: counts are equal to the last digit."""
    square = square_of(published_web())
    chains = Chains.of(square.t)
    drawn = NULL_MODELS[name](chains.measured(square.t))(np.random.default_rng(0))
    grid = np.quantile(drawn[drawn > 0], np.linspace(0, 0.9, 10))
    whole = np.full(square.t.shape, np.nan)
    whole[:, chains.sources[:, None], chains.targets] = drawn
    found = chains.steps(drawn, grid).count()
    triples, positive, base_rate = by_definition(whole, grid, np.ones(len(square.tasks)))
    np.testing.assert_array_equal(found.triples, triples)
    np.testing.assert_array_equal(found.positive, positive)
    np.testing.assert_array_equal(found.base_rate, base_rate)


def test_fields_hold_the_chains_of_a_thousand_tasks() -> None:
    """All T above all thresholds but the last: every field is as full as it gets."""
    t = np.ones((1, 1000, 4))
    square = np.full((1, 1000, 1000), np.nan)
    square[:, :, :4] = t
    square[:, np.arange(4), np.arange(4)] = np.nan
    found = counted(square, np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0]))
    assert found.triples[0].tolist() == [4 * 3 * 998.0] * 6 + [0.0]
    assert found.share[0, 0] == 1.0


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_resample_is_a_web_of_its_own(seed: int) -> None:
    t, draws = holed(seed)
    grid = np.array([0.0, 0.5])
    for times in draws:
        weighted, of_drawn = counted(t, grid, times), counted(drawn_web(t, times), grid)
        np.testing.assert_array_equal(weighted.triples, of_drawn.triples)
        np.testing.assert_array_equal(weighted.base_rate, of_drawn.base_rate)


def test_chains_lead_through_tasks_that_are_source_and_target() -> None:
    t = holed(1)[0]
    t[:, 4], t[:, :, :2] = np.nan, np.nan  # one task is no source, two are no target
    chains, found = Chains.of(t), counted(t, np.zeros(1))
    size = t.shape[-1]
    triples = [(a, b, c) for a in range(size) for b in range(size) for c in range(size) if t[0, a, b] > 0 and t[0, b, c] > 0]
    assert found.triples[0, 0] == sum(np.isfinite(t[0, a, c]) for a, _, c in triples)
    assert found.positive[0, 0] == sum(t[0, a, c] > 0 for a, _, c in triples)
    assert chains.measured(t).shape[1:] == (size - 1, size - 2)
