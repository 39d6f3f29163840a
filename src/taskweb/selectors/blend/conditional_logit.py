"""Weights of plain evidence, fitted to the true order of sources for the targets of a web.

A conditional logit model (ListNet; Cao et al., 2007): the softmax of the scores of one target in one setup is fitted to shares
that fall with the true rank of a source, somewhat more slowly than the gains of NDCG. A ridge penalty pulls the weights to 0,
so that with few targets they are small and point in the direction of plain correlations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from taskweb.selectors.base import FloatArray
from taskweb.selectors.blend.standardise import falling_by_rank

RIDGE = 10.0
FALL = 0.6  # halvings per rank
_STEPS, _CLOSE = 50, 1e-8


@dataclass(frozen=True, eq=False)
class Fit:
    """weights: (features,). without_own: the weights fitted without each target, (targets, features)."""

    weights: FloatArray = field(repr=False)
    without_own: FloatArray = field(repr=False)


def fit(features: FloatArray, truth: FloatArray, judged: npt.NDArray[np.bool_]) -> Fit:
    """Fit the weights of features to the order of sources, and again without each target.

    features: (targets, setups, sources, features). truth: T, (targets, setups, sources), NaN = not measured. judged: which
    orders count, (targets, setups). The weights without a target are one Newton step from those of all targets: exact up to
    terms of second order.
    """
    targets, setups, sources, count = features.shape
    known = (np.isfinite(truth) & judged[..., None]).reshape(targets * setups, sources)
    rows = np.where(known[..., None], features.reshape(targets * setups, sources, count), 0.0)
    wanted = _wanted_shares(truth.reshape(known.shape), known)
    weights = np.zeros(count)
    loss, gradients, hessians = _loss(rows, known, wanted, weights)
    for _ in range(_STEPS):
        step = np.linalg.solve(hessians.sum(axis=0) + RIDGE * np.eye(count), gradients.sum(axis=0) + RIDGE * weights)
        if np.abs(step).max(initial=0.0) < _CLOSE:
            break
        size = 1.0
        while size > _CLOSE:  # the loss is convex, but a whole step may go too far
            tried = _loss(rows, known, wanted, weights - size * step)
            if tried[0] <= loss:
                break
            size /= 2
        else:
            break
        weights = weights - size * step
        loss, gradients, hessians = tried
    own_gradient = gradients.reshape(targets, setups, count).sum(axis=1)
    own_hessian = hessians.reshape(targets, setups, count, count).sum(axis=1)
    remaining = hessians.sum(axis=0) + RIDGE * np.eye(count) - own_hessian
    return Fit(weights, weights + np.linalg.solve(remaining, own_gradient[..., None])[..., 0])


def _wanted_shares(truth: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    """The share that the softmax of a row should give to each source, by its rank; sums to 1, or to 0 for an unknown row."""
    share = np.nan_to_num(falling_by_rank(np.where(known, truth, np.nan), FALL))
    total = share.sum(axis=-1, keepdims=True)
    return np.asarray(share / np.where(total > 0, total, 1.0))


def _loss(
    rows: FloatArray, known: npt.NDArray[np.bool_], wanted: FloatArray, weights: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """The loss with its ridge; without the ridge, the gradient (rows, features) and Hessian (rows, features, features)."""
    logits = np.where(known, rows @ weights, -np.inf)
    logits -= np.maximum(logits.max(axis=-1, keepdims=True, initial=-np.inf), -1e300)
    predicted = np.where(known, np.exp(logits), 0.0)
    total = predicted.sum(axis=-1, keepdims=True)
    predicted /= np.where(total > 0, total, 1.0)
    entropy = -(wanted * np.where(known, logits, 0.0)).sum() + np.log(total[total > 0]).sum()
    mean = np.einsum("nsf,ns->nf", rows, predicted)
    gradient = mean - np.einsum("nsf,ns->nf", rows, wanted)
    hessian = np.swapaxes(rows, 1, 2) @ (rows * predicted[..., None]) - mean[:, :, None] * mean[:, None, :]
    return float(entropy + 0.5 * RIDGE * weights @ weights), gradient, hessian
