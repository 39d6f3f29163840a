"""Webs in which only single tasks matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskweb.web.analysis.nulls import NULL_MODELS, additive_fit, one_sided_p, popularity_null


def holed(seed: int, setups: int = 2, tasks: int = 6, missing: float = 0.2) -> np.ndarray:
    draw = np.random.default_rng(seed)
    t = draw.normal(size=(setups, tasks, tasks))
    t[draw.random(t.shape) < missing] = np.nan
    t[:, np.arange(tasks), np.arange(tasks)] = np.nan
    return t


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_popularity_leaves_the_values_of_each_source_and_missing_pairs(seed: int, missing: float) -> None:
    t = holed(seed, missing=missing)
    drawn = popularity_null(t)(np.random.default_rng(seed))
    np.testing.assert_array_equal(np.isnan(drawn), np.isnan(t))
    np.testing.assert_array_equal(np.sort(drawn, axis=-1), np.sort(t, axis=-1))


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_targets_of_a_source_are_ordered_by_one_draw_for_all_setups(seed: int, missing: float, alike: bool) -> None:
    """The k-th measured target of a source gets the transfer to the measured target with the k-th smallest number."""
    t = holed(seed, setups=3, missing=missing)
    if alike:
        t[:, np.isnan(t).any(axis=0)] = np.nan
    larger = np.random.default_rng(seed).random((20, 20))
    for keys, drawn in (
        (np.random.default_rng(seed).random(t.shape[1:]), popularity_null(t)(np.random.default_rng(seed))),
        (larger[:6, :6], popularity_null(t, lambda stream: stream.random((20, 20))[:6, :6])(np.random.default_rng(seed))),
    ):
        expected = np.full(t.shape, np.nan)
        for setup, source in np.ndindex(t.shape[:2]):
            own = np.flatnonzero(np.isfinite(t[setup, source]))
            expected[setup, source, own] = t[setup, source, own[np.argsort(keys[source, own])]]
        np.testing.assert_array_equal(drawn, expected)


def test_popularity_permutes_values_equally_in_all_setups() -> None:
    t = np.repeat(holed(0, setups=1, missing=0.0), 3, axis=0)
    drawn = popularity_null(t)(np.random.default_rng(0))
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn, t, equal_nan=True)


@given(st.integers(0, 10_000), st.floats(0, 1), st.sampled_from(sorted(NULL_MODELS)))
@settings(max_examples=60, deadline=None)
def test_what_is_missing_stays_missing(seed: int, missing: float, name: str) -> None:
    t = holed(seed, missing=missing)
    drawn = NULL_MODELS[name](t)(np.random.default_rng(seed))
    np.testing.assert_array_equal(np.isnan(drawn), np.isnan(t))


def drawn_webs(t: np.ndarray, name: str, draws: int = 400) -> np.ndarray:
    stream, null = np.random.default_rng(0), NULL_MODELS[name](t)
    return np.concatenate([null(stream) for _ in range(draws)])


def test_strengths_preserve_means_of_sources_and_targets_and_spreads_of_targets() -> None:
    draw = np.random.default_rng(3)
    size = draw.uniform(0.5, 2.0, 15)
    t = draw.normal(size=(1, 15, 1)) + 3 * draw.normal(size=15) + draw.normal(size=(1, 15, 15)) * size
    t[:, np.arange(15), np.arange(15)] = np.nan
    drawn = drawn_webs(t, "strengths")
    np.testing.assert_allclose(np.nanmean(drawn, axis=(0, 1)), np.nanmean(t[0], axis=0), atol=0.2)
    np.testing.assert_allclose(np.nanmean(drawn, axis=(0, 2)), np.nanmean(t[0], axis=1), atol=0.2)
    spread = np.nanmean(np.nanstd(drawn, axis=1), axis=0) / np.nanstd(t[0], axis=0)
    assert (spread > 0.8).all()
    assert (spread < 1.25).all()


def test_sensitivity_preserves_means_and_spreads_of_different_targets() -> None:
    draw = np.random.default_rng(3)
    size = np.exp(2 * draw.normal(size=15))
    t = (draw.normal(size=(1, 15, 1)) + draw.normal(size=(1, 15, 15))) * size + 3 * draw.normal(size=15)
    t[:, np.arange(15), np.arange(15)] = np.nan
    drawn = drawn_webs(t, "sensitivity")
    off = np.abs(np.nanmean(drawn, axis=(0, 1)) - np.nanmean(t[0], axis=0)) / size
    assert off.max() < 0.3
    spread = np.nanmean(np.nanstd(drawn, axis=1), axis=0) / np.nanstd(t[0], axis=0)
    assert (spread > 0.8).all()
    assert (spread < 1.25).all()


def test_the_additive_fit_is_the_least_squares_one() -> None:
    t = holed(5, setups=1, tasks=7)[0]
    a, b = np.nonzero(np.isfinite(t))
    design = np.zeros((len(a), 14))
    design[np.arange(len(a)), a] = design[np.arange(len(a)), 7 + b] = 1.0
    fitted = design @ np.linalg.lstsq(design, t[a, b], rcond=None)[0]
    np.testing.assert_allclose(additive_fit(t[None])[0][a, b], fitted, atol=1e-9)


def test_p_counts_the_observed_web_among_the_draws() -> None:
    assert one_sided_p(2.0, np.array([0.0, 1.0, np.nan, 3.0])) == 0.5
    assert one_sided_p(4.0, np.zeros(99)) == pytest.approx(0.01)
    assert one_sided_p(1.0, np.ones(9)) == 1.0
    assert np.isnan(one_sided_p(np.nan, np.ones(3)))
    assert np.isnan(one_sided_p(1.0, np.zeros(0)))
