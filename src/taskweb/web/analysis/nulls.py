"""Null models: webs in which only single tasks matter, and not the pairs of source and target.

All leave missing pairs where they are, and permute values in the same way in all setups, which share their tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from taskweb.web.arrays import FloatArray, nan_mean

Draw = Callable[[np.random.Generator], FloatArray]
Keys = Callable[[np.random.Generator], FloatArray]
_MOST_SWEEPS = 200


def popularity_null(t: FloatArray, keys: Keys | None = None) -> Draw:
    """Webs in which the transfers of each source are the measured ones, but are assigned to targets at random.

    t: (setups, sources, targets). The result draws arrays of that shape. keys: draws the numbers (sources, targets) by which
    the targets of a source are ordered, where they are part of a larger draw.
    """
    finite = np.isfinite(t)
    patterns = finite[:1] if (finite == finite[:1]).all() else finite  # one order does for setups that measured the same
    slots = np.argsort(~patterns, axis=-1, kind="stable")  # measured targets first
    values = t.reshape(len(t), t.shape[-2] * t.shape[-1])
    rows = np.arange(t.shape[-2])[:, None] * t.shape[-1]
    places = (slots + rows).reshape(len(patterns), values.shape[1])

    def draw(stream: np.random.Generator) -> FloatArray:
        drawn = stream.random(t.shape[-2:]) if keys is None else keys(stream)
        order = np.argsort(np.where(patterns, drawn, np.inf), axis=-1)
        origin = np.empty_like(places)
        np.put_along_axis(origin, places, (order + rows).reshape(places.shape), axis=-1)
        moved = values[:, origin[0]] if len(origin) == 1 else np.take_along_axis(values, origin, axis=-1)
        return moved.reshape(t.shape)

    return draw


def strengths_null(t: FloatArray, keys: Keys | None = None) -> Draw:
    """Webs in which T is an effect of the source plus an effect of the target plus noise of the target's own size.

    The residuals of an additive fit of source and target are divided by their spread in the target, permuted among the targets
    of their source, and multiplied by the spread of the new target. Averaged over draws, the means of targets are unchanged.
    """
    fitted = additive_fit(t)
    rest = t - fitted
    spread = _size(rest)
    move = popularity_null(_divided(rest, spread), keys)
    return lambda stream: fitted + spread * move(stream)


def sensitivity_null(t: FloatArray, keys: Keys | None = None) -> Draw:
    """The same, but the effect of the source is also proportional to the spread of T in the target.

    T is standardised per target before the additive fit, and scaled back after the draw. Averaged over draws, the means and
    spreads of targets are unchanged.
    """
    mean = nan_mean(t, axis=-2)[..., None, :]
    spread = _size(t - mean)
    standard = _divided(t - mean, spread)
    fitted = additive_fit(standard)
    move = popularity_null(standard - fitted, keys)
    return lambda stream: mean + spread * (fitted + move(stream))


def additive_fit(t: FloatArray) -> FloatArray:
    """Least-squares fit of T by an effect of the source plus an effect of the target; NaN where T is NaN."""
    finite = np.isfinite(t)
    rest = t.copy()
    for _ in range(_MOST_SWEEPS):
        by_source = np.nan_to_num(nan_mean(rest, axis=-1))[..., :, None]
        rest = rest - by_source
        by_target = np.nan_to_num(nan_mean(rest, axis=-2))[..., None, :]
        rest = rest - by_target
        largest = max(float(np.abs(by_source).max(initial=0.0)), float(np.abs(by_target).max(initial=0.0)))
        if largest <= 1e-12 * float(np.abs(t[finite]).max(initial=0.0)):
            break
    # Residuals of an exact fit are rounding errors, not a pattern.
    rest[np.abs(rest) <= 1e-10 * float(np.abs(t[finite]).max(initial=0.0))] = 0.0
    return t - rest


class NullModel(Protocol):
    """A null model of T: it draws webs that have its shape."""

    def __call__(self, t: FloatArray, keys: Keys | None = None) -> Draw:
        """t: (setups, sources, targets). keys: see `popularity_null`."""


SIGNIFICANT = 0.05
POPULARITY = "popularity"
NULL_MODELS: dict[str, NullModel] = {
    POPULARITY: popularity_null,
    "strengths": strengths_null,
    "sensitivity": sensitivity_null,
}


def one_sided_p(observed: float, drawn: FloatArray) -> float:
    """Share of draws at least as large as the observed figure, counting the observed one; NaN where it is unknown."""
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(observed) or not len(known):
        return float("nan")
    tolerance = 1e-12 * max(1.0, abs(observed))  # a draw equal to the observed web is a tie
    return float((1 + (known >= observed - tolerance).sum()) / (1 + len(known)))


def _size(values: FloatArray) -> FloatArray:
    """Root mean square over the sources of each target: (..., 1, targets)."""
    size: FloatArray = np.sqrt(nan_mean(values**2, axis=-2))[..., None, :]
    return size


def _divided(values: FloatArray, size: FloatArray) -> FloatArray:
    """Values divided by their size; 0 where all are 0, NaN where they are NaN."""
    return np.divide(values, size, out=np.where(np.isfinite(values), 0.0, np.nan), where=size > 0)
