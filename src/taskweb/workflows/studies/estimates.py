"""Figures of a benchmark as estimates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from taskweb.selectors.benchmark import BenchmarkRow
from taskweb.web.analysis.estimate import Estimate
from taskweb.web.bootstrap import mean_interval, mean_over_targets

FloatArray = npt.NDArray[np.float64]


def over_targets(values: FloatArray) -> Estimate:
    """The mean over targets with its 95% bootstrap interval; values: (setups, targets), NaN where a target is left out."""
    return Estimate(mean_over_targets(values), *mean_interval(values))


def figure_of(row: BenchmarkRow, metric: int) -> Estimate:
    """A metric of a benchmark's row, in percent."""
    return Estimate(row.figure(metric), *row.interval(metric))


def difference_of(row: BenchmarkRow, other: BenchmarkRow, metric: int) -> Estimate:
    """The difference of a metric between two rows, paired by target, in points."""
    return Estimate(*row.difference(other, metric))
