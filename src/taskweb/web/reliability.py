"""Split-half reliability of rankings of sources: the rankings of two halves of the seeds, correlated."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from taskweb.web.arrays import BoolArray, FloatArray, nan_mean, ratio
from taskweb.web.records.run_table import NO_SOURCE, RunTable
from taskweb.web.transfer_web import LEAST_GAIN, combined_score

SCORE_DIGITS = 12  # equal scores may differ beyond these digits, since floats were added in another order
_MOST_SPLITS = 35  # all ways to halve 8 seeds


def split_half_reliability(runs: RunTable, gain_score: FloatArray, baseline: FloatArray) -> FloatArray:
    """Split-half reliability of each target's ranking of sources: (setups, targets) in [-1, 1], NaN where it is unknown.

    The seeds of a target are split into halves in every way, or in 35 random ways where there are more. Each time, T is
    computed from both halves and the Spearman correlation of the two rankings is taken; the result is the mean. It is the
    reliability of half the seeds, and so lower than that of all seeds.
    """
    result = np.full((len(runs.setups), len(runs.targets)), np.nan)
    row = runs.setup.astype(np.int32) * np.int32(len(runs.targets)) + runs.target
    row[runs.source == NO_SOURCE] = -1
    order = np.argsort(row, kind="stable").astype(np.int32)
    ends = np.flatnonzero(np.diff(row[order])) + 1
    for rows in np.split(order, ends):
        if not len(rows) or row[rows[0]] < 0:
            continue
        seeds, seed = np.unique(runs.seed[rows], return_inverse=True)
        if len(seeds) < 2:  # two halves
            continue
        x = np.full((len(seeds), len(runs.sources)), np.nan)
        b = np.full_like(x, np.nan)
        place = seed, runs.source[rows]
        x[place], b[place] = gain_score[rows], baseline[rows]
        result[runs.setup[rows[0]], runs.target[rows[0]]] = _mean_half_correlation(x, b)
    return result


def _halvings(seeds: int) -> FloatArray:
    """Ways to split the seeds, one row each: 1 for seeds of the first half. All ways, or _MOST_SPLITS drawn at random."""
    half = seeds // 2
    ways = math.comb(seeds, half) // (1 if seeds % 2 else 2)
    if ways <= _MOST_SPLITS:
        chosen = [way for way in combinations(range(seeds), half) if seeds % 2 or 0 in way]
    else:
        draw = np.random.default_rng(0)
        chosen = [tuple(draw.permutation(seeds)[:half].tolist()) for _ in range(_MOST_SPLITS)]
    inside = np.zeros((len(chosen), seeds))
    inside[np.repeat(np.arange(len(chosen)), half), np.concatenate(chosen)] = 1.0
    return inside


def _mean_half_correlation(x: FloatArray, b: FloatArray) -> float:
    """x, b: scores with transfer and their baselines, (seeds, sources)."""
    seeds = len(x)
    paired = ~np.isnan(b)
    b = np.where(np.isneginf(b), np.nan, b)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        gain = (x - b) / np.abs(b) if np.isfinite(b).any() else x
        wins = paired & (x - b > LEAST_GAIN)
    inside = _halvings(seeds)
    finite = np.isfinite(gain)
    gain = np.where(finite, gain, 0.0)

    def scores(weights: FloatArray) -> FloatArray:
        mean_gain = ratio(weights @ gain, weights @ finite)
        return combined_score(mean_gain, ratio(weights @ wins, weights @ paired)) if paired.any() else mean_gain

    one, other = scores(inside).round(SCORE_DIGITS), scores(1.0 - inside).round(SCORE_DIGITS)
    both = np.isfinite(one) & np.isfinite(other)
    values = _row_correlations(_row_ranks(one, both), _row_ranks(other, both))
    values = values[both.sum(axis=1) > 2]  # two points always correlate perfectly
    values = values[np.isfinite(values)]
    return float(np.mean(values)) if len(values) else float("nan")


def _row_ranks(values: FloatArray, present: BoolArray) -> FloatArray:
    """Ranks of the present values within each row, ascending, ties at their mean rank; NaN for the others."""
    n, width = values.shape
    order = np.argsort(np.where(present, values, np.inf), axis=1)
    order += np.arange(0, n * width, width)[:, None]
    flat = order.ravel()
    ordered = np.where(present, values, np.inf).ravel()[flat]
    starts = np.empty(n * width, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=starts[1:])
    starts[::width] = True
    first = np.flatnonzero(starts)
    last = np.append(first[1:], n * width) - 1
    ranks = np.empty(n * width)
    ranks[flat] = np.repeat((first + last) / 2 - first // width * width, last - first + 1)
    return np.where(present, ranks.reshape(n, width), np.nan)


def _row_correlations(one: FloatArray, other: FloatArray) -> FloatArray:
    """Pearson correlation of each pair of rows over the values that are not NaN; NaN where a row does not vary."""
    a, b = (np.nan_to_num(values - nan_mean(values, axis=1)[:, None]) for values in (one, other))
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return ratio((a * b).sum(axis=1), scale)
