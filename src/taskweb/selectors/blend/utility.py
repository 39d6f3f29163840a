"""How good scores are, for many targets and setups at once: what recipes are judged by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.standard import standard_rows

BEST = 5


class OrderTruth:
    """True orders of sources, (..., sources), NaN = not measured, prepared for judging many scores of the same shape."""

    def __init__(self, truth: FloatArray) -> None:
        self._unmeasured = ~np.isfinite(truth)
        self._gain = np.where(self._unmeasured, 0.0, _gains(truth))
        self._discount = 1.0 / np.log2(np.arange(truth.shape[-1]) + 2.0)
        self._ideal = -np.sort(-self._gain, axis=-1) @ self._discount
        self._value = np.nan_to_num(standard_rows(truth))
        self._k = min(BEST, max(1, truth.shape[-1] // 2))
        self._best = -np.sort(-self._value, axis=-1)[..., : self._k].sum(axis=-1)

    def judge(self, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        """NDCG, and the standardised truth of the five best by score as a share of what the five truly best have.

        scores: finite. Both have the shape of the rows; NaN where nothing was measured, or where the truth does not vary.
        NDCG is that of `metrics.ndcg`, but for ties, which stand in the order given.
        """
        order = np.argsort(np.where(self._unmeasured, np.inf, -scores), axis=-1, kind="stable")
        received = np.take_along_axis(self._gain, order, -1) @ self._discount
        taken = np.take_along_axis(self._value, order[..., : self._k], -1).sum(axis=-1)
        varies = self._best > 0
        return (
            np.divide(received, self._ideal, out=np.full(received.shape, np.nan), where=varies & (self._ideal > 0)),
            np.divide(taken, self._best, out=np.full(taken.shape, np.nan), where=varies),
        )


class HarmTruth:
    """Which sources harm and which help, (..., sources), prepared for judging many scores of the same shape."""

    def __init__(self, truth: FloatArray) -> None:
        self._harms, self._helps = truth < 0, truth >= 0
        self._ones = self._helps.sum(axis=-1)
        self._pairs = self._ones * self._harms.sum(axis=-1)
        self._known = self._harms | self._helps

    def auc(self, scores: FloatArray) -> FloatArray:
        """How often a source that helps scores above one that harms; NaN where there are not both. Ties stand as given."""
        order = np.argsort(np.where(self._known, scores, np.inf), axis=-1, kind="stable")
        helps = np.take_along_axis(self._helps, order, -1)
        place = (helps * np.arange(1, scores.shape[-1] + 1)).sum(axis=-1)
        won = place - self._ones * (self._ones + 1) / 2
        return np.asarray(np.divide(won, self._pairs, out=np.full(won.shape, np.nan), where=self._pairs > 0))


def chance_ndcg(counts: npt.NDArray[np.intp]) -> FloatArray:
    """The mean NDCG over all orders, for each number of sources; NaN for none."""
    table = np.full(int(counts.max(initial=0)) + 1, np.nan)
    for n in np.unique(counts[counts > 0]).tolist():
        gain, discount = np.exp2(-np.arange(n, dtype=float)) - np.exp2(-float(n)), 1.0 / np.log2(np.arange(n) + 2.0)
        table[n] = gain.mean() * discount.sum() / (gain @ discount)
    return np.asarray(table[counts])


def _gains(truth: FloatArray) -> FloatArray:
    """2^-rank, less what one more would get, so that the last counts next to nothing."""
    measured = np.isfinite(truth)
    order = np.argsort(np.where(measured, -truth, np.inf), axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    gain: FloatArray = np.exp2(-rank.astype(float)) - np.exp2(-measured.sum(axis=-1, keepdims=True).astype(float))
    return gain
