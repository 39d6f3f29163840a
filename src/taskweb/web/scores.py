"""Transfer scores from runs: PC, PM and T of each pair, with their uncertainty over seeds.

Definitions (arXiv:2305.13256, section 2), for one setup, target and source, with x_k the score of seed k after
transfer and b_k the target's own score with the same seed:
PC = mean of (x_k - b_k) / |b_k| over runs with a score. The paper divides by b_k, which is the same for its scores above 0;
|b_k| keeps the sign of a gain for scores below 0, too. PM = share of all runs, also those without a score, that gain more
than 1e-8; T = 0.5 PC + 0.5 (0.2 PM - 0.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taskweb.errors import WebError
from taskweb.web.arrays import BoolArray, FloatArray, nan_mean, ratio
from taskweb.web.records.run_table import NO_SOURCE, RunTable
from taskweb.web.reliability import SCORE_DIGITS, split_half_reliability
from taskweb.web.transfer_web import LEAST_GAIN, TransferWeb, combined_score

_NOISE = 10.0**-SCORE_DIGITS
_TARGETS_NAMED = 8
_NO_BASELINE = "no baseline other than zero"

Index = npt.NDArray[np.int64]


def score_runs(runs: RunTable, name: str, *, tuning_targets: Sequence[str] = ()) -> TransferWeb:
    """Summarise runs into a web: PC, PM, T, mean raw score, its standard error, seeds, baselines, split-half reliability.

    A run is compared with the baseline of its own seed; where that seed has none, with the mean of the target's
    baselines (stated in `notes`). Without any baseline other than zero, T is a z-score per target, and there are no PC and
    PM; a single setup without such baselines has no T. Raises WebError where no run has a score, or a score is infinite.
    """
    _require_scores(runs, name)
    shape = (len(runs.setups), len(runs.targets), len(runs.sources))
    gain_score = runs.score if runs.gain_score is None else runs.gain_score
    transfer = runs.source != NO_SOURCE
    row = runs.setup.astype(np.int64) * shape[1] + runs.target
    baseline, unpaired = _paired_baselines(runs, gain_score, row)
    reliability = split_half_reliability(runs, gain_score, baseline)
    hours = None if runs.hours is None else _sum(row, np.nan_to_num(runs.hours), shape[:2])
    target_baseline = _mean(row[~transfer], runs.score[~transfer], shape[:2])
    pair = row[transfer]
    del row  # a web of millions of runs must fit into a laptop's memory
    pair *= shape[2]
    pair += runs.source[transfer]
    gains = _gains(pair, gain_score[transfer], baseline[transfer], shape)
    del baseline
    raw = _raw_scores(pair, runs.score[transfer], shape)
    has_gain = np.array([np.isfinite(of_setup).any() for of_setup in gains.pc])
    comparable = bool(has_gain.any())
    return TransferWeb(
        name=name,
        setups=runs.setups,
        targets=runs.targets,
        sources=runs.sources,
        t=combined_score(gains.pc, gains.pm) if comparable else _standardised(raw.mean),
        pc=gains.pc if comparable else None,
        pm=gains.pm if comparable else None,
        pc_se=gains.pc_se if comparable else None,
        sign_p=gains.sign_p if comparable else None,
        score=raw.mean,
        score_se=raw.se,
        n_seeds=raw.n_seeds,
        baseline=target_baseline,
        reliability=reliability,
        hours=hours,
        scale="combined" if comparable else "zscore",
        tuning_targets=tuple(tuning_targets),
        notes=(
            *_notes_on_seeds(unpaired),
            *_notes_on_setups(runs.setups, has_gain, any_baseline=bool(np.isfinite(target_baseline).any())),
            *_notes_on_targets(runs, has_gain, gains.pc, raw.mean),
        ),
    )


def _require_scores(runs: RunTable, name: str) -> None:
    if np.isinf(runs.score).any():
        raise WebError(f"The web '{name}' contains an infinite score. Leave the score of a run that failed empty.")
    if not np.isfinite(runs.score).any():
        raise WebError(
            f"The web '{name}' contains no score: every value is missing. Check the 'score' column, and "
            "that every run of a target has the same metrics."
        )


def _notes_on_seeds(unpaired: int) -> list[str]:
    if not unpaired:
        return []
    return [f"{unpaired} runs have no baseline of their own seed and are compared with the mean of their target's baselines"]


def _notes_on_setups(setups: Sequence[str], has_gain: BoolArray, *, any_baseline: bool) -> list[str]:
    """A note on the setups without a transfer score, where there are any."""
    if not has_gain.any():
        what = _NO_BASELINE if any_baseline else "no baselines"
        return [f"{what}: T is the raw score standardised over the sources of each target; PC and PM are not available"]
    lacking = [setup for setup, found in zip(setups, has_gain.tolist(), strict=True) if not found]
    return [f"{_NO_BASELINE} in {', '.join(lacking)}: no transfer score there"] if lacking else []


def _notes_on_targets(runs: RunTable, has_gain: BoolArray, pc: FloatArray, mean: FloatArray) -> list[str]:
    """A note for each setup that has gains, on targets that were measured but have none."""
    notes = []
    for setup in np.flatnonzero(has_gain).tolist():
        without = np.isfinite(mean[setup]).any(axis=-1) & ~np.isfinite(pc[setup]).any(axis=-1)
        if without.any():
            lacking = [runs.targets[i] for i in np.flatnonzero(without).tolist()]
            more = len(lacking) - _TARGETS_NAMED
            listed = ", ".join(lacking[:_TARGETS_NAMED]) + (f" and {more} more" if more > 0 else "")
            notes.append(f"{_NO_BASELINE} for {listed} in {runs.setups[setup]}: no transfer score there")
    return notes


@dataclass(frozen=True, slots=True)
class _RawScores:
    """Raw scores of each pair over its seeds: mean, standard error, runs with a score (NaN without any run)."""

    mean: FloatArray
    se: FloatArray
    n_seeds: FloatArray


def _raw_scores(pair: Index, score: FloatArray, shape: tuple[int, ...]) -> _RawScores:
    mean = _mean(pair, score, shape)
    n_seeds = _count(pair[np.isfinite(score)], shape)
    se = _standard_error(pair, score, mean, n_seeds)
    n_seeds[_count(pair, shape) == 0] = np.nan
    return _RawScores(mean, se, n_seeds)


@dataclass(frozen=True, slots=True)
class _Gains:
    """The gain of each pair over its seeds; fields as in TransferWeb."""

    pc: FloatArray
    pm: FloatArray
    pc_se: FloatArray
    sign_p: FloatArray


def _gains(pair: Index, x: FloatArray, b: FloatArray, shape: tuple[int, ...]) -> _Gains:
    """Gains of each pair from the scores x with transfer and b without."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        gain = np.where(np.isneginf(b), np.nan, x - b)
        wins, losses = _count(pair[gain > LEAST_GAIN], shape), _count(pair[gain < -LEAST_GAIN], shape)
        pm = ratio(wins, _count(pair[~np.isnan(b)], shape))
        gain /= np.abs(b)
    gain[~np.isfinite(gain)] = np.nan
    pc = _mean(pair, gain, shape)
    se = _standard_error(pair, gain, pc, _count(pair[~np.isnan(gain)], shape))
    return _Gains(pc, pm, se, _sign_test(wins, losses))


