"""The score of a run from its metrics, for a whole table of runs at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from taskweb.errors import WebError
from taskweb.metrics import canonical_metric, higher_is_better
from taskweb.tasks import catalogue
from taskweb.web.arrays import BoolArray, Codes, FloatArray

Index = npt.NDArray[np.integer]


def run_scores(
    where: str,
    of_run: tuple[Codes, Codes],
    targets: Sequence[str],
    metrics: Sequence[str],
    run: Index,
    metric: Codes,
    value: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Per run, the mean of the metrics that make up its score, and of those that gains are computed from; NaN = no score.

    where: the name of the input, for messages. of_run: setup and target of each run, as codes; targets, metrics: their names.
    run, metric, value: the measurements, one row each, a run and a metric at most once.
    The score of a target is made from its catalogue metrics that have a value in some run of that setup; if there are none, or
    the target is not in the catalogue, from every metric that has one. A run without one of them has no score. Metrics where
    lower is better are negated. Raises WebError where both kinds would be mixed.
    """
    setup, target = of_run
    n_runs = len(setup)
    group = setup * np.int32(len(targets)) + target
    n_groups = int(group.max(initial=-1)) + 1
    group_of_value = group[run]
    measured = np.zeros((n_groups, len(metrics)), dtype=bool)
    has_value = ~np.isnan(value)
    measured[group_of_value[has_value], metric[has_value]] = True
    for_mean, for_gain = _metrics_of_groups(where, measured, targets, metrics)

    sign = np.array([1.0 if higher_is_better(name) else -1.0 for name in metrics])
    if (sign < 0).any():
        value = value * sign[metric]

    def mean_of(chosen: BoolArray) -> FloatArray:
        counted = chosen[group_of_value, metric]
        run_counted, value_counted = (run, value) if counted.all() else (run[counted], value[counted])
        found = np.bincount(run_counted, minlength=n_runs)
        total: FloatArray = np.bincount(run_counted, weights=value_counted, minlength=n_runs).astype(float, copy=False)
        wanted = chosen.sum(axis=1)[group]
        total[found < wanted] = np.nan  # a metric is missing
        total[wanted == 0] = np.nan
        total /= np.maximum(wanted, 1)
        return total

    mean = mean_of(for_mean)
    return mean, mean if np.array_equal(for_mean, for_gain) else mean_of(for_gain)


def _metrics_of_groups(
    where: str, measured: BoolArray, targets: Sequence[str], metrics: Sequence[str]
) -> tuple[BoolArray, BoolArray]:
    """The metrics of the score, and those of the gains, for each setup and target (in rows)."""
    for_mean, for_gain = np.zeros_like(measured), np.zeros_like(measured)
    known_tasks = catalogue()
    for group in range(len(measured)):
        name = targets[group % len(targets)]
        present = np.flatnonzero(measured[group]).tolist()
        task = known_tasks.get(name)
        chosen = [i for i in present if task is not None and canonical_metric(metrics[i]) in task.metrics] or present
        if len({higher_is_better(metrics[i]) for i in chosen}) > 1:
            raise WebError(
                f"{where}: target '{name}' mixes metrics where higher is better and metrics where lower is better "
                f"({', '.join(metrics[i] for i in chosen)}). Keep one kind."
            )
        gained = [i for i in chosen if task is not None and canonical_metric(metrics[i]) in task.transfer_metrics] or chosen
        for_mean[group, chosen] = True
        for_gain[group, gained] = True
    return for_mean, for_gain
