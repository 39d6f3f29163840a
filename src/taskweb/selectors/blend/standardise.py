"""Scores on one scale: standardised rows, values that fall with rank as in NDCG, and means over what was measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray

_NOISE = 1e-9
_SHARP_PEAK = 32  # sources; with more of them, the peak widens in proportion


def standardised_rows(values: FloatArray) -> FloatArray:
    """Each row (last axis) in standard deviations from its mean; NaN stays NaN, a row that does not vary becomes 0."""
    missing = np.isnan(values)
    count = (values.shape[-1] - missing.sum(axis=-1, keepdims=True)).astype(float)
    count[count == 0] = np.nan
    rows = np.where(missing, 0.0, values)
    mean = rows.sum(axis=-1, keepdims=True) / count
    rows -= mean
    np.copyto(rows, 0.0, where=missing)
    deviation = np.sqrt((rows**2).sum(axis=-1, keepdims=True) / count)
    rows /= np.where(deviation > _NOISE * np.maximum(1e-3, np.abs(mean)), deviation, np.inf)
    np.copyto(rows, np.nan, where=missing)
    return rows


def peaked_rows(values: FloatArray) -> FloatArray:
    """Each row by rank: 2^-rank, standardised, so that the best few stand out as they do in NDCG; ties share their mean rank.

    With more than 32 sources the peak widens in proportion.
    """
    return standardised_rows(falling_by_rank(values))


def falling_by_rank(values: FloatArray, fall: float = 1.0) -> FloatArray:
    """Each row by rank: 2^-(fall x rank), 1 for a single largest value; ties share their mean rank, NaN stays NaN.

    With more than 32 sources it falls more slowly, in proportion.
    """
    measured = np.isfinite(values)
    order = np.argsort(np.where(measured, -values, np.inf), axis=-1)
    ranks = ranks_of_sorted(np.take_along_axis(values, order, -1))
    half_life = np.maximum(1.0, measured.sum(axis=-1, keepdims=True) / _SHARP_PEAK) / fall
    peak = np.empty(values.shape)
    np.put_along_axis(peak, order, np.exp2(-ranks / half_life), -1)
    np.copyto(peak, np.nan, where=~measured)
    return peak


def ranks_of_sorted(ordered: FloatArray) -> FloatArray:
    """The rank of each value in sorted rows, from 0; equal values share the mean of their ranks."""
    first, last = runs_of_sorted(ordered)
    ranks: FloatArray = (first + last) / 2
    return ranks


def runs_of_sorted(ordered: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The first and the last place of the values equal to each value, in sorted rows."""
    place = np.arange(ordered.shape[-1])
    changes = ordered[..., 1:] != ordered[..., :-1]
    if changes.all():
        every = np.broadcast_to(place, ordered.shape)
        return every, every
    edge = np.ones((*ordered.shape[:-1], 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, changes], -1), place, 0), axis=-1)
    ends = np.where(np.concatenate([changes, edge], -1), place, ordered.shape[-1] - 1)
    last = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    return first, last


def pooled(weights: FloatArray, rows: FloatArray, *, caution: float) -> FloatArray:
    """Weighted means over pivots: (queries, pivots) x (pivots, sources) -> (queries, sources).

    What was not measured has no weight. A source that was measured on few of the pivots is pulled towards 0, the mean, as if
    0 had been measured with a share `caution` of all the weight.
    """
    measured = np.isfinite(rows)
    mass = weights @ measured + caution * weights.sum(axis=1, keepdims=True)
    total: FloatArray = weights @ np.where(measured, rows, 0.0)
    return np.asarray(np.divide(total, mass, out=np.zeros(total.shape), where=mass > 0))