def _sign_test(wins: FloatArray, losses: FloatArray) -> FloatArray:
    """Two-sided p-value of the sign test for each pair; NaN where all seeds tie or there are none."""
    p = np.full(wins.shape, np.nan)
    for total in np.unique(wins + losses).astype(int).tolist():
        if total:
            at = wins + losses == total
            tail = np.cumsum([math.comb(total, k) for k in range(total + 1)], dtype=float) / 2.0**total
            p[at] = np.minimum(1.0, 2.0 * tail[np.minimum(wins, losses)[at].astype(int)])
    return p


def _paired_baselines(runs: RunTable, gain_score: FloatArray, row: Index) -> tuple[FloatArray, int]:
    """The baseline that each run is compared with, and the number of runs without one of their own seed.

    NaN where the target has no baseline. Minus infinity where the baseline of the run's own seed has no score: that run
    has no gain, but counts as a seed.
    """
    is_baseline = runs.source == NO_SOURCE
    seeds = int(runs.seed.max()) + 1 if len(runs) else 1
    rows = len(runs.setups) * len(runs.targets)
    known = np.full(rows * seeds, np.nan)
    own = gain_score[is_baseline]
    mean = _mean(row[is_baseline], own, (rows,))
    no_score = np.isnan(own) & np.isfinite(mean[row[is_baseline]])
    known[row[is_baseline] * seeds + runs.seed[is_baseline]] = np.where(no_score, -np.inf, own)
    baseline = known[row * seeds + runs.seed]
    lacking = np.isnan(baseline) & ~is_baseline
    lacking[lacking] = np.isfinite(mean[row[lacking]])
    baseline[lacking] = mean[row[lacking]]
    return baseline, int(lacking.sum())


def _standard_error(pair: Index, values: FloatArray, mean: FloatArray, n: FloatArray) -> FloatArray:
    deviation = values - mean.ravel()[pair]
    deviation *= deviation
    squares = _sum(pair, np.nan_to_num(deviation, copy=False), mean.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)


def _standardised(score: FloatArray) -> FloatArray:
    """Scores in standard deviations from the mean over sources; 0 where all sources score alike, up to rounding."""
    mean = nan_mean(score, axis=2)[..., None]
    centred: FloatArray = score - mean
    deviation = np.sqrt(nan_mean(centred**2, axis=2))[..., None]
    varies = deviation > _NOISE * np.maximum(1.0, np.abs(mean))
    return np.where(varies | np.isnan(score), centred / np.where(varies, deviation, 1.0), 0.0)


def _count(index: Index, shape: Sequence[int]) -> FloatArray:
    return np.bincount(index, minlength=int(np.prod(shape))).astype(float).reshape(shape)


def _sum(index: Index, values: FloatArray, shape: Sequence[int]) -> FloatArray:
    total: FloatArray = np.bincount(index, weights=values, minlength=int(np.prod(shape))).astype(float, copy=False)
    return total.reshape(shape)


def _mean(index: Index, values: FloatArray, shape: Sequence[int]) -> FloatArray:
    finite = np.isfinite(values)
    if finite.all():
        return ratio(_sum(index, values, shape), _count(index, shape))
    return ratio(_sum(index[finite], values[finite], shape), _count(index[finite], shape))
