"""Scores put on one scale: standardised rows, the shape that NDCG rewards, and means of what was measured."""

from __future__ import annotations

import numpy as np

from taskweb.selectors.base import FloatArray
from taskweb.web.transfer_web import nan_mean

_NOISE = 1e-9
_SHARP_PEAK = 32  # with more sources than this, the peak is as many times wider


def standard_rows(values: FloatArray) -> FloatArray:
    """Each row (last axis) in standard deviations from its mean; NaN stays, a row that does not vary becomes 0."""
    mean = nan_mean(values, axis=-1)[..., None]
    centred: FloatArray = values - mean
    deviation = np.sqrt(nan_mean(centred**2, axis=-1))[..., None]
    varies = deviation > _NOISE * np.maximum(1e-3, np.abs(mean))
    return np.where(varies | np.isnan(values), centred / np.where(varies, deviation, 1.0), 0.0)


def peaked_rows(values: FloatArray) -> FloatArray:
    """Each row by rank: 2^-rank, standardised, so that the best few stand out as they do in NDCG; ties share their mean rank.

    With more than 32 sources the peak widens in proportion.
    """
    measured = np.isfinite(values)
    count = measured.sum(axis=-1, keepdims=True)
    filled = np.where(measured, values, -np.inf)
    order = np.argsort(-filled, axis=-1)
    ordered = np.take_along_axis(filled, order, -1)
    place = np.arange(values.shape[-1])
    edge = np.ones((*values.shape[:-1], 1), dtype=bool)
    changes = ordered[..., 1:] != ordered[..., :-1]
    first = np.maximum.accumulate(np.where(np.concatenate([edge, changes], -1), place, 0), axis=-1)
    ends = np.where(np.concatenate([changes, edge], -1), place, values.shape[-1] - 1)
    last = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    rank = np.empty(values.shape)
    np.put_along_axis(rank, order, (first + last) / 2, -1)
    half_life = np.maximum(1.0, count / _SHARP_PEAK)
    return standard_rows(np.where(measured, np.exp2(-rank / half_life), np.nan))


def pooled(weights: FloatArray, rows: FloatArray, *, caution: float) -> FloatArray:
    """Weighted means over pivots: (queries, pivots) x (pivots, sources) -> (queries, sources).

    What was not measured has no weight. A source that was measured on few of the pivots is drawn to 0, the mean, as if
    `caution` of all the weight had been measured as 0.
    """
    measured = np.isfinite(rows)
    mass = weights @ measured + caution * weights.sum(axis=1, keepdims=True)
    total: FloatArray = weights @ np.where(measured, rows, 0.0)
    return np.asarray(np.divide(total, mass, out=np.zeros(total.shape), where=mass > 0))
