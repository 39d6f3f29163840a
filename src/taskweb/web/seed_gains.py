"""The gain of every single run over the baseline of its seed, for replays of what could have been measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from taskweb.errors import WebError
from taskweb.web.arrays import FloatArray
from taskweb.web.records.run_table import NO_SOURCE, RunTable


@dataclass(frozen=True, eq=False)
class SeedGains:
    """Gains by seed, as fractions of the baseline.

    gains: (setups, targets, sources, seeds), NaN where a run or its baseline is missing. scores: raw scores of the same runs.
    hours: of one run of a target, mean, (setups, targets), NaN where unknown.
    """

    setups: tuple[str, ...]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    gains: FloatArray = field(repr=False)
    scores: FloatArray = field(repr=False)
    hours: FloatArray = field(repr=False)


def seed_gains(runs: RunTable, name: str) -> SeedGains:
    """The gains of the runs of a web. Raises WebError where no run has a baseline of its seed."""
    scores = runs.score if runs.gain_score is None else runs.gain_score
    seeds, seed = np.unique(runs.seed, return_inverse=True)
    shape = (len(runs.setups), len(runs.targets), len(runs.sources), len(seeds))
    transfer = runs.source != NO_SOURCE
    baseline = np.full((*shape[:2], shape[3]), np.nan)
    own = ~transfer
    baseline[runs.setup[own], runs.target[own], seed[own]] = scores[own]
    after, raw = np.full(shape, np.nan), np.full(shape, np.nan)
    at = runs.setup[transfer], runs.target[transfer], runs.source[transfer], seed[transfer]
    after[at], raw[at] = scores[transfer], runs.score[transfer]
    with np.errstate(invalid="ignore", divide="ignore"):
        gains = (after - baseline[:, :, None]) / np.abs(baseline[:, :, None])
    gains[~np.isfinite(gains)] = np.nan
    if not np.isfinite(gains).any():
        raise WebError(
            f"The web '{name}' contains no run whose baseline of the same seed is known, so nothing can be replayed. Give a "
            "store, or a file with a row per run and baselines (source 'none')."
        )
    hours = np.full(shape[:2], np.nan)
    if runs.hours is not None:
        row = runs.setup.astype(np.int64) * shape[1] + runs.target
        known = np.isfinite(runs.hours)
        count = np.bincount(row[known], minlength=shape[0] * shape[1])
        total = np.bincount(row[known], weights=runs.hours[known], minlength=shape[0] * shape[1])
        hours = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).reshape(shape[:2])
    return SeedGains(runs.setups, runs.targets, runs.sources, gains, raw, hours)
