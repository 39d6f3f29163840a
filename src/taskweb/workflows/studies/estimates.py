"""What studies share: figures of a benchmark as estimates, and the texts that they need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from taskweb.errors import InputError
from taskweb.selectors.benchmark import BenchmarkRow
from taskweb.web import TransferWeb
from taskweb.web.analysis.estimate import Estimate
from taskweb.web.bootstrap import mean_interval, mean_over_targets
from taskweb.workflows.benchmarking import POOL_EXAMPLES
from taskweb.workflows.progress import Progress
from taskweb.workflows.selector_settings import EncoderSettings
from taskweb.workflows.task_texts import TaskTexts, task_texts

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


def texts_of_study(web: TransferWeb, examples: Path | None, encoder: EncoderSettings | None, progress: Progress) -> TaskTexts:
    """The texts of a web's tasks. Raises InputError where there are none, EncoderError where no encoder is found."""
    embedder = (encoder or EncoderSettings()).embedder() if examples is not None else None
    texts = task_texts(web, examples, embedder, limit=POOL_EXAMPLES, progress=progress)
    if texts.bank is None:
        raise InputError(
            f"This study compares texts, and there are none of the tasks of the web '{web.name}'. Give --examples DIR with "
            "<task>.jsonl files."
        )
    return texts
