"""The margin of one way of ranking over another, and how much baselines count beside the blend because of it."""

from __future__ import annotations

import math

import numpy as np

from taskweb.selectors.base import FloatArray

_TYPICAL_SPREAD, _TYPICAL_TARGETS = 0.2, 5.0  # prior of the spread of NDCG over targets, and its weight in targets


def margin_in_standard_errors(differences: FloatArray) -> float:
    """The mean of differences by target in standard errors; NaN = not judged.

    The variance includes a few typical targets, since that of few targets alone is uncertain.
    """
    known = differences[np.isfinite(differences)]
    n = len(known)
    if n == 0:
        return 0.0
    squares = float(((known - known.mean()) ** 2).sum()) + _TYPICAL_TARGETS * _TYPICAL_SPREAD**2
    return float(known.mean() / math.sqrt(squares / (n - 1 + _TYPICAL_TARGETS) / n))


def shares(blend: FloatArray, baselines: FloatArray) -> FloatArray:
    """The weight of the blend, then of each baseline: (baselines + 1,), sums to 1.

    blend: NDCG by target; baselines: that of each, (baselines, targets). A baseline's weight, relative to the blend's, is the
    normal probability that it ranks better: 1/2 where nothing is known, near 0 where the blend is far better.
    """
    better = [0.5 * math.erfc(margin_in_standard_errors(blend - ndcg) / math.sqrt(2.0)) for ndcg in baselines]
    weights = np.array([1.0, *better])
    total: FloatArray = weights / weights.sum()
    return total


def shares_without_own(blend: FloatArray, baselines: FloatArray) -> FloatArray:
    """`shares` for each target, from the other targets: (baselines + 1, targets)."""
    found = np.empty((len(baselines) + 1, len(blend)))
    for i in range(len(blend)):
        found[:, i] = shares(np.delete(blend, i), np.delete(baselines, i, axis=1))
    return found
