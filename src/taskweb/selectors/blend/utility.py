"""How good scores are, for many targets and setups at once: what recipes are judged by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.standard import standard_rows

BEST = 5
REGRET_WEIGHT = 1 / 3  # beside NDCG, per standard deviation of T


class OrderTruth:
    """True orders of sources, (..., sources), NaN = not measured, prepared for judging many scores of the same shape.

    varies: which rows say anything about an order, (...).
    """

    def __init__(self, truth: FloatArray) -> None:
        self._unmeasured = ~np.isfinite(truth)
        self._gain = np.where(self._unmeasured, 0.0, _gains(truth))
        self._discount = 1.0 / np.log2(np.arange(truth.shape[-1]) + 2.0)
        self._ideal = -np.sort(-self._gain, axis=-1) @ self._discount
        self._value = np.nan_to_num(standard_rows(truth))
        self.varies = (self._value != 0).any(axis=-1)
        count = (~self._unmeasured).sum(axis=-1)
        self._taken = np.clip(count, 1, BEST)
        self._best = self._mean_of_first(np.argsort(np.where(self._unmeasured, np.inf, -self._value), axis=-1))
        self._chance = chance_ndcg(count)

    def judge(self, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        """NDCG, and what the five best by score lack of the mean T of the five truly best, in standard deviations of T.

        scores: finite. Both have the shape of the rows; NaN where nothing was measured, or where the truth does not vary.
        NDCG is that of `metrics.ndcg`, but for ties, which stand in the order given.
        """
        order = np.argsort(np.where(self._unmeasured, np.inf, -scores), axis=-1, kind="stable")
        received = np.take_along_axis(self._gain, order, -1) @ self._discount
        ndcg = np.divide(received, self._ideal, out=np.full(received.shape, np.nan), where=self.varies & (self._ideal > 0))
        return ndcg, np.where(self.varies, self._best - self._mean_of_first(order), np.nan)

    def worth(self, scores: FloatArray) -> FloatArray:
        """NDCG above chance, as a share of what there is above it, less a third of the regret: the shape of the rows.

        Chance has NDCG 0.45 among 21 sources, but 0.70 among six; and of six, five are taken whatever the scores, so that the
        regret hardly counts. A web of any size thus speaks on one scale.
        """
        ndcg, regret = self.judge(scores)
        room = 1.0 - self._chance
        above = np.divide(ndcg - self._chance, room, out=np.full(ndcg.shape, np.nan), where=room > 0)
        return np.asarray(above - REGRET_WEIGHT * regret)

    def _mean_of_first(self, order: npt.NDArray[np.intp]) -> FloatArray:
        mean: FloatArray = np.take_along_axis(self._value, order[..., :BEST], -1).sum(axis=-1) / self._taken
        return mean


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
