"""Transfer scores from runs: PC, PM and T per pair, with what the seeds say about their certainty.

Definitions (arXiv:2305.13256, section 2), for one setup, target and source, with x_k the score of seed k after
transfer and b_k the target's own score with the same seed:
PC = mean of (x_k - b_k) / b_k over runs with a score; PM = share of all runs, also those without a score, that gain more
than 1e-8; T = 0.5 PC + 0.5 (0.2 PM - 0.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from taskweb.errors import WebError
from taskweb.metrics import mean_ranks
from taskweb.web.transfer_web import FloatArray, TransferWeb, combined_score

Codes = npt.NDArray[np.int32]
NO_SOURCE = -1  # the source code of a baseline
LEAST_GAIN = 1e-8
_MOST_SPLITS = 35  # all ways to halve 8 seeds


@dataclass(frozen=True, eq=False)
class RunTable:
    """Runs as columns: one row per setup, target, source and seed.

    setup, target, source, seed: codes into `setups`, `targets`, `sources` and any numbering of seeds; a baseline has the
    source NO_SOURCE. score: the mean of the target's metrics, higher = better, NaN for a run without a score.
    gain_score: the score that relative gains are computed from, where it differs (see Task.transfer_metrics).
    """

    setups: tuple[str, ...]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    setup: Codes
    target: Codes
    source: Codes
    seed: Codes
    score: FloatArray
    gain_score: FloatArray | None = None
    hours: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.score)


def score_runs(runs: RunTable, name: str, *, tuning_targets: Sequence[str] = ()) -> TransferWeb:
    """Summarise runs into a web: PC, PM, T, mean raw score, its standard error, seeds, baselines, split-half reliability.

    A run is compared with the baseline of its own seed; where that seed has none, with the mean of the target's
    baselines (stated in `notes`). A setup without any baseline gets z-scores per target as T, and no PC and PM.
    Raises WebError when no run has a score.
    """
    if not np.isfinite(runs.score).any():
        raise WebError(f"The web '{name}' holds no score at all: every value is missing. Check the 'score' column.")
    shape = (len(runs.setups), len(runs.targets), len(runs.sources))
    gain_score = runs.score if runs.gain_score is None else runs.gain_score
    transfer = runs.source != NO_SOURCE
    row = runs.setup.astype(np.int64) * shape[1] + runs.target
    baseline, unpaired = _baseline_of_runs(runs, gain_score, row)
    pair = (row * shape[2] + runs.source)[transfer]
    x, b = gain_score[transfer], baseline[transfer]

    with np.errstate(invalid="ignore", divide="ignore"):
        relative = (x - b) / np.abs(b)
    relative[~np.isfinite(relative)] = np.nan
    runs_of_pair = _count(pair, shape)
    compared = _count(pair[np.isfinite(b)], shape)
    pc = _mean(pair, relative, shape)
    pm = _ratio(_count(pair[x - b > LEAST_GAIN], shape), compared)
    raw = runs.score[transfer]
    mean = _mean(pair, raw, shape)
    n_seeds = _count(pair[np.isfinite(raw)], shape)
    n_seeds[runs_of_pair == 0] = np.nan

    notes = []
    if unpaired:
        notes.append(
            f"{unpaired} runs have no baseline of their own seed and are compared with the mean of their target's baselines"
        )
    has_baseline = np.array([np.isfinite(of_setup).any() for of_setup in pc])
    t = combined_score(pc, pm)
    if not has_baseline.all():
        lacking = [setup for setup, found in zip(runs.setups, has_baseline.tolist(), strict=True) if not found]
        if has_baseline.any():
            notes.append(f"no baseline in {', '.join(lacking)}: no transfer score there")
        else:
            t = _standardised(mean)
            notes.append(
                "no baselines: T is the raw score standardised over the sources of each target; PC and PM are not available"
            )
    own = runs.score[~transfer]
    baseline_mean = _mean(row[~transfer], own, shape[:2])
    return TransferWeb(
        name=name,
        setups=runs.setups,
        targets=runs.targets,
        sources=runs.sources,
        t=t,
        pc=pc if has_baseline.any() else None,
        pm=pm if has_baseline.any() else None,
        score=mean,
        score_se=_standard_error(pair, raw, mean, n_seeds),
        n_seeds=n_seeds,
        baseline=baseline_mean,
        reliability=split_half_reliability(runs, gain_score, baseline),
        hours=None if runs.hours is None else _sum(row, np.nan_to_num(runs.hours), shape[:2]),
        scale="combined" if has_baseline.any() else "zscore",
        tuning_targets=tuple(tuning_targets),
        notes=tuple(notes),
    )


def split_half_reliability(runs: RunTable, gain_score: FloatArray, baseline: FloatArray) -> FloatArray:
    """How far each target's ranking of sources can be trusted: (setups, targets) in [-1, 1], NaN where it cannot be told.

    The seeds of a target are halved in every way (at most 35); for each, T is computed from both halves and the two
    rankings are compared by Spearman correlation; the result is the mean. It speaks of half the seeds, so it understates
    the full set.
    """
    result = np.full((len(runs.setups), len(runs.targets)), np.nan)
    transfer = np.flatnonzero(runs.source != NO_SOURCE)
    key = runs.setup[transfer].astype(np.int64) * len(runs.targets) + runs.target[transfer]
    order = np.argsort(key, kind="stable")
    ends = np.flatnonzero(np.diff(key[order])) + 1
    for rows in np.split(transfer[order], ends):
        if not len(rows):
            continue
        seeds = np.unique(runs.seed[rows])
        if len(seeds) < 2:  # two halves
            continue
        x = np.full((len(seeds), len(runs.sources)), np.nan)
        b = np.full_like(x, np.nan)
        place = np.searchsorted(seeds, runs.seed[rows]), runs.source[rows]
        x[place], b[place] = gain_score[rows], baseline[rows]
        result[runs.setup[rows[0]], runs.target[rows[0]]] = _mean_half_correlation(x, b)
    return result


def _mean_half_correlation(x: FloatArray, b: FloatArray) -> float:
    seeds = len(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = (x - b) / np.abs(b) if np.isfinite(b).any() else x
        wins = np.where(np.isfinite(b), (x - b > LEAST_GAIN).astype(float), np.nan)
    halves = [half for half in combinations(range(seeds), seeds // 2) if seeds % 2 or 0 in half][:_MOST_SPLITS]
    inside = np.zeros((len(halves), seeds))
    inside[np.repeat(np.arange(len(halves)), seeds // 2), np.concatenate(halves)] = 1.0

    def scores(weights: FloatArray) -> FloatArray:
        mean_gain = _ratio(weights @ np.nan_to_num(gain), weights @ np.isfinite(gain))
        if not np.isfinite(b).any():
            return mean_gain
        return combined_score(mean_gain, _ratio(weights @ np.nan_to_num(wins), weights @ np.isfinite(wins)))

    first, second = scores(inside), scores(1.0 - inside)
    values = []
    for one, other in zip(first, second, strict=True):
        both = np.isfinite(one) & np.isfinite(other)
        if both.sum() > 2:  # two points always correlate perfectly
            ranks = mean_ranks(one[both]), mean_ranks(other[both])
            if np.ptp(ranks[0]) > 0 and np.ptp(ranks[1]) > 0:
                values.append(float(np.corrcoef(*ranks)[0, 1]))
    return float(np.mean(values)) if values else float("nan")


def _baseline_of_runs(runs: RunTable, gain_score: FloatArray, row: npt.NDArray[np.int64]) -> tuple[FloatArray, int]:
    """The baseline each run is compared with (NaN where its target has none), and how many runs lack one of their own seed."""
    is_baseline = runs.source == NO_SOURCE
    seeds = int(runs.seed.max()) + 1 if len(runs) else 1
    rows = len(runs.setups) * len(runs.targets)
    known = np.full(rows * seeds, np.nan)
    known[row[is_baseline] * seeds + runs.seed[is_baseline]] = gain_score[is_baseline]
    own = known[row * seeds + runs.seed]
    mean = _mean(row[is_baseline], gain_score[is_baseline], (rows,))[row]
    lacking = np.isnan(own) & np.isfinite(mean) & ~is_baseline
    return np.where(lacking, mean, own), int(lacking.sum())


def _standard_error(pair: npt.NDArray[np.int64], values: FloatArray, mean: FloatArray, n: FloatArray) -> FloatArray:
    squares = _sum(pair, np.nan_to_num(values - mean.ravel()[pair]) ** 2, mean.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)


def _standardised(score: FloatArray) -> FloatArray:
    mean = np.nanmean(score, axis=2, keepdims=True) if np.isfinite(score).any() else score
    deviation = np.sqrt(np.nanmean((score - mean) ** 2, axis=2, keepdims=True))
    return (score - mean) / np.where(deviation > 0, deviation, np.nan)


def _count(index: npt.NDArray[np.int64], shape: Sequence[int]) -> FloatArray:
    return np.bincount(index, minlength=int(np.prod(shape))).astype(float).reshape(shape)


def _sum(index: npt.NDArray[np.int64], values: FloatArray, shape: Sequence[int]) -> FloatArray:
    total: FloatArray = np.bincount(index, weights=values, minlength=int(np.prod(shape))).astype(float, copy=False)
    return total.reshape(shape)


def _mean(index: npt.NDArray[np.int64], values: FloatArray, shape: Sequence[int]) -> FloatArray:
    finite = np.isfinite(values)
    return _ratio(_sum(index[finite], values[finite], shape), _count(index[finite], shape))


def _ratio(numerator: npt.NDArray[np.floating], denominator: npt.NDArray[np.floating]) -> FloatArray:
    ratio: FloatArray = np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=np.asarray(denominator) > 0
    )
    return ratio
