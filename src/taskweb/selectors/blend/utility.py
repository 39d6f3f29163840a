"""How good scores are, for many targets and setups at once: the utilities that ensemble members are judged by."""

from __future__ import annotations

import numpy as np

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.standardise import ranks_of_sorted, runs_of_sorted, standardised_rows

BEST = 5
REGRET_WEIGHT = 1 / 3  # beside NDCG, per standard deviation of T


class OrderTruth:
    """True orders of sources, (..., sources), NaN = not measured, prepared to judge many scores of the same shape.

    varies: which rows have an order, that is, not all values equal, (...). chance: the mean NDCG over all orders, (...), NaN
    where nothing was measured. Sources tied in truth share the gains of their ranks, and sources with equal scores share the
    discounts of their places, so that no figure depends on the names of sources.
    """

    def __init__(self, truth: FloatArray) -> None:
        self._unmeasured = ~np.isfinite(truth)
        self._gain = np.where(self._unmeasured, 0.0, _gains(truth))
        self._value = np.nan_to_num(standardised_rows(truth))
        self.varies = (self._value != 0).any(axis=-1)
        count = (~self._unmeasured).sum(axis=-1)
        self._taken = np.clip(count, 1, BEST)
        places = np.arange(truth.shape[-1])
        discount, best = 1.0 / np.log2(places + 2.0), (places < BEST).astype(float)
        self._place_values = np.stack([discount, best], axis=-1)
        by_rank, last = np.exp2(-places.astype(float)), np.maximum(count, 1) - 1
        rest = np.exp2(-count.astype(float))  # the gain of a source after the last, which is subtracted from all
        discounts = np.cumsum(discount)[last]
        self._ideal = np.cumsum(by_rank * discount)[last] - rest * discounts
        self._best = self._received(np.where(self._unmeasured, np.inf, -self._value))[1] / self._taken
        by_chance = (np.cumsum(by_rank)[last] / (last + 1) - rest) * discounts
        self.chance = np.divide(by_chance, self._ideal, out=np.full(count.shape, np.nan), where=count > 0)

    def ndcg_and_regret(self, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        """NDCG as `metrics.ndcg` defines it, and the regret of the first five sources in standard deviations of T.

        The regret is the mean T of the five truly best less that of the five best by score. scores: finite. Both have the shape
        of the rows; NaN where nothing was measured, or where the truth does not vary.
        """
        gain, value = self._received(np.where(self._unmeasured, np.inf, -scores))
        ndcg = np.divide(gain, self._ideal, out=np.full(gain.shape, np.nan), where=self.varies)
        return ndcg, np.where(self.varies, self._best - value / self._taken, np.nan)

    def _received(self, descending: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The discounted gain of an order, and the sum of the values of its first five."""
        order = np.argsort(descending, axis=-1, kind="stable")
        places = _shared(np.take_along_axis(descending, order, -1), self._place_values)
        gain = (np.take_along_axis(self._gain, order, -1) * places[..., 0]).sum(axis=-1)
        return gain, (np.take_along_axis(self._value, order, -1) * places[..., 1]).sum(axis=-1)

    def utility(self, scores: FloatArray) -> FloatArray:
        """NDCG rescaled so that chance is 0 and the best 1, less a third of the regret: the shape of the rows.

        Chance has NDCG 0.45 among 21 sources, but 0.70 among six; and the first five of six are nearly all sources, so that
        the regret is small. The rescaling makes webs of different sizes comparable.
        """
        ndcg, regret = self.ndcg_and_regret(scores)
        room = 1.0 - self.chance
        above = np.divide(ndcg - self.chance, room, out=np.full(ndcg.shape, np.nan), where=room > 0)
        return np.asarray(above - REGRET_WEIGHT * regret)


class HarmTruth:
    """Which sources harm and which help, (..., sources), prepared to judge many scores of the same shape."""

    def __init__(self, truth: FloatArray) -> None:
        self._harms, self._helps = truth < 0, truth >= 0
        self._ones = self._helps.sum(axis=-1)
        self._pairs = self._ones * self._harms.sum(axis=-1)
        self._known = self._harms | self._helps

    def auc(self, scores: FloatArray) -> FloatArray:
        """How often a source that helps scores above one that harms, ties counting half; NaN unless there are both."""
        ascending = np.where(self._known, scores, np.inf)
        order = np.argsort(ascending, axis=-1, kind="stable")
        helps = np.take_along_axis(self._helps, order, -1)
        place = (helps * (ranks_of_sorted(np.take_along_axis(ascending, order, -1)) + 1.0)).sum(axis=-1)
        won = place - self._ones * (self._ones + 1) / 2
        return np.asarray(np.divide(won, self._pairs, out=np.full(won.shape, np.nan), where=self._pairs > 0))


def _gains(truth: FloatArray) -> FloatArray:
    """2^-rank, less that of a source after the last, so that the last counts almost nothing; ties share the mean of theirs."""
    measured = np.isfinite(truth)
    descending = np.where(measured, -truth, np.inf)
    order = np.argsort(descending, axis=-1, kind="stable")
    by_rank = np.exp2(-np.arange(truth.shape[-1], dtype=float))[:, None]
    shared = _shared(np.take_along_axis(descending, order, -1), by_rank)[..., 0]
    gain = np.empty(truth.shape)
    np.put_along_axis(gain, order, shared, -1)
    return np.asarray(gain - np.exp2(-measured.sum(axis=-1, keepdims=True).astype(float)))


def _shared(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """The value of each place, (places, kinds), shared by equal values of sorted rows: (..., places, kinds)."""
    first, last = runs_of_sorted(ordered)
    if (first == last).all():
        return np.broadcast_to(values, (*ordered.shape, values.shape[-1]))
    up_to = np.concatenate([np.zeros((1, values.shape[-1])), np.cumsum(values, axis=0)])
    return np.asarray((up_to[last + 1] - up_to[first]) / (last - first + 1)[..., None])
