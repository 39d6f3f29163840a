"""Detection of harm, and calibration of what the blend predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from taskweb.selectors import BlendSelector, SelectionProblem, Selector
from taskweb.selectors.assessment import BEST_AMONG_SHOWN, Assessment
from taskweb.web import TransferWeb
from taskweb.web.bootstrap import mean_interval, mean_over_targets


@dataclass
class Recorder:
    """A selector that records its rankings: (target, setup) -> candidates, scores and assessment of each draw."""

    inner: Selector
    rankings: dict[tuple[str, str], list[tuple[tuple[str, ...], np.ndarray, Assessment | None]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the selector within."""
        return self.inner.name

    @property
    def meaning(self) -> str:
        """As the selector within."""
        return self.inner.meaning

    def parameters(self) -> Mapping[str, Any]:
        """As the selector within."""
        return self.inner.parameters()

    def score(self, problem: SelectionProblem) -> np.ndarray:
        """As the selector within, recorded."""
        scores = self.inner.score(problem)
        assessment = self.inner.assess(problem, scores) if isinstance(self.inner, BlendSelector) else None
        self.rankings.setdefault((problem.target, problem.setup), []).append((problem.candidates, scores, assessment))
        return scores


def detection_of_harm(web: TransferWeb, recorder: Recorder, risk: Callable[[Any, Any], np.ndarray]) -> np.ndarray:
    """AUC and average precision of detecting harm (PC < 0) within a target: (2, setups, targets), mean over draws.

    risk: from scores and predicted probabilities of harm (None without an assessment), what should be high where harm is.
    """
    targets = [name for name in web.targets if name not in web.tuning_targets]
    found = np.full((2, len(web.setups), len(targets)), np.nan)
    for (target, setup), rankings in recorder.rankings.items():
        values = []
        for candidates, scores, assessment in rankings:
            predicted = (
                np.array([assessment.predicted_gains[name].harm for name in candidates]) if assessment is not None else None
            )
            values.append(_auc_and_precision(_gains(web, setup, target, candidates) < 0, risk(scores, predicted)))
        found[:, web.setup_index(setup), targets.index(target)] = np.mean(values, axis=0)
    return found


def harm_figures(found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Means over setups and targets, and paired differences from popularity."""
    table = {}
    for name, values in found.items():
        entry: dict[str, Any] = {}
        for m, metric in enumerate(("auc", "average_precision")):
            gap = values[m] - found["popularity"][m]
            entry[metric] = mean_over_targets(values[m])
            entry[f"{metric}_over_popularity"] = {"difference": mean_over_targets(gap), "interval": mean_interval(gap)}
        table[name] = entry | {"auc_by_setup": [float(np.nanmean(row)) for row in values[0]]}
    return table


def calibration(web: TransferWeb, blend: Recorder) -> dict[str, Any]:
    """How often the blend's predictions came true, pooled over setups, targets and draws."""
    covered: dict[str, list[bool]] = {}
    best: dict[int, list[tuple[float, bool]]] = {k: [] for k in BEST_AMONG_SHOWN}
    harm, widths = [], []
    for (target, setup), rankings in blend.rankings.items():
        for candidates, scores, assessment in rankings:
            assert assessment is not None
            gains = _gains(web, setup, target, candidates)
            truth = [web.t[web.setup_index(setup), web.target_index(target), web.source_index(name)] for name in candidates]
            for name, gain in zip(candidates, gains.tolist(), strict=True):
                predicted = assessment.predicted_gains[name]
                covered.setdefault(setup, []).append(predicted.low <= gain <= predicted.high)
                harm.append((predicted.harm, gain < 0))
                widths.append(predicted.high - predicted.low)
            if np.ptp(truth) > 0:
                order = np.argsort(-scores)
                for k in BEST_AMONG_SHOWN:
                    best[k].append((assessment.best_among(k), bool(int(np.argmax(truth)) in order[:k])))
    pairs = np.array(harm, float)
    bins = np.minimum((pairs[:, 0] * 10).astype(int), 9)
    return {
        "coverage_of_80": float(np.mean([hit for hits in covered.values() for hit in hits])),
        "coverage_by_setup": {setup: float(np.mean(hits)) for setup, hits in covered.items()},
        "median_width": float(np.median(widths)),
        "reliability_of_harm": [
            {
                "said": float(pairs[bins == b, 0].mean()),
                "happened": float(pairs[bins == b, 1].mean()),
                "pairs": int((bins == b).sum()),
            }
            for b in range(10)
            if (bins == b).any()
        ],
        "best_among": {
            str(k): {"said": float(np.mean([s for s, _ in own])), "happened": float(np.mean([h for _, h in own]))}
            for k, own in best.items()
        },
    }


def _gains(web: TransferWeb, setup: str, target: str, candidates: tuple[str, ...]) -> np.ndarray:
    assert web.pc is not None
    row: np.ndarray = web.pc[web.setup_index(setup), web.target_index(target), [web.source_index(name) for name in candidates]]
    return row


def _auc_and_precision(harms: np.ndarray, risk: np.ndarray) -> tuple[float, float]:
    if harms.all() or not harms.any():
        return float("nan"), float("nan")
    above = (risk[harms][:, None] > risk[~harms][None, :]) + 0.5 * (risk[harms][:, None] == risk[~harms][None, :])
    ordered = harms[np.argsort(-risk, kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(above.mean()), float(precision[ordered].mean())
