"""Does TaskShop rank the sources of an unknown task better than its baselines do?

One target is left out at a time, its row and its column; TaskShop with RoE, RoE alone, popularity, chance and the default
selector rank its sources from drawn examples, and are compared with what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from taskweb.metrics import mean_ranks, rank_correlation
from taskweb.selectors import DEFAULT_SELECTOR
from taskweb.selectors.benchmark import MEAN, BenchmarkRow, DrawSettings, ScoredTarget
from taskweb.web import ALL_SETUPS
from taskweb.web.analysis.estimate import UNKNOWN, Estimate, plain
from taskweb.workflows.benchmarking import Comparison, leave_targets_out
from taskweb.workflows.progress import Progress, silent
from taskweb.workflows.selector_settings import SelectorSettings
from taskweb.workflows.studies.estimates import FloatArray, difference_of, figure_of, over_targets
from taskweb.workflows.studies.study_settings import StudySettings

SANITY_SELECTORS = tuple(dict.fromkeys(("taskshop", DEFAULT_SELECTOR, "roe", "popularity", "random")))


@dataclass(frozen=True)
class SanityRow:
    """One selector over the targets that were left out.

    ndcg, regret_at_5: percent. rank_correlation: Spearman's, of predicted with measured scores, in [-1, 1]; 0 for chance.
    taskshop_over: by how much TaskShop's NDCG is higher, paired over targets, in points; unknown for TaskShop itself.
    ndcg_draw_sd: standard deviation over draws of examples. per_target: the three figures of each target.
    """

    selector: str
    ndcg: Estimate
    regret_at_5: Estimate
    rank_correlation: Estimate
    taskshop_over: Estimate
    ndcg_draw_sd: float
    per_target: Mapping[str, Mapping[str, float | None]] = field(repr=False)


@dataclass(frozen=True)
class PlacedSource:
    """The place of a source for one target, best = 1: as measured, and as each selector predicts it.

    t: measured T. Places are means over draws and setups, and ties share one, so they need not be whole numbers.
    """

    task: str
    t: float
    measured: float
    predicted: Mapping[str, float]


@dataclass(frozen=True)
class SanityStudy:
    """How selectors rank the sources of unknown targets. rankings: target -> sources, best measured first."""

    web: str
    setup: str
    draws: DrawSettings
    rows: tuple[SanityRow, ...]
    rankings: Mapping[str, tuple[PlacedSource, ...]] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that were left out."""
        return tuple(self.rankings)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = plain(self)
        return {"study": "sanity", "targets": list(self.targets)} | values


def study_sanity(
    settings: StudySettings | None = None, *, target: str | None = None, progress: Progress = silent
) -> SanityStudy:
    """Rank the sources of a target, or of every target in turn, as if nothing about it were measured.

    target: None takes all but those that hyperparameters were chosen on. Raises a TaskWebError.
    """
    settings = settings or StudySettings()
    web = settings.opened(() if target is None else (target,))
    texts = settings.texts(web, progress)
    seen: list[ScoredTarget] = []
    comparison = Comparison(
        web,
        {name: SelectorSettings().build(name) for name in SANITY_SELECTORS},
        texts,
        setup=settings.setup,
        targets=None if target is None else [target],
        draws=settings.draws,
        notes=(*web.notes, *texts.notes, *texts.encoder_notes),
    )
    result = leave_targets_out(comparison, on_scores=seen.append, progress=progress)
    correlations = _correlations(seen)
    shown = MEAN if settings.setup == ALL_SETUPS else settings.setup
    found = [row for row in result.rows if row.setup == shown]
    taskshop = next((row for row in found if row.selector == "taskshop"), None)
    rows = tuple(_row(row, correlations[row.selector], taskshop) for row in found)
    notes = (*result.notes, *result.left_out())
    return SanityStudy(web.name, settings.setup, result.draws, rows, _rankings(seen), notes)


def _row(row: BenchmarkRow, correlations: FloatArray, taskshop: BenchmarkRow | None) -> SanityRow:
    """correlations: (setups, targets), see `_correlations`."""
    per_target = {
        name: figures | {"rank_correlation": float(np.nanmean(correlations[:, j]))}
        for j, (name, figures) in enumerate(row.per_target().items())
    }
    over = UNKNOWN if taskshop is None or taskshop is row else difference_of(taskshop, row, 0)
    figures = (figure_of(row, 0), figure_of(row, 1), over_targets(correlations))
    return SanityRow(row.selector, *figures, over, row.draw_spread(0), per_target)


def _correlations(seen: Sequence[ScoredTarget]) -> dict[str, FloatArray]:
    """Rank correlation of each selector, mean over draws: (setups, targets) in the order seen, NaN where not evaluated."""
    setups, targets = (list(dict.fromkeys(getattr(one, axis) for one in seen)) for axis in ("setup", "target"))
    found: dict[str, FloatArray] = {}
    draws = 1 + max(one.draw for one in seen)
    for one in seen:
        if one.selector not in found:
            found[one.selector] = np.full((draws, len(setups), len(targets)), np.nan)
        # Equal scores stand for all orders, over which the mean correlation is 0.
        value = rank_correlation(one.scores, one.truth) if np.ptp(one.scores) > 0 else 0.0
        found[one.selector][one.draw, setups.index(one.setup), targets.index(one.target)] = value
    return {name: values.mean(axis=0) for name, values in found.items()}


def _rankings(seen: Sequence[ScoredTarget]) -> dict[str, tuple[PlacedSource, ...]]:
    """For each target, its sources with their mean places, best measured first."""
    rankings = {}
    for target in dict.fromkeys(one.target for one in seen):
        t: dict[str, list[float]] = {}
        measured: dict[str, list[float]] = {}
        predicted: dict[str, dict[str, list[float]]] = {}
        for one in (other for other in seen if other.target == target):
            true_places, places = mean_ranks(-one.truth).tolist(), mean_ranks(-one.scores).tolist()
            for task, transfer, true_place, place in zip(one.candidates, one.truth.tolist(), true_places, places, strict=True):
                t.setdefault(task, []).append(transfer)
                measured.setdefault(task, []).append(true_place)
                predicted.setdefault(task, {}).setdefault(one.selector, []).append(place)
        sources = [
            PlacedSource(
                task,
                float(np.mean(t[task])),
                float(np.mean(measured[task])),
                {name: float(np.mean(places)) for name, places in predicted[task].items()},
            )
            for task in t
        ]
        rankings[target] = tuple(sorted(sources, key=lambda source: (source.measured, source.task)))
    return rankings
