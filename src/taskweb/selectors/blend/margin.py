"""By how much one way of ranking leads another, and what that makes baselines count beside the blend."""

from __future__ import annotations

import math

import numpy as np

from taskweb.selectors.base import FloatArray

_TYPICAL_SPREAD, _TYPICAL_TARGETS = 0.2, 5.0  # of NDCG over targets, and how many targets that guess is worth


def standard_errors(lead: FloatArray) -> float:
    """The mean of a lead over targets in standard errors, to which a few typical targets add; NaN = not judged."""
    known = lead[np.isfinite(lead)]
    n = len(known)
    if n == 0:
        return 0.0
    squares = float(((known - known.mean()) ** 2).sum()) + _TYPICAL_TARGETS * _TYPICAL_SPREAD**2
    return float(known.mean() / math.sqrt(squares / (n - 1 + _TYPICAL_TARGETS) / n))


def shares(blend: FloatArray, baselines: FloatArray) -> FloatArray:
    """What the blend counts, then each baseline: (baselines + 1,), sums to 1.

    blend: NDCG by target; baselines: that of each, (baselines, targets). One counts in proportion to the normal probability
    that it ranks better than the blend: half as much as the blend where nothing is known, nothing where the blend is far ahead.
    """
    behind = [0.5 * math.erfc(standard_errors(blend - ndcg) / math.sqrt(2.0)) for ndcg in baselines]
    weights = np.array([1.0, *behind])
    total: FloatArray = weights / weights.sum()
    return total


def shares_without_own(blend: FloatArray, baselines: FloatArray) -> FloatArray:
    """`shares` for each target, by the other targets: (baselines + 1, targets)."""
    found = np.empty((len(baselines) + 1, len(blend)))
    for i in range(len(blend)):
        found[:, i] = shares(np.delete(blend, i), np.delete(baselines, i, axis=1))
    return found
