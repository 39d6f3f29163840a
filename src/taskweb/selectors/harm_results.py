"""How well harm is predicted before it is measured: detection by each selector, and calibration of its probabilities.

Of a target left out, harm is a gain (PC) below zero. A ROC curve says what share of the harmful sources a selector flags, by
the share of harmless ones that it flags wrongly; curves are means over draws, targets and setups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from taskweb.selectors.benchmark import ScoredTarget
from taskweb.web.analysis.estimate import UNKNOWN, Estimate, plain
from taskweb.web.arrays import BoolArray, FloatArray, nan_mean
from taskweb.web.bootstrap import mean_interval, mean_over_targets
from taskweb.web.transfer_web import TransferWeb

FALSE_ALARMS: tuple[float, ...] = tuple(i / 20 for i in range(21))
"""Shares of harmless sources that are flagged, at which a curve is told."""
_BINS = 10


@dataclass(frozen=True, slots=True)
class HarmDetection:
    """One selector. auc: area under its curve within a target, in [0, 1], 0.5 by chance, with a 95% interval over targets.

    found: share of harmful sources flagged, at each of FALSE_ALARMS.
    """

    selector: str
    auc: Estimate
    n_targets: int
    found: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HarmBin:
    """Predictions of similar probability: the mean of what was predicted, the share that was harmful, and how many pairs."""

    predicted: float
    observed: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often the predictions of a selector came true, pooled over setups, targets and draws.

    coverage: share of gains inside their 80% prediction intervals. bins: probabilities of harm in tenths, those that occurred.
    """

    selector: str
    coverage: float
    bins: tuple[HarmBin, ...]


@dataclass(frozen=True, slots=True)
class HarmResults:
    """Detection of harm, best first, and calibration of those selectors that predict probabilities."""

    detection: tuple[HarmDetection, ...] = ()
    calibration: tuple[Calibration, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = plain(self)
        return values


@dataclass
class HarmJudge:
    """Collects the scores of targets left out, and says how well they predict harm. web: with gains (PC)."""

    web: TransferWeb
    _areas: dict[str, dict[tuple[str, str], list[float]]] = field(default_factory=dict)
    _curves: dict[str, dict[tuple[str, str], list[FloatArray]]] = field(default_factory=dict)
    _predicted: dict[str, list[FloatArray]] = field(default_factory=dict)

    def add(self, scored: ScoredTarget) -> None:
        """The scores of one selector for one target in one setup and draw."""
        gains = self._gains(scored)
        known = np.isfinite(gains)
        gains = gains[known]
        risk = -scored.scores[known]
        if scored.predicted:
            said = np.array([(one.harm, one.low, one.high) for one in scored.predicted], float)[known]
            risk = said[:, 0]
            within = (said[:, 1] <= gains) & (gains <= said[:, 2])
            self._predicted.setdefault(scored.selector, []).append(np.stack([said[:, 0], gains < 0, within], axis=1))
        area, curve = _roc(gains < 0, risk)
        if np.isfinite(area):
            place = (scored.setup, scored.target)
            self._areas.setdefault(scored.selector, {}).setdefault(place, []).append(area)
            self._curves.setdefault(scored.selector, {}).setdefault(place, []).append(curve)

    def results(self) -> HarmResults:
        """What was found so far."""
        detection = [self._detection(name) for name in self._areas]
        calibration = tuple(_calibration(name, np.concatenate(rows)) for name, rows in self._predicted.items())
        return HarmResults(tuple(sorted(detection, key=lambda one: (-one.auc.value, one.selector))), calibration)

    def _gains(self, scored: ScoredTarget) -> FloatArray:
        if self.web.pc is None:
            return np.full(len(scored.candidates), np.nan)
        row = self.web.pc[self.web.setup_index(scored.setup), self.web.target_index(scored.target)]
        gains: FloatArray = row[[self.web.source_index(name) for name in scored.candidates]]
        return gains

    def _detection(self, selector: str) -> HarmDetection:
        shape = (len(self.web.setups), len(self.web.targets))
        areas, curves = np.full(shape, np.nan), np.full((len(FALSE_ALARMS), *shape), np.nan)
        for (setup, target), values in self._areas[selector].items():
            place = self.web.setup_index(setup), self.web.target_index(target)
            areas[place] = np.mean(values)
            curves[:, *place] = np.mean(self._curves[selector][setup, target], axis=0)
        auc = Estimate(mean_over_targets(areas), *mean_interval(areas))
        return HarmDetection(selector, auc, int(np.isfinite(areas).any(axis=0).sum()), tuple(map(mean_over_targets, curves)))


def parse_harm(found: Mapping[str, Any] | None) -> HarmResults | None:
    """The results in what `to_dict` gives. Raises TypeError, ValueError or LookupError for anything else."""
    if found is None:
        return None
    detection = tuple(
        HarmDetection(str(row["selector"]), _estimate(row["auc"]), int(row["n_targets"]), _numbers(row["found"]))
        for row in found["detection"]
    )
    if any(len(row.found) != len(FALSE_ALARMS) for row in detection):
        raise ValueError("a curve of another length")
    calibration = tuple(
        Calibration(
            str(row["selector"]),
            float(row["coverage"]),
            tuple(HarmBin(float(one["predicted"]), float(one["observed"]), int(one["pairs"])) for one in row["bins"]),
        )
        for row in found["calibration"]
    )
    return HarmResults(detection, calibration)


def _estimate(row: Mapping[str, Any]) -> Estimate:
    return UNKNOWN if row["value"] is None else Estimate(*_numbers(row[part] for part in ("value", "low", "high")))


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float("nan") if value is None else float(value) for value in values)


def _roc(harms: BoolArray, risk: FloatArray) -> tuple[float, FloatArray]:
    """Area under the curve, and the share found at each of FALSE_ALARMS; NaN where all or none are harmful."""
    if harms.all() or not harms.any():
        return float("nan"), np.full(len(FALSE_ALARMS), np.nan)
    order = np.argsort(-risk, kind="stable")
    last = np.append(np.diff(risk[order]) != 0, [True])  # equal risks are flagged together
    found, wrong = (np.append([0.0], np.cumsum(kind[order])[last] / kind.sum()) for kind in (harms, ~harms))
    area = float(np.sum(np.diff(wrong) * (found[1:] + found[:-1]) / 2))
    top = np.append(np.diff(wrong) > 0, [True])  # the upper ends of vertical steps
    return area, np.asarray(np.interp(FALSE_ALARMS, wrong[top], found[top]))


def _calibration(selector: str, rows: FloatArray) -> Calibration:
    """rows: (pairs, 3): predicted probability of harm, whether it was harmful, whether the gain was inside its interval."""
    tenth = np.minimum((rows[:, 0] * _BINS).astype(int), _BINS - 1)
    bins = []
    for one in np.unique(tenth).tolist():
        predicted, observed, _ = nan_mean(rows[tenth == one], axis=0).tolist()
        bins.append(HarmBin(predicted, observed, int((tenth == one).sum())))
    return Calibration(selector, float(rows[:, 2].mean()), tuple(bins))
