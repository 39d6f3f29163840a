"""Confidence intervals: bootstrap over targets or tasks, and Student's t for a few values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from taskweb.web.arrays import FloatArray

RESAMPLES = 10_000
LEVEL = 0.95


def mean_over_targets(values: FloatArray) -> float:
    """Mean over setups of the mean over targets; values: (setups, targets), NaN where a target is left out."""
    present = np.isfinite(values)
    counted = present.any(axis=1)
    if not counted.any():
        return float("nan")
    return float((np.where(present, values, 0.0).sum(axis=1)[counted] / present.sum(axis=1)[counted]).mean())


def mean_interval(
    values: FloatArray, *, level: float = LEVEL, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap interval of `mean_over_targets`: targets are resampled, each with its values in all setups.

    values: (setups, targets), NaN where a target is left out. Result: (low, high), NaN with fewer than two targets.
    """
    used = values[np.isfinite(values).any(axis=1)][:, np.isfinite(values).any(axis=0)]
    targets = used.shape[1]
    if targets < 2:  # one value has no spread
        return float("nan"), float("nan")
    times = resample_counts(targets, resamples=resamples, seed=seed)
    present = np.isfinite(used)
    counts = times @ present.T
    sums = times @ np.where(present, used, 0.0).T
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    low, high = np.nanquantile(np.nanmean(means, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resample_counts(items: int, *, resamples: int = RESAMPLES, seed: int = 0) -> FloatArray:
    """How often each item is drawn in resamples of `items` draws with replacement: (resamples, items)."""
    picks = np.random.default_rng(seed).integers(0, items, (resamples, items))
    flat = (np.arange(resamples)[:, None] * items + picks).ravel()
    return np.bincount(flat, minlength=resamples * items).reshape(resamples, items).astype(float)


def student_interval(values: Sequence[float], *, level: float = LEVEL) -> tuple[float, float]:
    """Student's t interval of a mean, for too few values for a bootstrap. Result: (low, high), NaN with fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    array = np.asarray(values, dtype=float)
    reach = student_quantile(level, len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return float(array.mean()) - reach, float(array.mean()) + reach


@cache
def student_quantile(level: float, freedom: int) -> float:
    """The bound of |t| with probability `level`, for Student's t with `freedom` degrees of freedom.

    With t = sqrt(freedom) tan(a), the density of a is cos(a)^(freedom - 1).
    """
    angles, below = _student_table(freedom)
    return math.sqrt(freedom) * math.tan(float(np.interp(level * below[-1], below, angles)))


def student_probability(bounds: FloatArray, freedom: int) -> FloatArray:
    """The probability that Student's t with `freedom` degrees of freedom is below each bound; NaN for NaN."""
    angles, below = _student_table(freedom)
    half = np.interp(np.arctan(np.abs(bounds) / math.sqrt(freedom)), angles, below) / below[-1] / 2
    probability: FloatArray = 0.5 + np.sign(bounds) * half
    return probability


@cache
def _student_table(freedom: int) -> tuple[FloatArray, FloatArray]:
    """Angles a from 0 to a right angle, and the weight of t = sqrt(freedom) tan(a) from 0 to there."""
    angles = np.linspace(0, np.pi / 2, 100_001)
    density = np.cos(angles) ** (freedom - 1)
    return angles, np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])


def percentile_interval(draws: FloatArray, *, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Percentile interval over the first axis, without draws that are not finite: (low, high), NaN with fewer than two."""
    finite = np.isfinite(draws)
    enough = finite.sum(axis=0) > 1
    usable = np.where(enough & finite, draws, np.where(enough, np.nan, 0.0))
    low, high = np.nanquantile(usable, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)
