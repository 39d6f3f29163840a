"""A figure with its interval, correlations under resampling, and results as plain JSON values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from taskweb.metrics import mean_ranks
from taskweb.web.arrays import BoolArray, FloatArray
from taskweb.web.bootstrap import percentile_interval, resample_counts

RESAMPLES = 1000
FEWEST_TASKS = 3  # of two tasks, half of the resamples contain no pair
_LARGEST_BLOCK = 400_000  # numbers in memory at once while resampling
_ROUNDING, _RISKY = 1e-12, 1e-4  # shares of the largest product of deviations, of what has rounding errors of its own size

Places = npt.NDArray[np.intp]


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


def weighted_correlations(
    x: FloatArray, y: FloatArray, draws: FloatArray, items: Sequence[Places], *, ranks: bool = False
) -> FloatArray:
    """Pearson (or, of weighted mean ranks, Spearman) correlation of x and y in each resample of the items they belong to.

    x, y: (n,) finite. draws: (resamples, items), how often each item is drawn. items: arrays (n,) of places in `draws`; a point
    occurs as often as the product of its items' draws. Result: (resamples,), NaN where x or y does not vary.
    """
    result = np.full(len(draws), np.nan)
    if len(x) < 2:  # one point does not vary
        return result
    points = _Points(x, y, tuple(items))
    step = max(1, _LARGEST_BLOCK // len(x))
    for start in range(0, len(draws), step):
        block = draws[start : start + step]
        result[start : start + step] = points.spearman(block) if ranks else points.pearson(block)
    return result


@dataclass(frozen=True, eq=False)
class _Points:
    """Points (n,), and the items that each belongs to."""

    x: FloatArray
    y: FloatArray
    items: tuple[Places, ...]

    def pearson(self, draws: FloatArray) -> FloatArray:
        """Pearson's correlation in each draw."""
        x, y = self.x - self.x.mean(), self.y - self.y.mean()
        weights = self._weights(draws, slice(None))
        moments = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)
        found, risky = _correlation(weights @ moments, float(np.abs(x).max() * np.abs(y).max()))
        for row in np.flatnonzero(risky).tolist():  # sums of squares that nearly cancel: from the mean of this draw
            share = weights[row] / max(weights[row].sum(), 1.0)
            centred = moments[:, 1:3] - share @ moments[:, 1:3]
            (one, both), (_, other) = (centred.T * share) @ centred
            scale = np.sqrt(one) * np.sqrt(other)
            varies = scale > _ROUNDING * float(np.abs(centred).max(axis=0).prod())
            found[row] = np.clip(both / scale, -1.0, 1.0) if varies else np.nan
        return found

    def spearman(self, draws: FloatArray) -> FloatArray:
        """Spearman's correlation in each draw: that of mean ranks, where each point occurs as often as it is drawn."""
        by_x, by_y = np.argsort(self.x, kind="stable"), np.argsort(self.y, kind="stable")
        weights, b = self._weights(draws, by_x), self._weights(draws, by_y)
        total = weights.sum(axis=1)
        a, b = _mean_ranks(self.x[by_x], weights), _mean_ranks(self.y[by_y], b)
        place = np.empty_like(by_y)
        place[by_y] = np.arange(len(by_y))
        b = b.take(place[by_x], axis=1)
        one, other = weights * a, weights * b
        products = (np.einsum("ij,ij->i", *pair) for pair in ((one, a), (other, b), (one, b)))
        sums = np.stack([total, one.sum(axis=1), other.sum(axis=1), *products], axis=1)
        return _correlation(sums, np.square(total))[0]

    def _weights(self, draws: FloatArray, order: Places | slice) -> FloatArray:
        """How often each point occurs: (draws, n)."""
        found = draws.take(self.items[0][order], axis=1)
        for items in self.items[1:]:
            found *= draws.take(items[order], axis=1)
        return found


def _correlation(sums: FloatArray, largest: FloatArray | float) -> tuple[FloatArray, BoolArray]:
    """Correlations, NaN where a side does not vary, and where rounding may count.

    sums: (draws, 6) of the weights, and of x, y, their squares and their product times the weights. largest: of x times y.
    """
    total = np.where(sums[:, 0] > 0, sums[:, 0], 1.0)
    mean = sums[:, 1:] / total[:, None]
    one, other = (mean[:, 2 + i] - np.square(mean[:, i]) for i in (0, 1))
    scale = np.sqrt(one.clip(0.0)) * np.sqrt(other.clip(0.0))
    both = mean[:, 4] - mean[:, 0] * mean[:, 1]
    found = np.divide(both, scale, out=np.full(len(sums), np.nan), where=scale > _ROUNDING * largest)
    return np.clip(found, -1.0, 1.0), (scale < _RISKY * largest) & (sums[:, 0] > 0)


def _mean_ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean rank of each value where value i occurs weights[., i] times, minus a constant. values: ascending."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    if len(starts) == len(values):
        found = weights.cumsum(axis=1)
        found -= weights / 2
        return found
    size = np.add.reduceat(weights, starts, axis=1)
    ranks: FloatArray = (size.cumsum(axis=1) - size / 2).repeat(np.diff(starts, append=len(values)), axis=1)
    return ranks


def ranked(values: FloatArray) -> FloatArray:
    """Mean ranks of the finite values, NaN elsewhere; same shape."""
    out = np.full(values.shape, np.nan)
    finite = np.isfinite(values)
    out[finite] = mean_ranks(values[finite])
    return out
