"""Weights of plain evidence, fitted to which sources turned out best for the targets of a web.

A conditional logit model (ListNet; Cao et al., 2007): the scores of one target in one setup, through a softmax, are to come
near the shares that its sources deserve by their true order, which fall with rank somewhat more slowly than what NDCG rewards.
The weights are drawn to 0 by a ridge, so that a few targets leave them small and in the direction of plain correlations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.standard import falling_by_rank

RIDGE = 10.0
FALL = 0.6  # halvings per rank
_STEPS, _CLOSE = 50, 1e-8


@dataclass(frozen=True, eq=False)
class Fit:
    """weights: (features,). without_own: those fitted without each target, (targets, features)."""

    weights: FloatArray = field(repr=False)
    without_own: FloatArray = field(repr=False)


def fit(features: FloatArray, truth: FloatArray, judged: npt.NDArray[np.bool_]) -> Fit:
    """Fit the weights of features to the order of sources, and again without each target.

    features: (targets, setups, sources, features). truth: T, (targets, setups, sources), NaN = not measured. judged: which
    orders count, (targets, setups). Without a target the weights are one Newton step from those of all, which is where they
    end up but for terms of second order.
    """
    targets, setups, sources, count = features.shape
    known = (np.isfinite(truth) & judged[..., None]).reshape(targets * setups, sources)
    rows = np.where(known[..., None], features.reshape(targets * setups, sources, count), 0.0)
    deserved = _deserved(truth.reshape(known.shape), known)
    weights = np.zeros(count)
    loss, slopes, bends = _loss(rows, known, deserved, weights)
    for _ in range(_STEPS):
        step = np.linalg.solve(bends.sum(axis=0) + RIDGE * np.eye(count), slopes.sum(axis=0) + RIDGE * weights)
        if np.abs(step).max(initial=0.0) < _CLOSE:
            break
        size = 1.0
        while size > _CLOSE:  # the loss is convex, but a whole step may go too far
            tried = _loss(rows, known, deserved, weights - size * step)
            if tried[0] <= loss:
                break
            size /= 2
        else:
            break
        weights = weights - size * step
        loss, slopes, bends = tried
    own_slope = slopes.reshape(targets, setups, count).sum(axis=1)
    own_bend = bends.reshape(targets, setups, count, count).sum(axis=1)
    left = bends.sum(axis=0) + RIDGE * np.eye(count) - own_bend
    return Fit(weights, weights + np.linalg.solve(left, own_slope[..., None])[..., 0])


def _deserved(truth: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    """What share of a row each source deserves by its rank; sums to 1, or to 0 where nothing is known."""
    share = np.nan_to_num(falling_by_rank(np.where(known, truth, np.nan), FALL))
    total = share.sum(axis=-1, keepdims=True)
    return np.asarray(share / np.where(total > 0, total, 1.0))


def _loss(
    rows: FloatArray, known: npt.NDArray[np.bool_], deserved: FloatArray, weights: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """The loss with its ridge; by row, without the ridge, its slope (rows, features) and bend (rows, features, features)."""
    logits = np.where(known, rows @ weights, -np.inf)
    logits -= np.maximum(logits.max(axis=-1, keepdims=True, initial=-np.inf), -1e300)
    said = np.where(known, np.exp(logits), 0.0)
    total = said.sum(axis=-1, keepdims=True)
    said /= np.where(total > 0, total, 1.0)
    entropy = -(deserved * np.where(known, logits, 0.0)).sum() + np.log(total[total > 0]).sum()
    mean = np.einsum("nsf,ns->nf", rows, said)
    slope = mean - np.einsum("nsf,ns->nf", rows, deserved)
    bend = np.swapaxes(rows, 1, 2) @ (rows * said[..., None]) - mean[:, :, None] * mean[:, None, :]
    return float(entropy + 0.5 * RIDGE * weights @ weights), slope, bend
