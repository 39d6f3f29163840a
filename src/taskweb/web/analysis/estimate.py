"""A figure with its interval, correlations under resampling, and results as plain JSON values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.metrics import mean_ranks
from taskweb.web.arrays import FloatArray
from taskweb.web.bootstrap import percentile_interval, resample_counts

RESAMPLES = 1000
FEWEST_TASKS = 3  # of two tasks, half of the resamples contain no pair
_LARGEST_BLOCK = 4_000_000  # numbers in memory at once while resampling


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95% interval; NaN where it is unknown."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    @property
    def known(self) -> bool:
        """Whether there is a figure."""
        return bool(np.isfinite(self.value))


UNKNOWN = Estimate(float("nan"))


def plain(value: Any) -> Any:
    """A result as plain JSON values: records become objects, arrays lists, NaN null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: plain(getattr(value, part.name)) for part in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def plain_result(result: Any) -> dict[str, Any]:
    """A whole analysis as plain JSON values, its summary sentence first."""
    values: dict[str, Any] = plain(result)
    return {"verdict": result.verdict} | values


def task_draws(tasks: int, *, resamples: int = RESAMPLES, seed: int = 0) -> FloatArray:
    """How often each task is drawn in each resample: (resamples, tasks); no resamples with fewer than three tasks."""
    return resample_counts(tasks, resamples=resamples if tasks >= FEWEST_TASKS else 0, seed=seed)


def estimates_of(values: npt.ArrayLike, draws: FloatArray) -> list[Estimate]:
    """Figures (n,) and their draws (resamples, n) as estimates; a figure that is NaN gets no interval."""
    figures = np.asarray(values, float)
    if len(draws) < 2:  # nothing was resampled
        return [Estimate(value) for value in figures.tolist()]
    low, high = percentile_interval(draws)
    return [
        Estimate(value, *ends) if np.isfinite(value) else UNKNOWN
        for value, *ends in zip(figures.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def pair_means(cells: Sequence[FloatArray], draws: FloatArray) -> list[Estimate]:
    """Mean of each cell over values that are not NaN, with an interval over tasks, each drawn as source and as target.

    cells: each (..., tasks, tasks), leading axes (setups) pooled. draws: (resamples, tasks), how often a task is drawn.
    """
    values, sampled = [], []
    for cell in cells:
        flat = cell if cell.ndim == 3 else cell[None]
        finite = np.isfinite(flat)
        total, count = np.where(finite, flat, 0.0).sum(axis=0), finite.sum(axis=0).astype(float)
        values.append(total.sum() / count.sum() if count.any() else np.nan)
        sums, counts = ((draws @ total) * draws).sum(axis=1), ((draws @ count) * draws).sum(axis=1)
        sampled.append(np.divide(sums, counts, out=np.full(len(draws), np.nan), where=counts > 0))
    return estimates_of(values, np.array(sampled).T.reshape(len(draws), len(values)))


def weighted_correlations(x: FloatArray, y: FloatArray, weights: FloatArray, *, ranks: bool = False) -> FloatArray:
    """Pearson (or, of weighted mean ranks, Spearman) correlation of x and y under each row of weights: (rows,).

    x, y: (n,) finite; weights: (rows, n), at least 0. NaN where either does not vary.
    """
    result = np.full(len(weights), np.nan)
    if len(x) < 2:  # one point does not vary
        return result
    step = max(1, _LARGEST_BLOCK // len(x))
    for start in range(0, len(weights), step):
        block = weights[start : start + step]
        a, b = (_weighted_ranks(x, block), _weighted_ranks(y, block)) if ranks else (x[None] - x.mean(), y[None] - y.mean())
        result[start : start + step] = _weighted_pearson(a, b, block)
    return result


def _weighted_pearson(a: FloatArray, b: FloatArray, weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=1, keepdims=True)
    share = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    a, b = a - (share * a).sum(axis=1, keepdims=True), b - (share * b).sum(axis=1, keepdims=True)
    both, one, other = (share * a * b).sum(axis=1), (share * a * a).sum(axis=1), (share * b * b).sum(axis=1)
    scale = np.sqrt(one) * np.sqrt(other)
    # A constant side still has rounding errors of its own size.
    varies = scale > 1e-12 * (np.abs(a).max(axis=1, initial=0.0) * np.abs(b).max(axis=1, initial=0.0))
    correlation: FloatArray = np.divide(both, scale, out=np.full(len(weights), np.nan), where=varies & (scale > 0))
    return np.clip(correlation, -1.0, 1.0)


def _weighted_ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean rank of each value where value i occurs weights[., i] times, minus a constant."""
    unique, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(unique)))
    size = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks: FloatArray = (np.cumsum(size, axis=1) - size / 2)[:, group]
    return ranks


def ranked(values: FloatArray) -> FloatArray:
    """Mean ranks of the finite values, NaN elsewhere; same shape."""
    out = np.full(values.shape, np.nan)
    finite = np.isfinite(values)
    out[finite] = mean_ranks(values[finite])
    return out
