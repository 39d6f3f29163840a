"""The scores of every setup, and of all setups together, with how sure their signs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.bootstrap import LEVEL, student_probability, student_quantile
from taskweb.web.transfer_web import ALL_SETUPS, TransferWeb, without_self


@dataclass(frozen=True, eq=False)
class SetupScores:
    """Scores by setup, NaN where there are none. Arrays are (names, targets, sources); a task is never its own source.

    names: `all` first where there are several setups, then each setup. t, pc, pm, score: as of a `TransferWeb`, for `all` the
    mean over setups; None where the web lacks them. reach: half the width of the 95% interval of PC, by Student's t over the
    seeds of a setup, and for `all` over the setups that measured the pair. harm: the probability by the same seeds or setups
    that the gain is below zero. runs: number of runs with a score. setups: number of setups that measured the pair. averaged:
    number of setups that `all` is the mean of.
    """

    names: tuple[str, ...]
    t: FloatArray = field(repr=False)
    pc: FloatArray | None = field(repr=False)
    pm: FloatArray | None = field(repr=False)
    score: FloatArray | None = field(repr=False)
    reach: FloatArray = field(repr=False)
    harm: FloatArray = field(repr=False)
    runs: FloatArray | None = field(repr=False)
    setups: FloatArray = field(repr=False)
    averaged: int = 0

    @property
    def has_intervals(self) -> bool:
        """Whether it is known of any pair how sure its sign is."""
        return bool(np.isfinite(self.harm).any())

    def restrict(self, setups: Sequence[int], targets: Sequence[int], sources: Sequence[int]) -> SetupScores:
        """The scores at these positions of `names`, targets and sources."""
        at = np.ix_(setups, targets, sources)
        arrays = {name: getattr(self, name) for name in ("t", "pc", "pm", "score", "reach", "harm", "runs", "setups")}
        parts = {name: None if array is None else array[at] for name, array in arrays.items()}
        return replace(self, names=tuple(self.names[i] for i in setups), **parts)  # type: ignore[arg-type]


def scores_by_setup(web: TransferWeb) -> SetupScores:
    """The scores of a web by setup."""

    def own(array: FloatArray | None) -> FloatArray | None:
        return None if array is None else without_self(array, web.targets, web.sources)

    t = without_self(web.t, web.targets, web.sources)
    pc, pm, score, runs, error = (own(array) for array in (web.pc, web.pm, web.score, web.n_seeds, web.pc_se))
    setups = np.isfinite(t).astype(float)
    unknown = np.full(t.shape, np.nan)
    if pc is None or error is None or runs is None:
        reach = harm = unknown
    else:
        reach, harm = _by_student(pc, error, runs - 1)
    if len(web.setups) < 2:
        return SetupScores(web.setups, t, pc, pm, score, reach, harm, runs, setups)
    over, risk = (unknown[0], unknown[0]) if pc is None else _over_setups(pc, reach, harm)

    def with_all(array: FloatArray | None) -> FloatArray | None:
        return None if array is None else np.concatenate([nan_mean(array, axis=0)[None], array])

    return SetupScores(
        (ALL_SETUPS, *web.setups),
        np.concatenate([nan_mean(t, axis=0)[None], t]),
        with_all(pc),
        with_all(pm),
        with_all(score),
        np.concatenate([over[None], reach]),
        np.concatenate([risk[None], harm]),
        None if runs is None else np.concatenate([_total(runs)[None], runs]),
        np.concatenate([setups.sum(axis=0)[None], setups]),
        len(web.setups),
    )


def _over_setups(pc: FloatArray, reach: FloatArray, harm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Reach and probability of harm of the mean over setups; those of the only setup where one measured the pair."""
    count = np.isfinite(pc).sum(axis=0)
    centred = np.where(np.isfinite(pc), pc - nan_mean(pc, axis=0), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(count > 1, np.sqrt((centred**2).sum(axis=0) / (count - 1) / count), np.nan)
    over, risk = _by_student(nan_mean(pc, axis=0), error, count - 1.0)
    return np.where(count == 1, nan_mean(reach, axis=0), over), np.where(count == 1, nan_mean(harm, axis=0), risk)


def _by_student(mean: FloatArray, error: FloatArray, freedom: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Half the width of the 95% interval of a mean, and the probability that the mean is below zero."""
    reach, harm = np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = mean / error
    for degrees in np.unique(freedom[np.isfinite(freedom) & np.isfinite(error)]).tolist():
        if degrees >= 1:
            at = (freedom == degrees) & np.isfinite(mean)
            reach[at] = student_quantile(LEVEL, int(degrees)) * error[at]
            harm[at] = student_probability(-steps[at], int(degrees))
    return reach, harm


def _total(runs: FloatArray) -> FloatArray:
    return np.where(np.isfinite(runs).any(axis=0), np.nansum(runs, axis=0), np.nan)
