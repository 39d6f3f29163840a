"""Confidence intervals of a mean over templates: rows are resampled, the same ones under every template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from taskweb.evaluation.measures import Answers, FloatArray
from taskweb.evaluation.results import Summary

RESAMPLES = 1000
LEVEL = 0.95
_RESAMPLES_AT_ONCE = 50


def metrics_of(answers: Answers) -> dict[str, float]:
    """The metrics of one template."""
    values = answers.metrics(np.ones((1, len(answers.places))))
    return {name: float(value[0]) for name, value in values.items()}


def summarise(templates: Sequence[Answers], rows: int, names: Sequence[str], *, seed: int = 0) -> Mapping[str, Summary]:
    """Each metric over the templates of a task. rows: number of rows of the task; a template may have answers to some only.

    The interval is a percentile bootstrap over rows, paired over templates: NaN with fewer than two rows.
    """
    points = [metrics_of(answers) for answers in templates]
    draws = _draws(templates, rows, names, seed) if rows > 1 else {}
    found = {}
    for name in names:
        values = np.array([point[name] for point in points])
        low, high = _quantiles(draws[name]) if name in draws else (np.nan, np.nan)
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        found[name] = Summary(float(np.mean(values)), spread, low, high)
    return found


def _draws(templates: Sequence[Answers], rows: int, names: Sequence[str], seed: int) -> dict[str, FloatArray]:
    """The mean over templates in each resample: (RESAMPLES,) by metric."""
    draw = np.random.default_rng(seed)
    parts: list[FloatArray] = []
    for _ in range(RESAMPLES // _RESAMPLES_AT_ONCE):
        weights = draw.multinomial(rows, np.full(rows, 1 / rows), size=_RESAMPLES_AT_ONCE).astype(np.float64)
        each = [answers.metrics(weights[:, answers.places]) for answers in templates]
        parts.append(np.stack([np.mean([values[name] for values in each], axis=0) for name in names]))
    return dict(zip(names, np.concatenate(parts, axis=1), strict=True))


def _quantiles(draws: FloatArray) -> tuple[float, float]:
    finite = draws[np.isfinite(draws)]
    if len(finite) < 2:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
