"""Does a transfer say anything about the reverse transfer? T(A -> B) compared with T(B -> A).

Finding of the paper (arXiv:2305.13256, section 3): commutativity often does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from taskweb.metrics import correlation
from taskweb.web.analysis.estimate import (
    FEWEST_TASKS,
    RESAMPLES,
    Estimate,
    estimates_of,
    pair_means,
    plain_result,
    ranked,
    task_draws,
    weighted_correlations,
)
from taskweb.web.analysis.nulls import SIGNIFICANT, additive_fit, one_sided_p
from taskweb.web.analysis.square import square_of
from taskweb.web.arrays import BoolArray, FloatArray, nan_mean, ratio
from taskweb.web.transfer_web import ALL_SETUPS, TransferWeb

STRONG = 0.5  # the least correlation at which transfers are said to commute largely
_MOST_NAMED = 12  # tasks in a note
_RISKY = 1e-4  # of the largest product of deviations: below, sums of squares may nearly cancel


@dataclass(frozen=True, slots=True)
class SetupCommutativity:
    """One setup, or T averaged over setups (`all`).

    pairs: unordered pairs measured in both directions. pearson, spearman: correlation of T(A -> B) with T(B -> A), each pair
    entered in both directions, so neither is preferred. pearson_p, spearman_p: one-sided, against random relabelling of the
    tasks of the reverse transfer. residual: Pearson correlation after the means of each source and target are removed.
    opposite: share of pairs with gain in one direction and harm in the other; opposite_by_chance: its mean when relabelled.
    """

    setup: str
    pairs: int
    pearson: Estimate
    pearson_p: float
    spearman: Estimate
    spearman_p: float
    residual: Estimate
    residual_p: float
    opposite: Estimate
    opposite_by_chance: float


@dataclass(frozen=True, slots=True)
class Commutativity:
    """Commutativity of a web: one row per setup, then T averaged over setups.

    Intervals are 95% bootstrap intervals over tasks. Noise in T lowers the correlation, so with few seeds a low one is weak
    evidence against commutativity.
    """

    rows: tuple[SetupCommutativity, ...]
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> SetupCommutativity:
        """The row of T averaged over setups."""
        return self.rows[-1]

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        row = self.mean
        if not row.pearson.known:
            return "Whether transfers commute is unknown: too few pairs were measured in both directions, or they do not vary."
        figures = f"T(A→B) and T(B→A) correlate at {row.pearson.value:+.2f}"
        if np.isfinite(row.pearson.low):
            figures += f" ({row.pearson.low:+.2f} to {row.pearson.high:+.2f})"
        figures += f", and {100 * row.opposite.value:.0f}% of pairs help in one direction and harm in the other"
        if row.residual_p < SIGNIFICANT and not row.pearson_p < SIGNIFICANT:
            figures += f"; without the strengths of single tasks, it is {row.residual.value:+.2f}"
        if row.pearson.value >= STRONG and row.pearson_p < SIGNIFICANT:
            return f"Transfers largely commute: {figures}."
        if row.pearson_p < SIGNIFICANT:
            return f"Transfers commute weakly: {figures}."
        return f"Transfers do not commute: {figures}."

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return plain_result(self)


def commutativity(
    web: TransferWeb, seed: int = 0, *, resamples: int = RESAMPLES, permutations: int = RESAMPLES
) -> Commutativity:
    """Compare every transfer with the reverse transfer."""
    square = square_of(web)
    both_ways = np.isfinite(square.t) & np.isfinite(square.t.swapaxes(1, 2))
    used = np.flatnonzero(both_ways.any(axis=(0, 1)))
    stack = np.concatenate([square.t, square.mean[None]])[:, used][:, :, used]
    draws = task_draws(len(used), resamples=resamples, seed=seed)
    notes = list(square.notes)
    never = [task for i, task in enumerate(square.tasks) if i not in set(used.tolist())]
    if never:
        named = [*never[:_MOST_NAMED], f"{len(never) - _MOST_NAMED:,} more"] if len(never) > _MOST_NAMED else never
        notes.append(f"left out, as never measured in both directions: {', '.join(named)}")
    if len(used) < FEWEST_TASKS:
        notes.append(f"no intervals: they need {FEWEST_TASKS} tasks measured in both directions")
    by_chance = _relabelled(stack, seed, permutations if len(used) >= FEWEST_TASKS else 0)
    names = (*square.setups, ALL_SETUPS)
    rows = [
        _row(name, t, draws, {key: drawn[i] for key, drawn in by_chance.items()})
        for i, (name, t) in enumerate(zip(names, stack, strict=True))
    ]
    return Commutativity(tuple(rows), tuple(notes))


def _row(name: str, t: FloatArray, draws: FloatArray, by_chance: dict[str, FloatArray]) -> SetupCommutativity:
    back = t.T
    a, b = np.nonzero(np.isfinite(t) & np.isfinite(back))
    once = np.ones((1, len(t)))
    rest = t - additive_fit(t)

    def estimate(matrix: FloatArray, *, ranks: bool = False) -> Estimate:
        x, y = matrix[a, b], matrix[b, a]
        value = weighted_correlations(x, y, once, (a, b), ranks=ranks)
        return estimates_of(value, weighted_correlations(x, y, draws, (a, b), ranks=ranks)[:, None])[0]

    pearson, spearman, residual = estimate(t), estimate(t, ranks=True), estimate(rest)
    opposite = np.where(np.isfinite(t) & np.isfinite(back), (np.sign(t) * np.sign(back) < 0).astype(float), np.nan)
    return SetupCommutativity(
        name,
        len(a) // 2,
        pearson,
        one_sided_p(pearson.value, by_chance["pearson"]),
        spearman,
        one_sided_p(spearman.value, by_chance["spearman"]),
        residual,
        one_sided_p(residual.value, by_chance["residual"]),
        pair_means([opposite], draws)[0],
        float(nan_mean(by_chance["opposite"], axis=0)),
    )


def _relabelled(stack: FloatArray, seed: int, permutations: int) -> dict[str, FloatArray]:
    """The figures when the tasks of the reverse transfer are relabelled at random: name -> (rows, permutations)."""
    stream = np.random.default_rng(seed)
    matrices = {
        "pearson": stack,
        "spearman": np.array([ranked(t) for t in stack]),
        "residual": np.array([t - additive_fit(t) for t in stack]),
    }
    there = _parts(stack, matrices)
    back = _parts(stack.swapaxes(1, 2), {name: matrix.swapaxes(1, 2) for name, matrix in matrices.items()})
    drawn = {name: np.full((len(stack), permutations), np.nan) for name in (*matrices, "opposite")}
    sums, changing = there @ back.swapaxes(1, 2), np.arange(there.shape[1])
    if (np.isfinite(stack) == ~np.eye(stack.shape[1], dtype=bool)).all():  # what is known stays where it is
        changing = np.array([1, 2, *range(3, there.shape[1], 2)])
    there, back, at_pairs = there[:, changing], back[:, changing], (slice(None), changing[:, None], changing)
    for k in range(permutations):
        order = stream.permutation(stack.shape[1])
        moved = back.take((order[:, None] * len(order) + order).ravel(), axis=-1)
        sums[at_pairs] = there @ moved.swapaxes(1, 2)
        count = sums[:, 0, 0]
        drawn["opposite"][:, k] = ratio((sums[:, 2, 2] - sums[:, 1, 1]) / 2, count)
        for at, (name, matrix) in zip(range(3, sums.shape[1], 2), matrices.items(), strict=True):
            found, risky = _correlations(sums, at)
            for row in np.flatnonzero(risky).tolist():
                found[row] = correlation(matrix[row].ravel(), matrix[row].T[order][:, order].ravel())
            drawn[name][:, k] = found
    return drawn


def _parts(stack: FloatArray, matrices: Mapping[str, FloatArray]) -> FloatArray:
    """What sums over pairs are made of: (rows, parts, pairs), 0 where T is not known.

    The parts: whether it is known, its sign, whether it has one, and of each matrix the deviations from the mean and their
    squares, both in units of the largest deviation.
    """
    known = np.isfinite(stack)
    signs = np.where(known, np.sign(stack), 0.0)
    parts = [known.astype(float), signs, np.abs(signs)]
    for matrix in matrices.values():
        mean = nan_mean(matrix.reshape(len(matrix), -1), axis=1)[:, None, None]
        deviation = np.where(known, matrix - mean, 0.0)
        largest = np.abs(deviation).max(axis=(1, 2), keepdims=True, initial=0.0)
        deviation /= np.where(largest > 0, largest, 1.0)
        parts += [deviation, np.square(deviation)]
    return np.stack(parts, axis=1).reshape(len(stack), len(parts), -1)


def _correlations(sums: FloatArray, at: int) -> tuple[FloatArray, BoolArray]:
    """Pearson's correlation of the part `at` with its reverse in each row, and whether its rounding errors may count."""
    count = np.maximum(sums[:, 0, 0], 1.0)
    x, y = sums[:, at, 0] / count, sums[:, 0, at] / count
    one, other = sums[:, at + 1, 0] / count - x * x, sums[:, 0, at + 1] / count - y * y
    scale = np.sqrt(one.clip(0.0)) * np.sqrt(other.clip(0.0))
    risky: BoolArray = scale < _RISKY
    return ratio(sums[:, at, at] / count - x * y, np.where(risky, 0.0, scale)), risky
