"""How well other setups predict one that is left out: what `taskweb benchmark --leave-out setup` does.

For each setup and target, the setup's row is predicted in four ways and compared with what was measured. Own popularity
uses the setup's rows of all other targets. `other setups` uses nothing of the setup at all. `other setups and own targets`
uses both; in every case nothing of the row itself, nor is any weight fitted to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taskweb.errors import InputError, WebError
from taskweb.metrics import rank_correlation
from taskweb.selectors.blend.standardise import standardised_rows
from taskweb.selectors.other_setups import FEWEST_SOURCES, OtherSetups, Prediction
from taskweb.web import ALL_SETUPS, TransferWeb
from taskweb.web.arrays import FloatArray, nan_mean
from taskweb.web.bootstrap import mean_interval, mean_over_targets
from taskweb.web.opening import open_web
from taskweb.web.published import PUBLISHED
from taskweb.web.transfer_web import without_self
from taskweb.workflows.progress import Progress, silent

OWN, MEAN_OF_OTHERS, NEW, BOTH = "own popularity", "mean of other setups", "other setups", "other setups and own targets"
WAYS = (OWN, MEAN_OF_OTHERS, NEW, BOTH)
MEAN = "mean"


@dataclass(frozen=True)
class SetupRow:
    """One way to predict one setup (or `mean` over setups).

    values: Spearman correlation of predicted and measured order of sources, (setups, targets), in [-1, 1], NaN where a target
    cannot be judged. difference: the same minus own popularity. coverage: share of measured gains within their 80% intervals.
    """

    way: str
    setup: str
    targets: tuple[str, ...]
    values: FloatArray = field(repr=False)
    difference: FloatArray = field(repr=False)
    coverage: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        by_target = nan_mean(self.values, axis=0)
        return {
            "way": self.way,
            "setup": self.setup,
            "spearman": _finite(mean_over_targets(self.values)),
            "spearman_interval": [_finite(value) for value in mean_interval(self.values)],
            "vs_own_popularity": {
                "difference": _finite(mean_over_targets(self.difference)),
                "interval": [_finite(value) for value in mean_interval(self.difference)],
            },
            "coverage_80": self.coverage,
            "n_targets": int(np.isfinite(by_target).sum()),
            "per_target": {
                target: float(value) for target, value in zip(self.targets, by_target, strict=True) if np.isfinite(value)
            },
        }


@dataclass(frozen=True)
class SetupsLeftOut:
    """All rows, and what a person should know."""

    web: str
    rows: tuple[SetupRow, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; correlations in [-1, 1]."""
        results = [row.to_dict() for row in self.rows]
        return {"leave_out": "setup", "web": self.web, "notes": list(self.notes), "results": results}


def leave_setups_out(
    web: str | Path | TransferWeb = PUBLISHED,
    *,
    setup: str = ALL_SETUPS,
    targets: Sequence[str] | None = None,
    progress: Progress = silent,
) -> SetupsLeftOut:
    """Predict each setup of a web, or one of them, from the others. targets: None takes all. Raises a TaskWebError."""
    opened = web if isinstance(web, TransferWeb) else open_web(web)
    opened.check_setup(setup)
    if len(opened.setups) < 2:
        raise InputError(
            f"The web {opened.name} has one setup, and a setup is predicted from others. Merge webs, or import more."
        )
    chosen = opened.setups if setup == ALL_SETUPS else (setup,)
    names = opened.targets if targets is None else tuple(dict.fromkeys(targets))
    places = [opened.target_index(target) for target in names]
    figures = np.full((len(WAYS), len(chosen), len(names)), np.nan)
    inside: dict[str, list[list[float]]] = {way: [[] for _ in chosen] for way in (NEW, BOTH)}
    with progress("Leaving setups out", len(chosen)) as advance:
        for i, name in enumerate(chosen):
            _judge(opened, name, places, figures[:, i], {way: found[i] for way, found in inside.items()})
            advance(1)
    if not np.isfinite(figures).any():
        raise WebError(
            f"The web {opened.name} has no target that two setups measured with {FEWEST_SOURCES} sources or more, with "
            "different scores."
        )
    rows = [_row(way, name, names, figures, [i], inside) for i, name in enumerate(chosen) for way in WAYS]
    if setup == ALL_SETUPS:
        rows += [_row(way, MEAN, names, figures, list(range(len(chosen))), inside) for way in WAYS]
    return SetupsLeftOut(opened.name, tuple(rows), opened.notes)


def _judge(web: TransferWeb, setup: str, places: Sequence[int], figures: FloatArray, inside: Mapping[str, list[float]]) -> None:
    """Write the correlations of one setup to `figures`, (ways, targets), and the coverage by target to `inside`."""
    at = web.setup_index(setup)
    t = without_self(web.t, web.targets, web.sources)
    pc = None if web.pc is None else without_self(web.pc, web.targets, web.sources)
    others = np.delete(standardised_rows(t), at, axis=0)
    predictors = {NEW: OtherSetups(web, setup, use_own=False), BOTH: OtherSetups(web, setup)}
    for j, place in enumerate(places):
        truth = t[at, place]
        measured = np.isfinite(truth) & np.isfinite(others[:, place]).any(axis=0)
        if measured.sum() < FEWEST_SOURCES or np.ptp(truth[measured]) == 0:
            continue
        scores = {
            OWN: nan_mean(np.delete(t[at], place, axis=0), axis=0),
            MEAN_OF_OTHERS: nan_mean(others[:, place], axis=0),
        }
        for way, predictor in predictors.items():
            found = predictor.predict(web.targets[place])
            scores[way] = found.scores
            if found.gains and pc is not None:
                inside[way].append(_covered(found, pc[at, place]))
        for k, way in enumerate(WAYS):
            figures[k, j] = _correlation(scores[way][measured], truth[measured])


def _correlation(scores: FloatArray, truth: FloatArray) -> float:
    """Spearman's; 0 for scores that do not distinguish sources, as where nothing is known."""
    known = np.isfinite(scores)
    if not known.any():
        return 0.0
    found = rank_correlation(np.where(known, scores, scores[known].mean()), truth)
    return found if np.isfinite(found) else 0.0


def _covered(found: Prediction, measured: FloatArray) -> float:
    within = [gain.low <= value <= gain.high for gain, value in zip(found.gains, measured, strict=True) if np.isfinite(value)]
    return float(np.mean(within)) if within else float("nan")


def _row(
    way: str,
    name: str,
    targets: tuple[str, ...],
    figures: FloatArray,
    setups: list[int],
    inside: Mapping[str, Sequence[Sequence[float]]],
) -> SetupRow:
    values = figures[WAYS.index(way)][setups]
    covered = [value for i in setups for value in inside.get(way, [[]] * len(figures[0]))[i]]
    coverage = _finite(float(np.nanmean(covered))) if covered else None
    return SetupRow(way, name, targets, values, values - figures[WAYS.index(OWN)][setups], coverage)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
