"""Webs as they would be if only single tasks mattered, and not which task meets which.

Both keep missing pairs where they are, and move values in the same way in all setups, which share their tasks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from taskweb.web.transfer_web import FloatArray, nan_mean

Draw = Callable[[np.random.Generator], FloatArray]
_MOST_SWEEPS = 200


def popularity_null(t: FloatArray) -> Draw:
    """Webs in which each source keeps its own transfers, but which target receives which is random.

    t: (setups, sources, targets). The result draws arrays of that shape.
    """
    finite = np.isfinite(t)
    slots = np.argsort(~finite, axis=-1, kind="stable")  # measured targets first

    def draw(stream: np.random.Generator) -> FloatArray:
        keys = np.where(finite, stream.random(t.shape[-2:]), np.inf)
        moved = np.take_along_axis(t, np.argsort(keys, axis=-1, kind="stable"), axis=-1)
        out = np.full(t.shape, np.nan)
        np.put_along_axis(out, slots, moved, axis=-1)
        return out

    return draw


def strengths_null(t: FloatArray) -> Draw:
    """Webs that keep the mean of each source, the mean of each target, and how widely each target's transfers spread.

    What an additive fit of source and target leaves over is divided by the target's spread, moved among the targets of its
    source, and multiplied by the spread of where it lands. Means of targets are kept on average over draws.
    """
    fitted = additive_fit(t)
    rest = t - fitted
    spread = np.sqrt(nan_mean(rest**2, axis=-2))[..., None, :]
    move = popularity_null(np.divide(rest, spread, out=np.where(np.isfinite(t), 0.0, np.nan), where=spread > 0))
    return lambda stream: fitted + move(stream) * spread


def additive_fit(t: FloatArray) -> FloatArray:
    """Least-squares fit of T by an effect of the source plus an effect of the target; NaN where T is."""
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
    # An exact fit leaves rounding errors, not a pattern.
    rest[np.abs(rest) <= 1e-10 * float(np.abs(t[finite]).max(initial=0.0))] = 0.0
    return t - rest


BASELINES: dict[str, Callable[[FloatArray], Draw]] = {"popularity": popularity_null, "strengths": strengths_null}


def one_sided_p(observed: float, drawn: FloatArray) -> float:
    """Share of draws at least as large as the observed figure, the observed one counted in; NaN where it cannot be told."""
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(observed) or not len(known):
        return float("nan")
    tolerance = 1e-12 * max(1.0, abs(observed))  # a draw that is the observed web itself is a tie
    return float((1 + (known >= observed - tolerance).sum()) / (1 + len(known)))
