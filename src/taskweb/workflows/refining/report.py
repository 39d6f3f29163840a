"""What the decision is worth on rows that nothing was decided by."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from taskweb.selectors.posterior import order_of
from taskweb.tasks import Task
from taskweb.web.records.run import Run
from taskweb.workflows.refining.measuring import Measuring
from taskweb.workflows.refining.plan_folder import RefineFolder

if TYPE_CHECKING:
    from taskweb.experiments.single_runs import SingleRuns

LEVEL = 0.95
MOST_TRAININGS = 3
_CORRELATIONS = ("pearson", "spearmanr")


@dataclass(frozen=True, slots=True)
class ReportedScore:
    """The score of one trained model on the report rows, with its 95% interval; NaN and a reason where there is none.

    source: that it was trained on first, None for the target alone.
    """

    source: str | None
    seed: int
    score: float
    low: float
    high: float
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, NaN as null."""
        values = asdict(self)
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class Report:
    """The scores of the chosen model, and of the target alone. rows: how many report rows. metrics: their mean is the score."""

    rows: int
    metrics: tuple[str, ...]
    chosen: ReportedScore
    alone: ReportedScore

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "rows": self.rows,
            "metrics": list(self.metrics),
            "level": LEVEL,
            "chosen": self.chosen.to_dict(),
            "target_alone": self.alone.to_dict(),
        }


def best_source(measuring: Measuring) -> str | None:
    """The source with the highest expected gain, None where none is expected to help."""
    posterior = measuring.suggester.posterior
    first = order_of(posterior)[0]
    return posterior.sources[first] if posterior.mean[first] > 0 else None


def forget_others(measuring: Measuring) -> None:
    """Remove the weights after all sources but the best so far, which the report would use."""
    used = (best_source(measuring), next(iter(measuring.seeds), None))
    measuring.runs.forget_weights(run for run in measuring.made if (run.source, run.seed) != used)


def reported(measuring: Measuring, folder: RefineFolder) -> Report | None:
    """Train on the best source and on the target alone, with the first seed, and evaluate both on the report rows.

    None where nothing was measured, so that nothing was decided. These trainings are no part of the budget; like all runs they
    are stored, and are not made again. The source is trained again only where its weights are not there any more.
    """
    if not measuring.seeds:
        return None
    runs = measuring.runs.evaluated_on(folder.report_rows, folder.report_store)
    chosen, seed = best_source(measuring), measuring.seeds[0]
    alone = _score(runs.run(None, seed), runs)
    found = alone if chosen is None else _score(runs.run(chosen, seed), runs)
    runs.clean_up()
    rows = runs.job.runner.data[runs.task.name].evaluation_examples
    return Report(rows, runs.task.metrics, found, alone)


def interval_of_score(score: float, rows: int, task: Task) -> tuple[float, float]:
    """A 95% interval: Fisher's for correlations, else Wilson's, which is exact in width for shares and wide for other means."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    if all(metric in _CORRELATIONS for metric in task.metrics):
        if rows <= 3 or not abs(score) < 1:
            return math.nan, math.nan
        middle, width = math.atanh(score), z / math.sqrt(rows - 3)
        return math.tanh(middle - width), math.tanh(middle + width)
    share = min(1.0, max(0.0, score))
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    width = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return max(0.0, middle - width), min(1.0, middle + width)


def _score(run: Run, runs: SingleRuns) -> ReportedScore:
    score, seed = run.score(runs.task.metrics), run.seed
    assert seed is not None
    if not math.isfinite(score):
        return ReportedScore(run.source, seed, math.nan, math.nan, math.nan, run.reason or run.status)
    rows = run.sizes.get("evaluation_examples", runs.job.runner.data[run.target].evaluation_examples)
    return ReportedScore(run.source, seed, score, *interval_of_score(score, rows, runs.task))
