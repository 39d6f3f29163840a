"""Bootstrap intervals for a mean over targets, in one setup or averaged over several."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000


def mean_over_targets(values: npt.NDArray[np.float64]) -> float:
    """Mean over setups of the mean over targets; values: (setups, targets), NaN where a target is left out."""
    present = np.isfinite(values)
    counted = present.any(axis=1)
    if not counted.any():
        return float("nan")
    return float((np.where(present, values, 0.0).sum(axis=1)[counted] / present.sum(axis=1)[counted]).mean())


def mean_interval(values: npt.NDArray[np.float64], *, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of `mean_over_targets`: targets are resampled, each with its values in all setups.

    values: (setups, targets), NaN where a target is left out. Result: (low, high), NaN with fewer than two targets.
    """
    kept = values[np.isfinite(values).any(axis=1)][:, np.isfinite(values).any(axis=0)]
    targets = kept.shape[1]
    if targets < 2:  # one value has no spread
        return float("nan"), float("nan")
    picks = np.random.default_rng(seed).integers(0, targets, (RESAMPLES, targets))
    times = np.zeros((RESAMPLES, targets))
    np.add.at(times, (np.arange(RESAMPLES)[:, None], picks), 1.0)
    present = np.isfinite(kept)
    counts = times @ present.T
    sums = times @ np.where(present, kept, 0.0).T
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    low, high = np.nanquantile(np.nanmean(means, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
